"""The ASGI app: each path with its rate-limit domain and required rights."""

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
from sandbox.limits import RateLimiter
from sandbox.opsgenie import alert_reads as alerts
from sandbox.opsgenie import config_reads as config
from sandbox.opsgenie import incident_reads as reads
from sandbox.opsgenie import writes
from sandbox.opsgenie.control import routes as control_routes
from sandbox.opsgenie.errors import ApiError
from sandbox.opsgenie.store import CONFIG, DELETE, READ, WRITE, Key, Store
from sandbox.opsgenie.web import Call, Guard

#: Rate-limit domains (docs.opsgenie.com/docs/api-rate-limiting). Listing users or alerts counts as Search.
INCIDENT, SEARCH, CONFIGURATION, ON_CALLS = "Incident", "Search", "Configuration", "Schedule-oncalls"
ALERT = "Alert"


def create_app(store: Store) -> Gateway:
    """The stand-in for an account. `.faults` and `.limiter` control it, `.log` has its requests."""
    limiter = RateLimiter()
    guard = Guard(store, limiter)
    app = Starlette(
        routes=_routes(guard, limiter),
        exception_handlers={HTTPException: _unrouted(store)},
    )
    # The service answers paths with and without a trailing slash; it never redirects.
    app.router.redirect_slashes = False
    return Gateway(app, control_app(control_routes(store)), guard, limiter)


def _unrouted(store: Store) -> Callable[[Request, Exception], Awaitable[Response]]:
    """404 and 405 in the service's own envelope."""

    async def handler(request: Request, problem: Exception) -> Response:
        status = problem.status_code if isinstance(problem, HTTPException) else 500
        message = {404: "No resource found at this path", 405: "Method not allowed"}.get(status, "Error")
        call = Call(request, store, Key("-", frozenset()), time.perf_counter(), "")
        return call.fail(ApiError(status, message))

    return handler


def _routes(guard: Guard, limiter: RateLimiter) -> list[Route]:
    on = guard.endpoint
    incident_path = "/v1/incidents/{identifier}"
    timeline = "/v2/incident-timelines/{identifier}/entries"
    listing = on(reads.list_incidents, INCIDENT, READ, incidents=True)
    services = on(config.list_services, CONFIGURATION, READ, CONFIG, incidents=True)
    limits = on(config.request_limits(limiter), CONFIGURATION, account=True)
    routes = [
        Route("/v1/incidents", listing, methods=["GET"]),
        Route("/v1/incidents/", listing, methods=["GET"]),
        Route(
            "/v1/incidents/requests/{request_id}",
            on(reads.request_status, INCIDENT, READ, incidents=True),
            methods=["GET"],
        ),
        Route(incident_path, on(reads.get_incident, INCIDENT, READ, incidents=True), methods=["GET"]),
        Route(incident_path + "/logs", on(reads.list_logs, INCIDENT, READ, incidents=True), methods=["GET"]),
        Route(
            incident_path + "/notes", on(reads.list_notes, INCIDENT, READ, incidents=True), methods=["GET"]
        ),
        # The key must not be restricted from configurations (docs.opsgenie.com/docs/incident-timeline).
        Route(timeline, on(reads.list_entries, INCIDENT, READ, CONFIG, incidents=True), methods=["GET"]),
        Route("/v1/services", services, methods=["GET"]),
        Route(
            "/v1/services/{identifier}",
            on(config.get_service, CONFIGURATION, READ, CONFIG, incidents=True),
            methods=["GET"],
        ),
        Route("/v2/alerts", on(alerts.list_alerts, SEARCH, READ), methods=["GET"]),
        Route("/v2/alerts/count", on(alerts.count_alerts, SEARCH, READ), methods=["GET"]),
        Route("/v2/alerts/{identifier}", on(alerts.get_alert, ALERT, READ), methods=["GET"]),
        Route("/v2/users", on(config.list_users, SEARCH, READ, CONFIG), methods=["GET"]),
        Route("/v2/schedules/on-calls", on(config.all_on_calls, ON_CALLS, READ, CONFIG), methods=["GET"]),
        Route(
            "/v2/schedules/{identifier}/on-calls",
            on(config.schedule_on_calls, ON_CALLS, READ, CONFIG),
            methods=["GET"],
        ),
        Route("/v2/account", on(config.account, CONFIGURATION, READ, CONFIG, account=True), methods=["GET"]),
        Route("/v2/request-limits", limits, methods=["GET"]),
        Route("/v2/request-limits/", limits, methods=["GET"]),
    ]
    plain = {
        "/v2/teams": config.list_teams,
        "/v2/teams/{identifier}": config.get_team,
        "/v2/schedules": config.list_schedules,
        "/v2/schedules/{identifier}": config.get_schedule,
        "/v2/schedules/{identifier}/timeline": config.schedule_timeline,
        "/v2/schedules/{identifier}/overrides": config.list_overrides,
        "/v2/escalations": config.list_escalations,
        "/v2/escalations/{identifier}": config.get_escalation,
    }
    routes += [
        Route(path, on(handler, CONFIGURATION, READ, CONFIG), methods=["GET"])
        for path, handler in plain.items()
    ]
    for method, path, handler in writes.ACTIONS:
        right = DELETE if method == "DELETE" and path == incident_path else WRITE
        routes.append(Route(path, on(handler, INCIDENT, right, incidents=True), methods=[method]))
    return routes
