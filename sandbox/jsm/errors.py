"""The error answers. Each family has its own shape, and so has the gateway in front of them.

- the gateway: `{code, message}`
- Jira: `{errorMessages[], errors{}}`
- Operations, services: `{errors[{title, code}]}`, or OpsGenie's `{code, message, took, requestId}`
"""

from __future__ import annotations

from enum import StrEnum

from sandbox.jsm.model import Json

UNAUTHORIZED = "Unauthorized"
SCOPE = "Unauthorized; scope does not match"
#: The live service still uses its former name.
NO_OPERATIONS = "Your organization does not have access to Opsgenie."
UNBOUNDED = "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
NO_ISSUE = "Issue does not exist or you do not have permission to see it."
OFFSET_CAP = "Sum of offset and size should be lower than 20K"


class Shape(StrEnum):
    GATEWAY = "gateway"
    JIRA = "jira"
    OPS = "ops"
    OPSGENIE = "opsgenie"


class ApiError(Exception):
    """Ends a request with an error answer. `shape`: None for the family's own."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str = "",
        *,
        shape: Shape | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.shape = shape
        self.headers = headers or {}

    def body(self, family_shape: Shape, request_id: str) -> Json:
        shape = self.shape or family_shape
        if shape is Shape.JIRA:
            return {"errorMessages": [self.message], "errors": {}}
        if shape is Shape.OPS:
            return {"errors": [{"title": self.message, "code": self.code or str(self.status)}]}
        code = int(self.code) if self.code.isdigit() else self.status
        body: Json = {"code": code, "message": self.message}
        if shape is Shape.OPSGENIE:
            body |= {"took": 0.002, "requestId": request_id}
        return body


def unauthorized(message: str = UNAUTHORIZED) -> ApiError:
    return ApiError(401, message, shape=Shape.GATEWAY)


def bad_request(message: str) -> ApiError:
    return ApiError(400, message)


def invalid(message: str) -> ApiError:
    """A wrong parameter of Operations."""
    return ApiError(422, message, "INVALID_PARAMETER")


def forbidden() -> ApiError:
    return ApiError(403, "You are not authorized to perform this action.", "FORBIDDEN")


def not_found(what: str) -> ApiError:
    return ApiError(404, f"{what} not found.", "NOT_FOUND")
