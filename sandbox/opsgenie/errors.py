"""The error answers: `{message, took, requestId}`, sometimes with code or errors.

docs.opsgenie.com/docs/response
"""

from __future__ import annotations

from collections.abc import Mapping

#: Observed on the live service without a key, with another scheme, and with an unknown key.
NOT_AUTHENTICATED = "Could not authenticate"
#: Observed on the live service for a key that is not a UUID: a 422, not a 401.
BAD_KEY_FORMAT = "Key format is not valid!"
TOO_MANY = "You are making too many requests! To avoid errors, we recommend you limit requests."
OFFSET_CAP = "Sum of offset and limit should be lower than 20000"
TEAM_KEY = "Team API Keys are not authorized to perform this action."
NO_PERMISSION, NOT_SUPPORTED = 40301, 40302


class ApiError(Exception):
    """Ends a request with an error answer. `errors`: field -> message."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: int | None = None,
        errors: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.errors = dict(errors or {})
        self.headers = dict(headers or {})


def not_found(what: str, identifier: str) -> ApiError:
    return ApiError(404, f"{what} with id [{identifier}] does not exist")


def unprocessable(message: str, errors: Mapping[str, str] | None = None) -> ApiError:
    return ApiError(422, message, errors=errors)


def too_many(period: int) -> ApiError:
    """`period` is the window (1 or 60 s) whose bucket is empty; there is no Retry-After."""
    headers = {
        "X-RateLimit-State": "THROTTLED",
        "X-RateLimit-Reason": "ACCOUNT",
        "X-RateLimit-Period-In-Sec": str(period),
    }
    return ApiError(429, TOO_MANY, headers=headers)


def missing_right(right: str) -> ApiError:
    names = {
        "read": "Read",
        "write": "Create and Update",
        "delete": "Delete",
        "config": "Configuration Access",
    }
    return ApiError(403, f"API key does not have the access right [{names[right]}].", code=NO_PERMISSION)
