"""`/_sandbox/...`: how the demo and the tests control a running stand-in. JSON, no key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from sandbox.gateway import CONTROL_PREFIX, Gateway
from sandbox.instants import Clock, iso

#: (method, body) -> the answer; applies what the request asks for.
Control = Callable[[str, Any], Any]


def control_route(path: str, methods: Sequence[str], control: Control) -> Route:
    """A route answered by `control(method, body)`, with JSON; a wrong body is a 400 with the reason."""

    async def endpoint(request: Request) -> Response:
        try:
            body = await request.json() if request.method in ("POST", "PUT") else dict(request.query_params)
            return JSONResponse(control(request.method, body))
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            return JSONResponse({"error": f"{type(problem).__name__}: {problem}"}, 400)

    handler: Callable[[Request], Awaitable[Response]] = endpoint
    return Route(path, handler, methods=list(methods))


def settings_route(holders: Mapping[str, Any]) -> Route:
    """`/settings`: POST changes the given settings. `holders`: setting -> the object that has it."""

    def settings(method: str, body: Any) -> Any:
        if method == "POST":
            for name, value in body.items():
                setattr(holders[name], name, value)
        return {name: getattr(holder, name) for name, holder in holders.items()}

    return control_route("/settings", ["GET", "POST"], settings)


def clock_route(clock: Clock) -> Route:
    """`/clock`: POST `{"advance": seconds}`."""

    def control(method: str, body: Any) -> Any:
        if method == "POST":
            clock.advance(float(body["advance"]))
        return {"now": iso(clock())}

    return control_route("/clock", ["GET", "POST"], control)


def control_app(more: Sequence[BaseRoute] = ()) -> Callable[[Gateway], Starlette]:
    """The control API that every stand-in has, plus the routes of `more`."""

    def build(gateway: Gateway) -> Starlette:
        return Starlette(routes=[Mount(CONTROL_PREFIX, routes=[*_shared(gateway), *more])])

    return build


def _shared(gateway: Gateway) -> list[BaseRoute]:
    def health(method: str, body: Any) -> Any:
        return {"status": "ok"}

    def faults(method: str, body: Any) -> Any:
        """POST takes the arguments of `Faults.configure`, DELETE clears."""
        if method == "POST":
            gateway.faults.configure(**body)
        elif method == "DELETE":
            gateway.faults.clear()
        return gateway.faults.as_dict()

    def limits(method: str, body: Any) -> Any:
        """PUT replaces `{domain: {window in seconds: requests}}`, DELETE removes all limits."""
        if method != "GET":
            gateway.limiter.configure(body if method == "PUT" else {})
        return gateway.limiter.limits

    def requests(method: str, body: Any) -> Any:
        """The log (`?path=` keeps entries whose path contains it); DELETE clears it."""
        if method == "DELETE":
            gateway.log.clear()
        wanted = body.get("path", "")
        return {
            "requests": [entry.as_dict() for entry in gateway.log.snapshot() if wanted in entry.path],
            "counts": dict(gateway.log.counts),
            "max_in_flight": gateway.log.max_in_flight,
        }

    return [
        control_route("/health", ["GET"], health),
        control_route("/faults", ["GET", "POST", "DELETE"], faults),
        control_route("/limits", ["GET", "PUT", "DELETE"], limits),
        control_route("/requests", ["GET", "DELETE"], requests),
    ]
