"""GET services, teams, users, schedules, overrides, on-calls, escalations, account, request limits."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import msgspec
from starlette.responses import Response

from sandbox.instants import DAY, Nanos, iso, to_datetime, to_nanos
from sandbox.limits import RateLimiter
from sandbox.opsgenie import oncall
from sandbox.opsgenie.errors import not_found, unprocessable
from sandbox.opsgenie.rotations import Span
from sandbox.opsgenie.staff import Escalation, Override, Schedule, Team
from sandbox.opsgenie.web import Call, Handler

USER_SORTS = ("username", "fullName", "insertedAt")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:?\d\d)")


async def list_services(call: Call) -> Response:
    offset, limit = call.window()
    order = call.choice("order", "asc", ("asc", "desc"))
    found = [item for item in call.store.services.values() if call.store.owns(call.key, item.team_id)]
    found.sort(key=lambda item: (item.name, item.id), reverse=order == "desc")
    page = [msgspec.json.encode(item.payload()) for item in found[offset : offset + limit]]
    return call.page(page, len(found), offset, limit, counted=False, sort="name", order=order)


async def get_service(call: Call) -> Response:
    service = call.store.services.get(call.path["identifier"])
    if service is None or not call.store.owns(call.key, service.team_id):
        raise not_found("Service", call.path["identifier"])
    return call.ok(service.payload())


async def list_teams(call: Call) -> Response:
    """Not paged, and without members."""
    found = [team.payload() for team in call.store.teams.values() if call.store.owns(call.key, team.id)]
    return call.ok(found, expandable=["member"])


async def get_team(call: Call) -> Response:
    team = _named(call, call.store.teams, "Team")
    members = [
        {"user": {"id": user.id, "username": user.username}, "role": "user" if number else "admin"}
        for number, id_ in enumerate(team.members)
        if (user := call.store.users.get(id_))
    ]
    return call.ok({**team.meta(), "description": team.description, "members": members})


async def list_users(call: Call) -> Response:
    """limit 100 by default, ascending by username."""
    offset, limit = call.window(default=100, most=500)
    sort = call.choice("sort", "username", USER_SORTS)
    order = call.choice("order", "asc", ("asc", "desc"))
    keys = {"username": "username", "fullName": "full_name", "insertedAt": "created_at"}
    found = sorted(
        call.store.users.values(),
        key=lambda user: (getattr(user, keys[sort]), user.id),
        reverse=order == "desc",
    )
    page = [msgspec.json.encode(user.payload()) for user in found[offset : offset + limit]]
    return call.page(page, len(found), offset, limit, sort=sort, order=order)


async def list_schedules(call: Call) -> Response:
    """Not paged; `rotations` is empty unless expanded."""
    expand = _expand(call, {"rotation"})
    schedules = [item for item in call.store.schedules.values() if call.store.owns(call.key, item.team_id)]
    return call.ok(
        [_schedule(call, item, "rotation" in expand) for item in schedules], expandable=["rotation"]
    )


async def get_schedule(call: Call) -> Response:
    return call.ok(_schedule(call, _named(call, call.store.schedules, "Schedule"), True))


async def schedule_timeline(call: Call) -> Response:
    """From `date` (default now), `interval` units long; at most one year back and two years ahead."""
    schedule: Schedule = _named(call, call.store.schedules, "Schedule")
    expand = _expand(call, {"base", "forwarding", "override"})
    interval = call.number("interval", 1, 1, 120)
    unit = call.choice("intervalUnit", "weeks", ("days", "weeks", "months"))
    now = call.store.clock()
    start = _date(call, now)
    end = (
        _months_later(start, interval)
        if unit == "months"
        else start + interval * (7 if unit == "weeks" else 1) * DAY
    )
    # Documented for the same backend under its Jira name: one year from today back, two years ahead.
    if start < now - 366 * DAY or end > now + 731 * DAY:
        raise unprocessable("The timeline can go back at most one year and ahead at most two years.")
    data = oncall.timeline(call.store, schedule, Span(start, end), expand, now)
    return call.ok(data, expandable=["base", "forwarding", "override"])


async def all_on_calls(call: Call) -> Response:
    at, flat = _date(call, call.store.clock()), call.params.get("flat") == "true"
    schedules = [item for item in call.store.schedules.values() if call.store.owns(call.key, item.team_id)]
    return call.ok([oncall.on_call_payload(call.store, item, at, flat) for item in schedules if item.enabled])


async def schedule_on_calls(call: Call) -> Response:
    """Here the parameter is called scheduleIdentifierType."""
    schedule = _named(call, call.store.schedules, "Schedule", "scheduleIdentifierType")
    at, flat = _date(call, call.store.clock()), call.params.get("flat") == "true"
    return call.ok(oncall.on_call_payload(call.store, schedule, at, flat))


async def list_overrides(call: Call) -> Response:
    """Only ongoing and future overrides; past overrides are only visible in the timeline."""
    schedule: Schedule = _named(call, call.store.schedules, "Schedule", "scheduleIdentifierType")
    now = call.store.clock()
    found = [item for item in call.store.overrides if item.schedule_id == schedule.id and item.end > now]
    return call.ok([_override(schedule, item) for item in found])


async def list_escalations(call: Call) -> Response:
    """Not paged."""
    found = [item for item in call.store.escalations.values() if call.store.owns(call.key, item.team_id)]
    return call.ok([_escalation(call, item) for item in found])


async def get_escalation(call: Call) -> Response:
    return call.ok(_escalation(call, _named(call, call.store.escalations, "Escalation")))


async def account(call: Call) -> Response:
    plan = {"maxUserCount": 100, "name": call.store.plan, "isYearly": True}
    return call.ok({"name": call.store.name, "userCount": len(call.store.users), "plan": plan})


def request_limits(limiter: RateLimiter) -> Handler:
    """As Atlassian's backup tool reads them; names of domains are in lower case."""

    async def handler(call: Call) -> Response:
        limits = [
            {
                "domain": domain.lower(),
                "limits": [{"limit": n, "periodInSeconds": period} for period, n in sorted(windows.items())],
            }
            for domain, windows in limiter.limits.items()
        ]
        return call.ok({"rateLimits": limits})

    return handler


def _named(call: Call, kind: dict[str, Any], what: str, parameter: str = "identifierType") -> Any:
    """An object by id, or by name where the parameter says so; a team's key finds only its own."""
    identifier = call.path["identifier"]
    if call.choice(parameter, "id", ("id", "name")) == "name":
        item = next((item for item in kind.values() if item.name == identifier), None)
    else:
        item = kind.get(identifier)
    if item is None or not call.store.owns(call.key, item.id if isinstance(item, Team) else item.team_id):
        raise not_found(what, identifier)
    return item


def _expand(call: Call, allowed: set[str]) -> set[str]:
    wanted = {part.strip() for part in call.params.get("expand", "").split(",") if part.strip()}
    if wanted - allowed:
        raise unprocessable(f"Request parameter [expand] should be one of {', '.join(sorted(allowed))}")
    return wanted


def _date(call: Call, default: Nanos) -> Nanos:
    """yyyy-MM-dd'T'HH:mm:ssZ. A '+' that was not URL-encoded arrives as a blank: 422."""
    text = call.params.get("date", "")
    if not text:
        return default
    if not _DATE.fullmatch(text):
        raise unprocessable("Date should be in yyyy-MM-dd'T'HH:mm:ssZ format.", {"date": "Invalid date"})
    try:
        return to_nanos(text)
    except ValueError as problem:
        raise unprocessable("Date is not valid.", {"date": "Invalid date"}) from problem


def _months_later(start: Nanos, months: int) -> Nanos:
    """The same day of a later month, or that month's last day."""
    moment = to_datetime(start)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    following = moment.replace(year=year + (month + 1) // 12, month=(month + 1) % 12 + 1, day=1)
    last_day = (following - timedelta(days=1)).day
    return to_nanos(moment.replace(year=year, month=month + 1, day=min(moment.day, last_day)))


def _owner(call: Call, team_id: str) -> dict[str, Any]:
    team = call.store.teams.get(team_id)
    return {"ownerTeam": team.meta()} if team else {}


def _schedule(call: Call, schedule: Schedule, with_rotations: bool) -> dict[str, Any]:
    return {
        "id": schedule.id,
        "name": schedule.name,
        "description": schedule.description,
        "timezone": schedule.timezone,
        "enabled": schedule.enabled,
        **_owner(call, schedule.team_id),
        "rotations": [rotation.payload() for rotation in schedule.rotations] if with_rotations else [],
    }


def _override(schedule: Schedule, override: Override) -> dict[str, Any]:
    names = {rotation.id: rotation.name for rotation in schedule.rotations}
    ids = override.rotations or list(names)
    return {
        "_parent": schedule.meta(),
        "alias": override.alias,
        "user": override.user.payload(),
        "startDate": iso(override.start),
        "endDate": iso(override.end),
        "rotations": [{"id": id_, "name": names.get(id_, "")} for id_ in ids],
    }


def _escalation(call: Call, escalation: Escalation) -> dict[str, Any]:
    body = {
        "id": escalation.id,
        "name": escalation.name,
        "description": escalation.description,
        **_owner(call, escalation.team_id),
        "rules": [rule.payload() for rule in escalation.rules],
    }
    if escalation.repeat is not None:
        body["repeat"] = escalation.repeat
    return body
