"""GET /abilities, /priorities, /services, /teams, /users, /escalation_policies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response

from sandbox.pagerduty.errors import ACCOUNT_LEVEL, ApiError, missing_ability, not_found
from sandbox.pagerduty.web import Call


async def list_abilities(call: Call) -> Response:
    """Works with every kind of key, so it serves to check a key."""
    return call.ok({"abilities": call.store.abilities})


async def get_ability(call: Call) -> Response:
    """204: the account has it; 402: it does not; 404: the ability does not exist (python-pagerduty)."""
    name = call.request.path_params["name"]
    if name in call.store.abilities:
        return Response(None, 204, call.headers)
    raise missing_ability(name) if name in ("teams", "urgencies", "priorities", "sso") else not_found()


async def get_me(call: Call) -> Response:
    """Only with a user's own key."""
    user = call.store.users.get(call.key.user or "")
    if user is None:
        raise ApiError(400, ACCOUNT_LEVEL, bare=True)
    return call.ok({"user": call.view().user(user)})


async def list_priorities(call: Call) -> Response:
    """Most severe first; only some plans have priorities."""
    if "priorities" not in call.store.abilities:
        raise missing_ability("priorities")
    return call.page("priorities", list(call.store.priorities.values()), call.view().priority)


def _listing(name: str, kind: str, show: str) -> Callable[[Call], Awaitable[Response]]:
    """A list by name, filtered by query, team_ids[] and, of services, name."""

    async def handler(call: Call) -> Response:
        query, teams = call.text("query").casefold(), set(call.many("team_ids"))
        if teams and "teams" not in call.store.abilities:
            raise missing_ability("teams")
        exact = call.text("name") if kind == "services" else ""

        def wanted(item: Any) -> bool:
            return (
                query in item.name.casefold()
                and (not teams or not teams.isdisjoint(item.team_ids))
                and (not exact or item.name == exact)
            )

        found = [item for item in getattr(call.store, kind).values() if wanted(item)]
        found.sort(key=lambda item: item.name.casefold(), reverse=call.text("sort_by") == "name:desc")
        return call.page(name, found, getattr(call.view(call.zone("UTC")), show))

    return handler


list_services = _listing("services", "services", "service")
list_teams = _listing("teams", "teams", "team")
list_users = _listing("users", "users", "user")
list_policies = _listing("escalation_policies", "policies", "policy")


def getter(kind: str, holder: str) -> Callable[[Call], Awaitable[Response]]:
    """A handler for an object by id, under the name of its kind; a deleted object is a 404."""

    async def handler(call: Call) -> Response:
        id_ = call.request.path_params["id"]
        if id_ not in getattr(call.store, holder):
            raise not_found()
        return call.ok({kind: call.view().ref(kind, id_, full=True)})

    return handler
