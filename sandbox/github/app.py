"""The ASGI app: each path with its handler."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.control import control_app
from sandbox.gateway import Gateway
from sandbox.github import reads
from sandbox.github.control import routes as control_routes
from sandbox.github.store import Store
from sandbox.github.web import ANONYMOUS, PUBLISHED_LIMITS, ApiError, Call, Guard, Handler, not_found
from sandbox.limits import RateLimiter

_OF_A_REPOSITORY: dict[str, Handler] = {
    "": reads.get_repository,
    "/deployments": reads.list_deployments,
    "/deployments/{id:int}": reads.get_deployment,
    "/deployments/{id:int}/statuses": reads.list_statuses,
    "/commits/{sha}/pulls": reads.list_pulls,
}


def create_app(store: Store) -> Gateway:
    """The stand-in, with the published primary rate limit; `.limiter.configure({})` lifts it."""
    limiter = RateLimiter(fixed=True, time=time.time)
    limiter.configure(PUBLISHED_LIMITS)
    guard = Guard(store, limiter)
    routes = [Route("/rate_limit", guard.endpoint(reads.rate_limit(guard), free=True), methods=["GET"])]
    for stem in ("/repos/{owner}/{repo}", "/repositories/{repository_id:int}"):
        routes += [
            Route(stem + path, guard.endpoint(handler), methods=["GET"])
            for path, handler in _OF_A_REPOSITORY.items()
        ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _unrouted(guard)})
    app.router.redirect_slashes = False
    return Gateway(app, control_app(control_routes(store)), guard, limiter)


def _unrouted(guard: Guard) -> Callable[[Request, Exception], Awaitable[Response]]:
    """An unknown path is a 404; so is an unknown method."""

    async def handler(request: Request, problem: Exception) -> Response:
        call = Call(request, guard.store, ANONYMOUS)
        try:
            guard.identify(request)
        except ApiError as error:
            return call.fail(error)
        return call.fail(not_found())

    return handler
