"""The error answers: `{"error": {message, code, errors}}` (developer.pagerduty.com, Errors)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OFFSET_CAP = (
    "Offset+limit exceeds maximum allowed value of 10000. Please try to refine your search to reduce the"
    " returned set of records below this number, like adding a date range."
)
#: GET /users/me with an account's key: `error` is this string, not an object (specification).
ACCOUNT_LEVEL = (
    "The client used an account-level access token, but a user-level access token is needed to find out who"
    " the current user is."
)


class ApiError(Exception):
    """Ends a request with an error answer. `errors`: the single messages; `bare`: `error` is a string."""

    def __init__(
        self,
        status: int,
        message: str,
        code: int | None = None,
        errors: tuple[str, ...] = (),
        *,
        bare: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.errors = errors
        self.bare = bare

    def body(self, style: str = "list") -> Mapping[str, Any]:
        """`style`: `errors` as a list, as a map (newer endpoints), or `error` as a string."""
        if style == "string" or self.bare:
            return {"error": self.message}
        error: dict[str, Any] = {"message": self.message, "code": self.code}
        if self.errors:
            error["errors"] = {"base": list(self.errors)} if style == "map" else list(self.errors)
        return {"error": error}


def invalid(*errors: str) -> ApiError:
    return ApiError(400, "Invalid Input Provided", 2001, errors)


def invalid_date(name: str) -> ApiError:
    return ApiError(400, "Invalid Input Provided", 2004, (f"{name.capitalize()} is invalid.",))


def offset_cap() -> ApiError:
    """Observed in apache/devlake#5107 and faros-ai/airbyte-connectors#991."""
    return ApiError(400, "Arguments Caused Error", 2002, (OFFSET_CAP,))


def unauthorized() -> ApiError:
    return ApiError(401, "Authentication failed", 2006)


def access_denied() -> ApiError:
    return ApiError(403, "Access Denied", 2010)


def missing_ability(name: str) -> ApiError:
    return ApiError(
        402, "Account Does Not Have Ability", 2014, (f"Your account needs the ability {name} to do this.",)
    )


def not_found() -> ApiError:
    return ApiError(404, "Not Found", 2100)


def too_many() -> ApiError:
    return ApiError(429, "Rate Limit Exceeded", 2020)


def broken(status: int) -> ApiError:
    """408: the request took too long (code 2016); 500 and 503: server errors. All may be retried."""
    if status == 408:
        return ApiError(408, "Request took too long to process", 2016)
    return ApiError(status, "Internal Error", 2000)
