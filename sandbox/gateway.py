"""The ASGI layer around every stand-in: request log, latency, faults and the control API."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.faults import HTML_PAGE, Faults
from sandbox.limits import RateLimiter

CONTROL_PREFIX = "/_sandbox"


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request as the stand-in received it. `status` 0 means that no response was sent."""

    at: float
    method: str
    path: str
    query: str
    key: str
    status: int
    ms: float
    fault: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class RequestLog:
    """The last requests, and counts of all of them."""

    def __init__(self, keep: int = 50_000) -> None:
        self.entries: deque[LoggedRequest] = deque(maxlen=keep)
        self.counts: Counter[str] = Counter()
        self.in_flight = 0
        self.max_in_flight = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def end(self, entry: LoggedRequest) -> None:
        with self._lock:
            self.in_flight -= 1
            self.entries.append(entry)
            self.counts["total"] += 1
            self.counts[f"status:{entry.status}"] += 1
            self.counts[f"method:{entry.method}"] += 1
            if entry.fault:
                self.counts[f"fault:{entry.fault}"] += 1

    def clear(self) -> None:
        with self._lock:
            self.entries.clear()
            self.counts.clear()
            self.max_in_flight = self.in_flight

    def snapshot(self) -> list[LoggedRequest]:
        """A copy that is safe to read while requests are served."""
        with self._lock:
            return list(self.entries)


class StandIn(Protocol):
    """What the gateway needs to know about the service behind it."""

    def key_id(self, scope: Scope) -> str:
        """The name of the caller's key, never the key itself."""

    def error(self, status: int) -> Response:
        """The service's own answer for a 408, 429, 500 or 503."""


def _abort(send: Send) -> None:
    """Reset the client's connection, as a broken load balancer would.

    ASGI has no message for this, so uvicorn's transport is used, through its bound `send` method.
    """
    send.__self__.transport.abort()  # type: ignore[attr-defined]


def _close(send: Send) -> None:
    """Close the connection once everything written is sent."""
    send.__self__.transport.close()  # type: ignore[attr-defined]


class Gateway:
    """Wraps a stand-in's ASGI app; `/_sandbox/...` goes to its control app, without faults and limits."""

    def __init__(
        self,
        app: ASGIApp,
        control: Callable[[Gateway], ASGIApp],
        service: StandIn,
        limiter: RateLimiter | None = None,
    ) -> None:
        self.app = app
        self.service = service
        self.faults = Faults()
        self.log = RequestLog()
        self.limiter = limiter or RateLimiter()
        self.control = control(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].startswith(CONTROL_PREFIX):
            await self.control(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.time()
        clock = time.perf_counter()
        status = 0
        fault = self.faults.draw(scope["path"])
        self.log.begin()

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if self.faults.latency_ms:
                await asyncio.sleep(self.faults.latency_ms / 1000)
            if fault in ("drop", "hang"):
                if fault == "hang":
                    await asyncio.sleep(self.faults.hang_seconds)
                _abort(send)
            elif fault in ("cut_json", "cut_body"):
                status = await self._cut(scope, receive, send, fault)
            elif fault == "html":
                await Response(HTML_PAGE, 503, media_type="text/html")(scope, receive, counted)
            elif fault:
                await self.service.error(int(fault))(scope, receive, counted)
            else:
                await self.app(scope, receive, counted)
        finally:
            self.log.end(
                LoggedRequest(
                    at=started,
                    method=scope["method"],
                    path=scope["path"],
                    query=scope["query_string"].decode("latin-1"),
                    key=self.service.key_id(scope),
                    status=status,
                    ms=(time.perf_counter() - clock) * 1000,
                    fault=fault,
                )
            )

    async def _cut(self, scope: Scope, receive: Receive, send: Send, fault: str) -> int:
        """Send the real answer but only half of its body; returns its status."""
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            else:
                body += message.get("body", b"")

        await self.app(scope, receive, collect)
        half = body[: len(body) // 2]
        promised = len(half) if fault == "cut_json" else len(body)
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", b"%d" % promised)]})
        await send({"type": "http.response.body", "body": half, "more_body": fault == "cut_body"})
        if fault == "cut_body":
            _close(send)
        return int(start["status"])
