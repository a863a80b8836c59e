"""GET schedules, rotations, timelines, on-calls, overrides, teams, escalations, roles."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from starlette.responses import Response

from sandbox.instants import DAY, Nanos, to_datetime, to_nanos
from sandbox.jsm import ops_bodies as bodies
from sandbox.jsm.errors import forbidden, invalid, not_found
from sandbox.jsm.model import Json
from sandbox.jsm.web import Call
from sandbox.opsgenie.rotations import Span
from sandbox.opsgenie.staff import Escalation, Schedule

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:?\d\d)")


def _date(call: Call, default: Nanos) -> Nanos:
    """ISO 8601 with a time zone; a '+' that was not URL-encoded arrives as a blank: 422."""
    text = call.text("date")
    if not text:
        return default
    try:
        if _DATE.fullmatch(text):
            return to_nanos(text)
    except ValueError as problem:
        raise invalid("date is not valid.") from problem
    raise invalid("date should be an ISO 8601 date-time.")


def _schedule(call: Call) -> Schedule:
    schedule = call.store.operations.schedules.get(call.path["id"])
    if schedule is None:
        raise not_found("Schedule")
    if not call.store.sees_schedule(call.token, schedule):
        raise forbidden()
    return schedule


async def list_schedules(call: Call) -> Response:
    """The schedules that the caller may see; that there are others is not an error."""
    expanded = "rotation" in call.expand("rotation")
    query = call.text("query").casefold()
    prefix = query.endswith("*")

    def matches(name: str) -> bool:
        return name.startswith(query[:-1]) if prefix else not query or name == query

    found = [
        bodies.schedule(call.store, schedule, expanded)
        for schedule in call.store.operations.schedules.values()
        if call.store.sees_schedule(call.token, schedule) and matches(schedule.name.casefold())
    ]
    return call.values(found, 25, 50, _expands=["rotation"])


async def get_schedule(call: Call) -> Response:
    return call.ok(bodies.schedule(call.store, _schedule(call), False))


async def list_rotations(call: Call) -> Response:
    return call.values([bodies.rotation(rotation) for rotation in _schedule(call).rotations], 25, 50)


async def get_rotation(call: Call) -> Response:
    for rotation in _schedule(call).rotations:
        if rotation.id == call.path["rotation"]:
            return call.ok(bodies.rotation(rotation))
    raise not_found("Rotation")


async def list_overrides(call: Call) -> Response:
    """Ongoing and future ones only."""
    schedule, now = _schedule(call), call.store.clock()
    rules = call.store.operations.overrides
    found = [rule for rule in rules if rule.schedule_id == schedule.id and rule.end > now]
    return call.values([bodies.override(rule) for rule in found], 25, 50)


async def on_calls(call: Call) -> Response:
    schedule = _schedule(call)
    flat = call.choice("flat", "false", ("true", "false")) == "true"
    return call.ok(bodies.on_call(call.store, schedule, _date(call, call.store.clock()), flat))


def _later(start: datetime, unit: str, count: int) -> datetime:
    if unit != "months":
        return start + timedelta(days=count * (7 if unit == "weeks" else 1))
    years, month = divmod(start.month - 1 + count, 12)
    return start.replace(year=start.year + years, month=month + 1)


def _floor(at: Nanos, unit: str, zone: tzinfo) -> datetime:
    """The midnight at which the day, week (from Monday) or month of an instant begins."""
    day = to_datetime(at).astimezone(zone).date()
    if unit == "weeks":
        day -= timedelta(days=day.weekday())
    elif unit == "months":
        day = day.replace(day=1)
    return datetime.combine(day, time(), zone)


async def get_timeline(call: Call) -> Response:
    """From the beginning of the day, week or month of `date`, `interval` of these units long."""
    schedule = _schedule(call)
    expand = call.expand("base", "forwarding", "override")
    interval = call.number("interval", 1, 1, 1_000)
    unit = call.choice("intervalUnit", "weeks", ("days", "weeks", "months"))
    now = call.store.clock()
    date = _date(call, now)
    zones = {"utc": ZoneInfo("UTC"), "schedule": ZoneInfo(schedule.timezone), "account": call.zone}
    zone = zones[call.store.switches.timeline_zone]
    begin = _floor(date, unit, zone)
    window = Span(to_nanos(begin), to_nanos(_later(begin, unit, interval)))
    today = to_nanos(_floor(now, "days", zone))
    earliest = window.start if call.store.switches.timeline_reach == "window" else date
    if earliest < today - 365 * DAY:
        raise invalid("The timeline can be retrieved for at most one year back.")
    if window.end > today + 731 * DAY:
        raise invalid("The timeline can be retrieved for at most two years ahead.")
    return call.ok(bodies.timeline(call.store, schedule, window, expand, now))


async def list_teams(call: Call) -> Response:
    """Not paged: for an administrator every team with Operations, else the caller's own."""
    store = call.store
    own = store.teams_of(call.token)
    shown = [
        {"teamId": team.id, "teamName": team.name}
        for team in store.operations.teams.values()
        if team.id in own and (store.switches.plain_teams or team.id not in store.plain_teams)
    ]
    return call.ok({"platformTeams": shown})


def _team(call: Call) -> str:
    id_ = call.path["id"]
    if id_ not in call.store.operations.teams or id_ in call.store.plain_teams:
        raise not_found("Team")
    if id_ not in call.store.teams_of(call.token):
        raise forbidden()
    return id_


def _roles(call: Call) -> list[Json]:
    return [
        {"id": f"{call.store.cloud_id[:8]}-{name}", "name": name,
         "rights": [{"right": "view-configurations", "granted": True}]}
        for name in ("admin", "user")
    ]  # fmt: skip


async def list_team_roles(call: Call) -> Response:
    """A bare array."""
    _team(call)
    return call.ok(_roles(call))


async def list_roles(call: Call) -> Response:
    """For administrators only: a cheap check whether the caller is an administrator."""
    if call.token.role != "admin":
        raise forbidden()
    return call.values(_roles(call), 25, 100)


def _escalations(call: Call) -> list[Escalation]:
    team = _team(call)
    return [policy for policy in call.store.operations.escalations.values() if policy.team_id == team]


async def list_escalations(call: Call) -> Response:
    return call.values([bodies.escalation(call.store, policy) for policy in _escalations(call)], 20, 100)


async def get_escalation(call: Call) -> Response:
    for escalation in _escalations(call):
        if escalation.id == call.path["escalation"]:
            return call.ok(bodies.escalation(call.store, escalation))
    raise not_found("Escalation")
