"""Services, teams, users, schedules and escalation policies of Jira Service Management."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Raw

from opsgenie_provider.rows.configuration import delay_seconds
from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    boolean,
    check_range,
    decode,
    integer,
    json_text,
    key_text,
    nested,
    objects,
    raw_text,
    required_text,
    text,
    timestamp,
)
from opsgenie_provider.rows.jsm_fields import Directory, checked_id, plain_id, required_objects
from opsgenie_provider.rows.tables import (
    ESCALATION_RULES,
    ESCALATIONS,
    JSM,
    ROTATIONS,
    SCHEDULES,
    SERVICES,
    TEAMS,
    USERS,
    Row,
)


def service_rows(raw: Raw, *, account: str) -> list[Row]:
    """A service (JSM services API), with the id by which incidents refer to it."""
    payload = decode(raw)
    service_id = checked_id(plain_id(required_text(payload, "id")))
    name, team_id = key_text(payload, "name"), text(payload, "owner")
    return [
        SERVICES.row(
            account=account, service_id=service_id, name=name, team_id=team_id, backend=JSM, raw=raw_text(raw)
        )
    ]


def team_rows(raw: Raw, *, account: str) -> list[Row]:
    """A team with Operations (teams)."""
    payload = decode(raw)
    team_id, name = required_text(payload, "teamId"), text(payload, "teamName")
    return [TEAMS.row(account=account, team_id=team_id, name=name, backend=JSM, raw=raw_text(raw))]


def user_rows(raw: Raw, *, account: str) -> list[Row]:
    """A user (Jira, users); the e-mail address may be hidden."""
    payload = decode(raw)
    return [
        USERS.row(
            account=account,
            user_id=required_text(payload, "accountId"),
            username=text(payload, "emailAddress"),
            full_name=text(payload, "displayName"),
            backend=JSM,
            raw=raw_text(raw),
        )
    ]


def schedule_rows(raw: Raw, *, account: str) -> list[Row]:
    """A schedule; one without a team has an empty ``teamId``."""
    payload = decode(raw)
    return [
        SCHEDULES.row(
            account=account,
            schedule_id=required_text(payload, "id"),
            name=text(payload, "name"),
            timezone=text(payload, "timezone"),
            enabled=boolean(payload, "enabled"),
            team_id=text(payload, "teamId"),
            backend=JSM,
            raw=raw_text(raw),
        )
    ]


def rotation_rows(raw: Raw, *, account: str) -> list[Row]:
    """The rotations of a schedule, as ``expand=rotation`` gives them."""
    payload = decode(raw)
    schedule_id = required_text(payload, "id")
    return [
        ROTATIONS.row(
            account=account,
            schedule_id=schedule_id,
            rotation_id=required_text(rotation, "id"),
            name=text(rotation, "name"),
            rotation_type=text(rotation, "type"),
            rotation_length=integer(rotation, "length"),
            start_at=timestamp(rotation, "startDate"),
            end_at=timestamp(rotation, "endDate"),
            participants=json_text(rotation.get("participants")),
            time_restriction=json_text(rotation.get("timeRestriction")),
            backend=JSM,
            raw=json_text(rotation),
        )
        for rotation in required_objects(payload, "rotations")
    ]


def escalation_rows(raw: Raw, *, account: str, team_id: str) -> list[Row]:
    """An escalation policy of the team that it was listed for.

    ``repeat.waitInterval`` is in minutes; 0 means no repetition.
    """
    payload = decode(raw)
    repeat = nested(payload, "repeat")
    wait, count = integer(repeat, "waitInterval"), integer(repeat, "count")
    return [
        ESCALATIONS.row(
            account=account,
            escalation_id=required_text(payload, "id"),
            name=text(payload, "name"),
            team_id=team_id,
            repeat_count=None if wait == 0 else count,
            repeat_wait_seconds=check_range(wait * 60, "waitInterval", bits=32) if wait else None,
            backend=JSM,
            raw=raw_text(raw),
        )
    ]


def escalation_rule_rows(raw: Raw, *, account: str, directory: Directory) -> list[Row]:
    """The rules of a policy in their order; the first is step 1. Delays are in minutes."""
    payload = decode(raw)
    escalation_id = required_text(payload, "id")
    return [
        _rule_row(rule, account, escalation_id, step, directory)
        for step, rule in enumerate(required_objects(payload, "rules"), start=1)
    ]


def _rule_row(rule: Payload, account: str, escalation_id: str, step: int, directory: Directory) -> Row:
    recipient = nested(rule, "recipient")
    kind, identity = text(recipient, "type"), text(recipient, "id")
    return ESCALATION_RULES.row(
        account=account,
        escalation_id=escalation_id,
        step=step,
        condition=text(rule, "condition"),
        notify_type=text(rule, "notifyType"),
        delay_seconds=delay_seconds(rule),
        recipient_type=kind,
        recipient_id=identity,
        recipient_name=directory.name(kind, identity),
        backend=JSM,
        raw=json_text(rule),
    )


def named(payloads: Iterable[Raw], *, key: str, names: tuple[str, ...]) -> dict[str, str]:
    """Id -> the first set field among ``names``, for a ``Directory``; unreadable objects are left out."""
    found = {}
    for raw in payloads:
        try:
            payload = decode(raw)
            name = next(filter(None, (text(payload, field) for field in names)), None)
            identity = text(payload, key)
        except UnreadablePayloadError:
            continue
        if identity and name:
            found[identity] = name
    return found


def directory_of(
    *, users: Iterable[Raw], teams: Iterable[Raw], schedules: Iterable[Raw], escalations: Iterable[Raw]
) -> Directory:
    """The names of everything that schedules, timelines and escalation policies refer to."""
    return Directory(
        users=named(users, key="accountId", names=("emailAddress", "displayName")),
        teams=named(teams, key="teamId", names=("teamName",)),
        schedules=named(schedules, key="id", names=("name",)),
        escalations=named(escalations, key="id", names=("name",)),
    )


def people_in_schedule(raw: Raw) -> set[str]:
    """Account ids of the users in a schedule's rotations; empty where it cannot be read."""
    try:
        return users_among(_participants(decode(raw)))
    except UnreadablePayloadError:
        return set()


def people_in_escalation(raw: Raw) -> set[str]:
    """Account ids of the users whom an escalation policy notifies; empty where it cannot be read."""
    try:
        return users_among(nested(rule, "recipient") for rule in objects(decode(raw), "rules"))
    except UnreadablePayloadError:
        return set()


def users_among(responders: Iterable[Payload]) -> set[str]:
    """Account ids of the responders that are users."""
    found = {key_text(responder, "id") for responder in responders if text(responder, "type") == "user"}
    return {account_id for account_id in found if account_id}


def _participants(schedule: Payload) -> Iterator[Payload]:
    for rotation in objects(schedule, "rotations"):
        yield from objects(rotation, "participants")
