"""What requests from outside may cost: bytes, threads and time; and how one is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

MAX_BYTES = 1024 * 1024
# Deliveries at work at the same time; the API server's own threads stay free for its own.
_THREADS = 8
_SECONDS_IN_LINE = 5.0
_RETRY_AFTER = "60"
_limiter: RunVar[CapacityLimiter] = RunVar("opsgenie_provider_webhook")
_T = TypeVar("_T")


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
        self._headers = {"Retry-After": _RETRY_AFTER} if retry_after else None

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse({"error": self._error}, self._status, self._headers)


async def limited_body(request: Request) -> bytes:
    """The body as it was sent, however long it claims to be.

    :raises RefusedError: it is longer than :data:`MAX_BYTES`, or did not arrive.
    """
    claimed = request.headers.get("content-length", "")
    body = bytearray()
    try:
        if not (claimed.isdecimal() and len(claimed) < 20 and int(claimed) > MAX_BYTES):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    break
            else:
                return bytes(body)
    except ClientDisconnect:
        raise RefusedError(400, "incomplete", "The body did not arrive as a whole.") from None
    raise RefusedError(413, "too_large", f"The body is longer than {MAX_BYTES} bytes.")


async def off_the_loop(work: Callable[[], _T]) -> _T:
    """Run what blocks in a thread, a few at a time.

    :raises RefusedError: too many are waiting for a thread.
    """
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = CapacityLimiter(_THREADS)
        _limiter.set(limiter)
    try:
        # Work that has begun is waited for; only waiting in line ends with the time.
        with anyio.fail_after(_SECONDS_IN_LINE):
            return await to_thread.run_sync(work, limiter=limiter)
    except TimeoutError:
        raise RefusedError(
            503, "busy", "Too many deliveries at once. Deliver it again.", retry_after=True
        ) from None
