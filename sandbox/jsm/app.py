"""The ASGI app: each path with its family and required scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.control import control_app
from sandbox.gateway import Gateway
from sandbox.jsm import alert_reads as alerts
from sandbox.jsm import issue_reads as issues
from sandbox.jsm import ops_reads as ops
from sandbox.jsm import site_reads as site
from sandbox.jsm.access import ISSUE, JIRA, OPS, SEARCH, SERVICES, USER, Family
from sandbox.jsm.control import routes as control_routes
from sandbox.jsm.errors import ApiError
from sandbox.jsm.search import Searches, removed
from sandbox.jsm.store import JIRA_USER, JIRA_WORK, OPS_ALERT, OPS_CONFIG, Store
from sandbox.jsm.web import PUBLISHED_LIMITS, Call, Guard, Handler
from sandbox.limits import RateLimiter

#: The version of Jira's API decides how it prints a description: 2 as text, 3 as a document.
_JIRA: dict[str, tuple[Handler, Family, str]] = {
    "/myself": (site.myself, USER, JIRA_USER),
    "/user": (site.get_user, USER, JIRA_USER),
    "/user/bulk": (site.bulk_users, USER, JIRA_USER),
    "/field": (site.list_fields, JIRA, JIRA_WORK),
    "/priority": (site.list_priorities, JIRA, JIRA_WORK),
    "/status": (site.list_statuses, JIRA, JIRA_WORK),
    "/issuetype": (site.list_issue_types, JIRA, JIRA_WORK),
    "/search": (removed, SEARCH, JIRA_WORK),
    "/project/{project}": (site.get_project, JIRA, JIRA_WORK),
    "/project/{project}/issuesecuritylevelscheme": (site.get_security_scheme, JIRA, JIRA_WORK),
    "/issue/{issue}": (issues.get_issue, ISSUE, JIRA_WORK),
    "/issue/{issue}/changelog": (issues.get_changelog, ISSUE, JIRA_WORK),
}
_OPS: dict[str, tuple[Handler, str]] = {
    "/schedules": (ops.list_schedules, OPS_CONFIG),
    "/schedules/{id}": (ops.get_schedule, OPS_CONFIG),
    "/schedules/{id}/rotations": (ops.list_rotations, OPS_CONFIG),
    "/schedules/{id}/rotations/{rotation}": (ops.get_rotation, OPS_CONFIG),
    "/schedules/{id}/timeline": (ops.get_timeline, OPS_CONFIG),
    "/schedules/{id}/on-calls": (ops.on_calls, OPS_CONFIG),
    "/schedules/{id}/overrides": (ops.list_overrides, OPS_CONFIG),
    "/teams": (ops.list_teams, OPS_CONFIG),
    "/teams/{id}/roles": (ops.list_team_roles, OPS_CONFIG),
    "/teams/{id}/escalations": (ops.list_escalations, OPS_CONFIG),
    "/teams/{id}/escalations/{escalation}": (ops.get_escalation, OPS_CONFIG),
    "/roles": (ops.list_roles, OPS_CONFIG),
    "/alerts": (alerts.list_alerts, OPS_ALERT),
    "/alerts/alias": (alerts.get_by_alias, OPS_ALERT),
    "/alerts/{id}": (alerts.get_alert, OPS_ALERT),
    "/alerts/{id}/logs": (alerts.list_logs, OPS_ALERT),
    "/alerts/{id}/notes": (alerts.list_notes, OPS_ALERT),
}
_JIRA_BASES = ("/ex/jira/{cloud_id}/rest/api/2", "/ex/jira/{cloud_id}/rest/api/3")


def create_app(store: Store) -> Gateway:
    """The stand-in for a site, serving both the site's own paths and the API gateway's.

    `.limiter.configure({})` removes the published limits. Two apps of the same store can serve as the site
    and the API on separate hosts, each with its own request log.
    """
    limiter = RateLimiter(fixed=True)
    limiter.configure(PUBLISHED_LIMITS)
    guard = Guard(store, limiter)
    app = Starlette(
        routes=_routes(store, guard),
        exception_handlers={HTTPException: _unrouted(store)},
    )
    app.router.redirect_slashes = False
    return Gateway(app, control_app(control_routes(store)), guard, limiter)


def _routes(store: Store, guard: Guard) -> list[Route]:
    on = guard.endpoint
    search = on(Searches(store).search, SEARCH, JIRA_WORK)
    # This read is a POST, because its list of ids may be long. The search exists as a POST, too, but readers
    # do not need it.
    bulk = on(issues.bulk_changelog, ISSUE, JIRA_WORK)
    routes = [
        Route("/_edge/tenant_info", _tenant_info(store), methods=["GET"]),
        Route(
            "/jsm/api/{cloud_id}/v1/services/", on(site.list_services, SERVICES, OPS_CONFIG), methods=["GET"]
        ),
    ]
    for base in _JIRA_BASES:
        routes.append(Route(f"{base}/search/jql", search, methods=["GET"]))
        routes.append(Route(f"{base}/changelog/bulkfetch", bulk, methods=["POST"]))
        routes += [
            Route(base + path, on(handler, family, scope), methods=["GET"])
            for path, (handler, family, scope) in _JIRA.items()
        ]
    for path, (handler, scope) in _OPS.items():
        direct = on(handler, OPS, scope, direct_ops=True)
        routes.append(Route(f"/jsm/ops/api/{{cloud_id}}/v1{path}", direct, methods=["GET"]))
        # This path certainly accepts tokens with scopes.
        routes.append(
            Route(f"/ex/jira/{{cloud_id}}/jsm/ops/api/v1{path}", on(handler, OPS, scope), methods=["GET"])
        )
    return routes


def _tenant_info(store: Store) -> Callable[[Request], Awaitable[Response]]:
    """The site's public endpoint with its cloud id."""

    async def handler(request: Request) -> Response:
        if not store.switches.site_known:
            return PlainTextResponse("Site unavailable", 404)
        return JSONResponse({"cloudId": store.cloud_id})

    return handler


def _unrouted(store: Store) -> Callable[[Request, Exception], Awaitable[Response]]:
    """404 and 405 in the family's shape of errors."""

    async def handler(request: Request, problem: Exception) -> Response:
        status = problem.status_code if isinstance(problem, HTTPException) else 500
        family = JIRA if "/rest/api/" in request.url.path else OPS
        message = {404: "No endpoint at this path", 405: "Method not allowed"}.get(status, "Error")
        return Call(request, store, family).fail(ApiError(status, message))

    return handler
