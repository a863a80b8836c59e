"""Services, teams, users, schedules with rotations, and escalation policies with rules."""

from __future__ import annotations

from itertools import count
from typing import Any

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    boolean,
    check_range,
    decode,
    integer,
    json_text,
    key_text,
    raw_text,
    required_text,
    text,
    timestamp,
)
from opsgenie_provider.rows.parts import OptionalFields, Rejected
from opsgenie_provider.rows.tables import (
    ESCALATION_RULES,
    ESCALATIONS,
    OPSGENIE,
    ROTATIONS,
    SCHEDULES,
    SERVICES,
    TEAMS,
    USERS,
    Row,
)

# "miliseconds" is the spelling of the API description.
_UNITS_PER_SECOND = {"nanos": 10**9, "micros": 10**6, "miliseconds": 1000, "milliseconds": 1000, "seconds": 1}
_UNIT_SECONDS = {"minutes": 60, "hours": 3600, "days": 86400}


def service_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A service (service API); its name is part of the keys of the dora tables."""
    payload = decode(raw)
    parts = OptionalFields(payload, rejected)
    row = SERVICES.row(
        account=account,
        service_id=required_text(payload, "id"),
        name=key_text(payload, "name"),
        team_id=parts.read(text, "teamId"),
        backend=OPSGENIE,
        raw=raw_text(raw),
    )
    return [row]


def team_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A team (team API)."""
    payload = decode(raw)
    row = TEAMS.row(
        account=account,
        team_id=required_text(payload, "id"),
        name=OptionalFields(payload, rejected).read(text, "name"),
        backend=OPSGENIE,
        raw=raw_text(raw),
    )
    return [row]


def user_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A user (user API); the username is an e-mail address."""
    payload = decode(raw)
    parts = OptionalFields(payload, rejected)
    row = USERS.row(
        account=account,
        user_id=required_text(payload, "id"),
        username=parts.read(text, "username"),
        full_name=parts.read(text, "fullName"),
        backend=OPSGENIE,
        raw=raw_text(raw),
    )
    return [row]


def schedule_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A schedule (schedule API); its time zone is an IANA name."""
    payload = decode(raw)
    parts = OptionalFields(payload, rejected)
    row = SCHEDULES.row(
        account=account,
        schedule_id=required_text(payload, "id"),
        name=parts.read(text, "name"),
        timezone=parts.read(text, "timezone"),
        enabled=parts.read(boolean, "enabled"),
        team_id=parts.nested("ownerTeam").read(text, "id"),
        backend=OPSGENIE,
        raw=raw_text(raw),
    )
    return [row]


def rotation_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """The rotations of a schedule, as ``expand=rotation`` gives them."""
    payload = decode(raw)
    schedule_id = required_text(payload, "id")

    def read(rotation: Any) -> Row:
        return rotation_row(
            _object(rotation, "rotations"),
            account=account,
            schedule_id=schedule_id,
            backend=OPSGENIE,
            rejected=rejected,
        )

    return OptionalFields(payload, rejected).each("rotations", read)


def rotation_row(
    rotation: Payload, *, account: str, schedule_id: str, backend: str, rejected: Rejected | None
) -> Row:
    """A rotation, which both services give alike."""
    parts = OptionalFields(rotation, rejected)
    return ROTATIONS.row(
        account=account,
        schedule_id=schedule_id,
        rotation_id=required_text(rotation, "id"),
        name=parts.read(text, "name"),
        rotation_type=parts.read(text, "type"),
        rotation_length=parts.read(integer, "length"),
        start_at=parts.read(timestamp, "startDate"),
        end_at=parts.read(timestamp, "endDate"),
        participants=json_text(rotation.get("participants")),
        time_restriction=json_text(rotation.get("timeRestriction")),
        backend=backend,
        raw=json_text(rotation),
    )


def escalation_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """An escalation policy (escalation API); ``repeat.waitInterval`` is in minutes."""
    payload = decode(raw)
    parts = OptionalFields(payload, rejected)
    repeat = parts.nested("repeat")
    row = ESCALATIONS.row(
        account=account,
        escalation_id=required_text(payload, "id"),
        name=parts.read(text, "name"),
        team_id=parts.nested("ownerTeam").read(text, "id"),
        repeat_count=repeat.read(integer, "count"),
        repeat_wait_seconds=repeat.read(_minutes, "waitInterval"),
        backend=OPSGENIE,
        raw=raw_text(raw),
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

    return OptionalFields(payload, rejected).each("rules", read)


def _rule_row(rule: Payload, account: str, escalation_id: str, step: int, rejected: Rejected | None) -> Row:
    parts = OptionalFields(rule, rejected)
    recipient = parts.nested("recipient")
    return ESCALATION_RULES.row(
        account=account,
        escalation_id=escalation_id,
        step=step,
        condition=parts.read(text, "condition"),
        notify_type=parts.read(text, "notifyType"),
        delay_seconds=parts.read(lambda payload, _: delay_seconds(payload), "delay"),
        recipient_type=recipient.read(text, "type"),
        recipient_id=recipient.read(text, "id"),
        recipient_name=recipient.read(text, "name") or recipient.read(text, "username"),
        backend=OPSGENIE,
        raw=json_text(rule),
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
    return check_range(seconds, "delay", bits=64)


def _minutes(payload: Payload, name: str) -> int | None:
    """Minutes as seconds."""
    minutes = integer(payload, name)
    return None if minutes is None else check_range(minutes * 60, name, bits=32)


def _object(item: Any, name: str) -> Payload:
    if not isinstance(item, dict):
        raise UnreadablePayloadError(f"{name}: expected objects")
    return item
