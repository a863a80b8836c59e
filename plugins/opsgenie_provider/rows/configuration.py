"""Services, teams, users, schedules with rotations, and escalation policies with rules."""

from __future__ import annotations

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    boolean,
    decode,
    fitting,
    integer,
    json_text,
    key_text,
    nested,
    objects,
    required_text,
    text,
    timestamp,
)
from opsgenie_provider.rows.tables import Row

# "miliseconds" is how the published description spells it.
_UNITS_PER_SECOND = {"nanos": 10**9, "micros": 10**6, "miliseconds": 1000, "milliseconds": 1000, "seconds": 1}
_UNIT_SECONDS = {"minutes": 60, "hours": 3600, "days": 86400}


def service_rows(raw: Raw, *, account: str) -> list[Row]:
    """A service (service API); its name stands in the keys of the dora tables."""
    payload = decode(raw)
    row = (
        account,
        required_text(payload, "id"),
        key_text(payload, "name"),
        text(payload, "teamId"),
        _source(raw),
    )
    return [row]


def team_rows(raw: Raw, *, account: str) -> list[Row]:
    """A team (team API)."""
    payload = decode(raw)
    return [(account, required_text(payload, "id"), text(payload, "name"), _source(raw))]


def user_rows(raw: Raw, *, account: str) -> list[Row]:
    """A user (user API); the username is an e-mail address."""
    payload = decode(raw)
    name, full_name = text(payload, "username"), text(payload, "fullName")
    return [(account, required_text(payload, "id"), name, full_name, _source(raw))]


def schedule_rows(raw: Raw, *, account: str) -> list[Row]:
    """A schedule (schedule API); its time zone is an IANA name."""
    payload = decode(raw)
    row = (
        account,
        required_text(payload, "id"),
        text(payload, "name"),
        text(payload, "timezone"),
        boolean(payload, "enabled"),
        text(nested(payload, "ownerTeam"), "id"),
        _source(raw),
    )
    return [row]


def rotation_rows(raw: Raw, *, account: str) -> list[Row]:
    """The rotations of a schedule, as ``expand=rotation`` gives them."""
    payload = decode(raw)
    schedule_id = required_text(payload, "id")
    return [_rotation_row(rotation, account, schedule_id) for rotation in objects(payload, "rotations")]


def _rotation_row(rotation: Payload, account: str, schedule_id: str) -> Row:
    return (
        account,
        schedule_id,
        required_text(rotation, "id"),
        text(rotation, "name"),
        text(rotation, "type"),
        integer(rotation, "length"),
        timestamp(rotation, "startDate"),
        timestamp(rotation, "endDate"),
        json_text(rotation.get("participants")),
        json_text(rotation.get("timeRestriction")),
        json_text(rotation),
    )


def escalation_rows(raw: Raw, *, account: str) -> list[Row]:
    """An escalation policy (escalation API); ``repeat.waitInterval`` is in minutes."""
    payload = decode(raw)
    repeat = nested(payload, "repeat")
    wait = integer(repeat, "waitInterval")
    row = (
        account,
        required_text(payload, "id"),
        text(payload, "name"),
        text(nested(payload, "ownerTeam"), "id"),
        integer(repeat, "count"),
        None if wait is None else fitting(wait * 60, "waitInterval", bits=32),
        _source(raw),
    )
    return [row]


def escalation_rule_rows(raw: Raw, *, account: str) -> list[Row]:
    """The rules of a policy in their order; the first is step 1."""
    payload = decode(raw)
    escalation_id = required_text(payload, "id")
    return [
        _rule_row(rule, account, escalation_id, step)
        for step, rule in enumerate(objects(payload, "rules"), start=1)
    ]


def _rule_row(rule: Payload, account: str, escalation_id: str, step: int) -> Row:
    recipient = nested(rule, "recipient")
    return (
        account,
        escalation_id,
        step,
        text(rule, "condition"),
        text(rule, "notifyType"),
        delay_seconds(rule),
        text(recipient, "type"),
        text(recipient, "id"),
        text(recipient, "name") or text(recipient, "username"),
        json_text(rule),
    )


def delay_seconds(rule: Payload) -> int | None:
    """``delay`` in seconds: {timeAmount, timeUnit}, or a bare number of minutes (JSM operations)."""
    delay = rule.get("delay")
    if not isinstance(delay, dict):
        minutes = integer(rule, "delay")
        return None if minutes is None else minutes * 60
    amount = integer(delay, "timeAmount", bits=64)
    unit = (text(delay, "timeUnit") or "minutes").lower()
    if unit not in _UNIT_SECONDS and unit not in _UNITS_PER_SECOND:
        raise UnreadablePayloadError(f"delay: unknown unit {unit!r:.30}")
    if amount is None:
        return None
    seconds = amount * _UNIT_SECONDS.get(unit, 1) // _UNITS_PER_SECOND.get(unit, 1)
    return fitting(seconds, "delay", bits=64)


def _source(raw: Raw) -> str:
    return bytes(raw).decode()
