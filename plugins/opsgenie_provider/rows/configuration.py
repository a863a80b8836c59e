"""Services, teams, users, schedules with rotations, and escalation policies with rules."""

from __future__ import annotations

from itertools import count
from typing import Any

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
    raw_text,
    required_text,
    text,
    timestamp,
)
from opsgenie_provider.rows.parts import Parts, Rejected
from opsgenie_provider.rows.tables import OPSGENIE, Row

# "miliseconds" is the spelling of the API description.
_UNITS_PER_SECOND = {"nanos": 10**9, "micros": 10**6, "miliseconds": 1000, "milliseconds": 1000, "seconds": 1}
_UNIT_SECONDS = {"minutes": 60, "hours": 3600, "days": 86400}


def service_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A service (service API); its name is part of the keys of the dora tables."""
    payload = decode(raw)
    parts = Parts(payload, rejected)
    row = (
        account,
        required_text(payload, "id"),
        key_text(payload, "name"),
        parts.read(text, "teamId"),
        OPSGENIE,
        raw_text(raw),
    )
    return [row]


def team_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A team (team API)."""
    payload = decode(raw)
    name = Parts(payload, rejected).read(text, "name")
    return [(account, required_text(payload, "id"), name, OPSGENIE, raw_text(raw))]


def user_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A user (user API); the username is an e-mail address."""
    payload = decode(raw)
    parts = Parts(payload, rejected)
    name, full_name = parts.read(text, "username"), parts.read(text, "fullName")
    return [(account, required_text(payload, "id"), name, full_name, OPSGENIE, raw_text(raw))]


def schedule_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A schedule (schedule API); its time zone is an IANA name."""
    payload = decode(raw)
    parts = Parts(payload, rejected)
    row = (
        account,
        required_text(payload, "id"),
        parts.read(text, "name"),
        parts.read(text, "timezone"),
        parts.read(boolean, "enabled"),
        parts.nested("ownerTeam").read(text, "id"),
        OPSGENIE,
        raw_text(raw),
    )
    return [row]


def rotation_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """The rotations of a schedule, as ``expand=rotation`` gives them."""
    payload = decode(raw)
    schedule_id = required_text(payload, "id")

    def read(rotation: Any) -> Row:
        return _rotation_row(_object(rotation, "rotations"), account, schedule_id, rejected)

    return Parts(payload, rejected).each("rotations", read)


def _rotation_row(rotation: Payload, account: str, schedule_id: str, rejected: Rejected | None) -> Row:
    parts = Parts(rotation, rejected)
    return (
        account,
        schedule_id,
        required_text(rotation, "id"),
        parts.read(text, "name"),
        parts.read(text, "type"),
        parts.read(integer, "length"),
        parts.read(timestamp, "startDate"),
        parts.read(timestamp, "endDate"),
        json_text(rotation.get("participants")),
        json_text(rotation.get("timeRestriction")),
        OPSGENIE,
        json_text(rotation),
    )


def escalation_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """An escalation policy (escalation API); ``repeat.waitInterval`` is in minutes."""
    payload = decode(raw)
    parts = Parts(payload, rejected)
    repeat = parts.nested("repeat")
    row = (
        account,
        required_text(payload, "id"),
        parts.read(text, "name"),
        parts.nested("ownerTeam").read(text, "id"),
        repeat.read(integer, "count"),
        repeat.read(_minutes, "waitInterval"),
        OPSGENIE,
        raw_text(raw),
    )
    return [row]


def escalation_rule_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """The rules of a policy in their order; the first is step 1."""
    payload = decode(raw)
    escalation_id = required_text(payload, "id")
    # A rule that cannot be read counts as a step, too.
    steps = count(1)

    def read(rule: Any) -> Row:
        step = next(steps)
        return _rule_row(_object(rule, "rules"), account, escalation_id, step, rejected)

    return Parts(payload, rejected).each("rules", read)


def _rule_row(rule: Payload, account: str, escalation_id: str, step: int, rejected: Rejected | None) -> Row:
    parts = Parts(rule, rejected)
    recipient = parts.nested("recipient")
    return (
        account,
        escalation_id,
        step,
        parts.read(text, "condition"),
        parts.read(text, "notifyType"),
        parts.read(lambda payload, _: delay_seconds(payload), "delay"),
        recipient.read(text, "type"),
        recipient.read(text, "id"),
        recipient.read(text, "name") or recipient.read(text, "username"),
        OPSGENIE,
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


def _minutes(payload: Payload, name: str) -> int | None:
    """Minutes as seconds."""
    minutes = integer(payload, name)
    return None if minutes is None else fitting(minutes * 60, name, bits=32)


def _object(item: Any, name: str) -> Payload:
    if not isinstance(item, dict):
        raise UnreadablePayloadError(f"{name}: expected objects")
    return item
