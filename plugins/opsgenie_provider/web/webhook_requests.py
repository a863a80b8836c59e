"""How long a delivery's body may be, and how a delivery is refused."""

from __future__ import annotations

from typing import Any

import anyio
from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from opsgenie_provider.web.workers import RETRY_AFTER

MAX_BYTES = 1024 * 1024
# A sender waits for an answer for about ten seconds: who takes longer to send holds memory up for nothing.
BODY_SECONDS = 10.0


class RefusedError(Exception):
    """A request that is not carried out.

    :param status: of HTTP.
    :param code: the reason for programs.
    :param message: the reason and the remedy for people.
    :param fields: the fields of the body that are wrong.
    :param retry_after: whether the same request may succeed later.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        fields: list[str] | None = None,
        retry_after: bool = False,
    ) -> None:
        super().__init__(message)
        self._status = status
        self._error: dict[str, Any] = {"code": code, "message": message, "fields": fields or []}
        self._headers = {"Retry-After": RETRY_AFTER} if retry_after else None

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse({"error": self._error}, self._status, self._headers)


async def limited_body(request: Request) -> bytes:
    """The body as it was sent, however long it claims to be.

    :raises RefusedError: it is longer than :data:`MAX_BYTES`, or did not arrive in time.
    """
    claimed = request.headers.get("content-length", "")
    body = bytearray()
    try:
        if not (claimed.isdecimal() and len(claimed) < 20 and int(claimed) > MAX_BYTES):
            with anyio.fail_after(BODY_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        break
                else:
                    return bytes(body)
    except ClientDisconnect:
        raise RefusedError(400, "incomplete", "The body did not arrive as a whole.") from None
    except TimeoutError:
        message = f"The body did not arrive within {BODY_SECONDS:.0f} seconds. Deliver it again."
        raise RefusedError(408, "too_slow", message) from None
    raise RefusedError(413, "too_large", f"The body is longer than {MAX_BYTES} bytes.")
