"""The exceptions that every API client raises.

    ApiError                     base class
    ├── ApiConnectionError       no usable answer: refused, reset, timed out, cut off
    │   └── NotSentError             no connection was made: the service never saw the request
    ├── InvalidResponseError     the answer is not the JSON that the endpoint documents
    │   └── UnknownShapeError        it is JSON, but not of the documented shape
    ├── UnknownSiteError         the site does not exist
    ├── ForeignHostError         a link that leads away from the connection's host
    ├── CrowdedSecondError       one second holds more items than the API can list
    ├── UnknownOutcomeError      it is unknown whether a write was applied
    └── ApiStatusError           an answer with an error status
        ├── InvalidRequestError      400, 422: the service names the fields
        ├── AuthenticationError      401
        ├── PlanError                402: the plan lacks the feature
        ├── PermissionDeniedError    403: the key lacks a right
        ├── NotFoundError            404
        ├── RedirectError            301, 302, 307, 308
        ├── RateLimitError           429
        │   └── QuotaError               429 for a quota of an hour or so
        └── ServerError              5xx, 408

An ``ApiStatusError`` carries the status, the request id, the service's own message and a hint
that a person can act on. No exception contains a key: only method, path and answer.
"""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from typing import Any, TypeVar

# What a person can do about an answer that contradicts the service's documentation.
REPORT_REMEDY = (
    "Nothing of it was stored. Run the task again; if this persists, report it to the service with this "
    "message."
)


class ApiError(Exception):
    """Base class of everything a client raises."""


class ApiConnectionError(ApiError):
    """No usable answer was received; a read may be repeated."""


class NotSentError(ApiConnectionError):
    """No connection was made, so even a write may be repeated."""


class InvalidResponseError(ApiError):
    """The answer is not the JSON that the endpoint documents (cut off, an HTML page, ...)."""


class UnknownShapeError(InvalidResponseError):
    """The answer is JSON of an undocumented shape; it must never be read as an empty list.

    :param payload: the answer as received, for ``rejected_payloads``.
    """

    def __init__(self, message: str, payload: bytes) -> None:
        self.payload = payload
        super().__init__(message, payload)

    def __str__(self) -> str:
        return str(self.args[0])


class UnknownSiteError(ApiError):
    """The connection's host is no site of the service."""


class ForeignHostError(ApiError):
    """The service answered with a link to another host; the key is not sent there."""


class CrowdedSecondError(ApiError):
    """One second holds more items than the API's paging can reach."""


class UnknownOutcomeError(ApiError):
    """It is unknown whether a write was applied: look it up before sending it again."""


S = TypeVar("S", bound="ApiStatusError")


class ApiStatusError(ApiError):
    """The service answered with an error status.

    :param status: the HTTP status.
    :param message: the service's own message, or the HTTP reason phrase where it gave none.
    :param service: the service's name, for the message.
    :param request: method and path, without query or key.
    :param request_id: the service's id of the request, for its support.
    :param hint: what a person can do about it.
    :param fields: field -> message, where the service gives them (422).
    :param retry_after: seconds to wait, where the service says so (429, 503), else None.
    :param kind: the service's own name for the error (OpsGenie: X-Opsgenie-Errortype), else None.
    """

    def __init__(
        self,
        *,
        status: int,
        message: str,
        service: str,
        request: str,
        request_id: str | None = None,
        hint: str | None = None,
        fields: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        kind: str | None = None,
    ) -> None:
        self.status = status
        self.message = message
        self.service = service
        self.request = request
        self.request_id = request_id
        self.hint = hint
        self.fields = dict(fields or {})
        self.retry_after = retry_after
        self.kind = kind
        super().__init__(str(self))

    def copy_as(self, cls: type[S], *, hint: str | None) -> S:
        """The same answer as an error of another class, or with another hint."""
        return cls(
            status=self.status,
            message=self.message,
            service=self.service,
            request=self.request,
            request_id=self.request_id,
            hint=hint,
            fields=self.fields,
            retry_after=self.retry_after,
            kind=self.kind,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is copied and pickled by its args; this one is made from keywords.
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]

    def __str__(self) -> str:
        parts = [f"{self.service} answered {self.status} to {self.request}: {self.message.rstrip('.')}."]
        if self.fields:
            parts.append(
                "Fields: " + "; ".join(f"{name}: {text}" for name, text in self.fields.items()) + "."
            )
        if self.hint:
            parts.append(self.hint)
        if self.request_id:
            parts.append(f"(request id {self.request_id})")
        return " ".join(parts)


class InvalidRequestError(ApiStatusError):
    """400 or 422: the request was rejected; ``fields`` says why where the service does."""


class AuthenticationError(ApiStatusError):
    """401: the key is unknown here, disabled, or belongs to another region."""


class PlanError(ApiStatusError):
    """402: the account's plan does not include the feature."""


class PermissionDeniedError(ApiStatusError):
    """403: the key lacks an access right."""


class NotFoundError(ApiStatusError):
    """404: the object does not exist, or this key may not see it."""


class RedirectError(ApiStatusError):
    """301, 302, 307, 308: moved to ``location``, an absolute URL; None where the answer has no location."""

    location: str | None = None


class RateLimitError(ApiStatusError):
    """429: too many requests; ``retry_after`` is the wait in seconds that the service asks for."""


class QuotaError(RateLimitError):
    """429: a quota is used up; ``retry_after`` may be most of an hour, too long to wait within a task."""


class ServerError(ApiStatusError):
    """5xx, 408: the service failed or timed out; a read may be repeated."""


# Errors for a single object that this key cannot read: by itself never that it was deleted.
UNREADABLE_ERRORS = (NotFoundError, PermissionDeniedError)

BY_STATUS: dict[int, type[ApiStatusError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: PlanError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServerError,
    422: InvalidRequestError,
    429: RateLimitError,
}


def error_class(status: int) -> type[ApiStatusError]:
    """The exception class for an HTTP error status."""
    return ServerError if status >= 500 else BY_STATUS.get(status, ApiStatusError)
