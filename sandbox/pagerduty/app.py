"""The ASGI app: each path with its handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.control import control_app
from sandbox.gateway import Gateway
from sandbox.limits import RateLimiter
from sandbox.pagerduty import catalogue_reads as catalogue
from sandbox.pagerduty import incident_reads as reads
from sandbox.pagerduty.control import routes as control_routes
from sandbox.pagerduty.errors import ApiError, not_found
from sandbox.pagerduty.store import Store
from sandbox.pagerduty.web import PUBLISHED_LIMITS, Guard, Handler

_GET: dict[str, Handler] = {
    "/abilities": catalogue.list_abilities,
    "/abilities/{name}": catalogue.get_ability,
    "/incidents": reads.list_incidents,
    "/incidents/{id}": reads.get_incident,
    "/incidents/{id}/log_entries": reads.list_incident_log,
    "/incidents/{id}/notes": reads.list_notes,
    "/incidents/{id}/alerts": reads.list_alerts,
    "/log_entries": reads.list_log,
    "/priorities": catalogue.list_priorities,
    "/services": catalogue.list_services,
    "/services/{id}": catalogue.getter("service", "services"),
    "/teams": catalogue.list_teams,
    "/teams/{id}": catalogue.getter("team", "teams"),
    "/users": catalogue.list_users,
    "/users/me": catalogue.get_me,
    "/users/{id}": catalogue.getter("user", "users"),
    "/escalation_policies": catalogue.list_policies,
    "/escalation_policies/{id}": catalogue.getter("escalation_policy", "policies"),
}


def create_app(store: Store) -> Gateway:
    """The stand-in for an account, with the published rate limit; `.limiter.configure({})` removes it."""
    limiter = RateLimiter(fixed=True)
    limiter.configure(PUBLISHED_LIMITS)
    guard = Guard(store, limiter)
    app = Starlette(
        routes=[Route(path, guard.endpoint(handler), methods=["GET"]) for path, handler in _GET.items()],
        exception_handlers={HTTPException: _unrouted(guard)},
    )
    app.router.redirect_slashes = False
    return Gateway(app, control_app(control_routes(store)), guard, limiter)


def _unrouted(guard: Guard) -> Callable[[Request, Exception], Awaitable[Response]]:
    """404 and 405 in the service's own envelope; a read-only key may not write anywhere."""

    async def handler(request: Request, problem: Exception) -> Response:
        status = problem.status_code if isinstance(problem, HTTPException) else 500
        known = {404: not_found(), 405: ApiError(405, "Method Not Allowed", 2001)}
        return guard.refuse(request, known.get(status, ApiError(status, "Internal Error", 2000)))

    return handler
