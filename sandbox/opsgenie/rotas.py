"""The demo company's schedules, overrides, forwarding rules and escalation policies."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sandbox.instants import DAY, HOUR, Nanos, to_datetime, to_nanos
from sandbox.opsgenie.model import Json
from sandbox.opsgenie.rotations import WEEKDAYS
from sandbox.opsgenie.staff import Escalation, Participant, Rule, Schedule
from sandbox.opsgenie.store import NOBODY, Store, escalation, team, user

OFFICE_HOURS: Json = {
    "type": "weekday-and-time-of-day",
    "restrictions": [
        {"startDay": day, "startHour": 9, "startMin": 0, "endDay": day, "endHour": 18, "endMin": 0}
        for day in WEEKDAYS[:5]
    ],
}
WEEKENDS: Json = {
    "type": "weekday-and-time-of-day",
    "restrictions": [
        {"startDay": "saturday", "startHour": 0, "startMin": 0, "endDay": "monday", "endHour": 0, "endMin": 0}
    ],
}
NIGHTS: Json = {
    "type": "time-of-day",
    "restriction": {"startHour": 22, "startMin": 0, "endHour": 6, "endMin": 30},
}


def _monday(at: Nanos, zone: str, hour: int) -> Nanos:
    """The Monday on or before an instant, at an hour of local time."""
    local = to_datetime(at).astimezone(ZoneInfo(zone))
    day = local.date() - timedelta(days=local.weekday())
    return to_nanos(datetime.combine(day, time(hour), ZoneInfo(zone)))


def add_on_call(store: Store, start: Nanos, end: Nanos) -> None:
    """Two or three rotations per team in four time zones, from before `start`; exceptions around `end`."""
    crews = {found.name: [user(store.users[id_]) for id_ in found.members] for found in store.teams.values()}
    before = start - 30 * DAY
    payments = _payments(store, crews["Payments"], before)
    storefront = _storefront(store, crews["Storefront"], before)
    _platform(store, crews["Platform"], before, start + 20 * DAY)
    _policy(store, payments, 4, repeats=True)
    _policy(store, storefront, 10)
    people = [Rule("if-not-acked", "default", 10 * step, who) for step, who in enumerate(crews["Platform"])]
    direct = _escalation(store, "Platform", people)
    _data(store, crews["Data"], before, escalation(direct))
    _exceptions(store, payments, storefront, crews, end)


def _team(store: Store, name: str) -> Participant:
    return team(next(found for found in store.teams.values() if found.name == name))


def _schedule(store: Store, name: str, zone: str, rotations: list[Json]) -> Schedule:
    owner = next(found for found in store.teams.values() if found.name == name)
    made = [store.rotation(**rotation) for rotation in rotations]
    return store.add_schedule(f"{name}_schedule", zone, owner, made, description=f"{name} on call")


def _payments(store: Store, crew: list[Participant], before: Nanos) -> Schedule:
    zone = "America/New_York"
    return _schedule(store, "Payments", zone, [
        {"name": "Primary", "start": _monday(before, zone, 9), "type": "weekly", "participants": crew},
        {"name": "Office hours", "start": _monday(before, zone, 0), "type": "daily", "participants": crew[1:],
         "restriction": OFFICE_HOURS},
        {"name": "Nights", "start": _monday(before, zone, 12), "type": "daily", "participants": crew[:3],
         "restriction": NIGHTS},
    ])  # fmt: skip


def _storefront(store: Store, crew: list[Participant], before: Nanos) -> Schedule:
    zone = "Europe/Berlin"
    return _schedule(store, "Storefront", zone, [
        {"name": "Primary", "start": _monday(before, zone, 10), "type": "weekly", "participants": crew},
        {"name": "Secondary", "start": _monday(before, zone, 10), "type": "weekly", "length": 2,
         "participants": crew[::-1]},
    ])  # fmt: skip


def _platform(store: Store, crew: list[Participant], before: Nanos, ended: Nanos) -> Schedule:
    """Twelve-hour shifts around the clock, the whole team as backup, and a rotation that has ended."""
    zone = "Asia/Kolkata"
    start = _monday(before, zone, 8)
    backup = [_team(store, "Platform")]
    end = ended // HOUR * HOUR
    return _schedule(store, "Platform", zone, [
        {"name": "Around the clock", "start": start, "type": "hourly", "length": 12, "participants": crew},
        {"name": "Backup", "start": start, "type": "weekly", "participants": backup},
        {"name": "Migration watch", "start": start, "type": "daily", "participants": crew[:2], "end": end},
    ])  # fmt: skip


def _data(store: Store, crew: list[Participant], before: Nanos, weekends: Participant) -> Schedule:
    """Nobody on every fourth day; another team's escalation on weekends."""
    zone = "Europe/London"
    days = {
        "name": "Days",
        "start": _monday(before, zone, 9),
        "type": "daily",
        "participants": [*crew, NOBODY],
    }
    ends = {
        "name": "Weekends",
        "start": _monday(before, zone, 0),
        "type": "weekly",
        "participants": [weekends],
    }
    return _schedule(store, "Data", zone, [days, {**ends, "restriction": WEEKENDS}])


def _escalation(store: Store, name: str, rules: list[Rule], repeat: Json | None = None) -> Escalation:
    owner = next(found for found in store.teams.values() if found.name == name)
    return store.add_escalation(
        f"{name}_escalation", owner, rules, description=f"Pages {name}", repeat=repeat
    )


def _policy(store: Store, schedule: Schedule, hours: int, repeats: bool = False) -> None:
    """Notifies who is on call, then the next on call, then the whole team."""
    on_call = Participant("schedule", schedule.id, schedule.name)
    owner = store.teams[schedule.team_id]
    rules = [
        Rule("if-not-acked", "default", 0, on_call),
        Rule("if-not-acked", "next", 5, on_call),
        Rule("if-not-closed", "all", hours * 60, team(owner)),
    ]
    repeat: Json = {"waitInterval": 10, "count": 3, "resetRecipientStates": False, "closeAlertAfterAll": True}
    _escalation(store, owner.name, rules, repeat if repeats else None)


def _exceptions(
    store: Store, payments: Schedule, storefront: Schedule, crews: dict[str, list[Participant]], end: Nanos
) -> None:
    """Overrides and forwarding rules: past, ongoing and future."""
    hour = end // HOUR * HOUR
    pay, shop = crews["Payments"], crews["Storefront"]
    primary = [payments.rotations[0].id]
    store.add_override(payments.id, pay[3], hour - 40 * DAY, hour - 39 * DAY, primary)
    store.add_override(payments.id, pay[2], hour - 6 * HOUR, hour + 18 * HOUR, primary)
    store.add_override(storefront.id, shop[0], hour - 75 * DAY, hour - 74 * DAY)
    store.add_override(storefront.id, shop[2], hour + 5 * DAY, hour + 7 * DAY)
    store.add_forwarding(shop[1], shop[3], hour - 21 * DAY, hour - 14 * DAY)
    store.add_forwarding(pay[0], pay[1], hour + 3 * DAY, hour + 17 * DAY)
