"""Around every route: headers that keep a browser careful, and bodies that are not read without end."""

from __future__ import annotations

import anyio
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Every field of a form filled, its letters escaped. The webhook has a limit of its own.
MAX_FORM_BYTES = 256 * 1024
FORM_SECONDS = 30.0
HEADERS = {
    # Nothing from elsewhere. Plotly writes its own style sheet, and its charts' styles inline.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


class Headers:
    """Adds :data:`HEADERS` to what has none of them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


class FormLimit:
    """Refuses a form that is too long or too slow: FastAPI reads it before it asks who sends it."""

    def __init__(self, app: ASGIApp, paths: tuple[str, ...]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0
        end = anyio.current_time() + FORM_SECONDS
        has_more = True

        async def receiving() -> Message:
            nonlocal received, has_more
            try:
                with anyio.fail_after(end - anyio.current_time() if has_more else None):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408, f"The form did not arrive within {FORM_SECONDS:.0f} seconds."
                ) from None
            has_more = message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > MAX_FORM_BYTES:
                raise HTTPException(413, f"The form is longer than {MAX_FORM_BYTES} bytes.")
            return message

        limited = scope["type"] == "http" and scope["path"].endswith(self._paths)
        await self._app(scope, receiving if limited else receive, send)
