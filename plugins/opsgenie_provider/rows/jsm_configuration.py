"""Services, teams, users, schedules and escalation policies of Jira Service Management."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Raw

from opsgenie_provider.rows.configuration import delay_seconds, rotation_row
from opsgenie_provider.rows.directory import Directory
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
)
from opsgenie_provider.rows.jsm_fields import checked_id, plain_id, required_objects
from opsgenie_provider.rows.parts import OptionalFields, Rejected
from opsgenie_provider.rows.tables import (
    ESCALATION_RULES,
    ESCALATIONS,
    JSM,
    SCHEDULES,
    SERVICES,
    TEAMS,
    USERS,
    Row,
)


def service_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A service (JSM services API), with the id by which incidents refer to it."""
    payload = decode(raw)
    service_id = checked_id(plain_id(required_text(payload, "id")))
    name, team_id = key_text(payload, "name"), OptionalFields(payload, rejected).read(text, "owner")
    return [
        SERVICES.row(
            account=account, service_id=service_id, name=name, team_id=team_id, backend=JSM, raw=raw_text(raw)
        )
    ]


def team_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A team with Operations (teams)."""
    payload = decode(raw)
    team_id = required_text(payload, "teamId")
    name = OptionalFields(payload, rejected, within=team_id).read(text, "teamName")
    return [TEAMS.row(account=account, team_id=team_id, name=name, backend=JSM, raw=raw_text(raw))]


def user_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A user (Jira, users); the e-mail address may be hidden."""
    payload = decode(raw)
    user_id = required_text(payload, "accountId")
    parts = OptionalFields(payload, rejected, within=user_id)
    return [
        USERS.row(
            account=account,
            user_id=user_id,
            username=parts.read(text, "emailAddress"),
            full_name=parts.read(text, "displayName"),
            backend=JSM,
            raw=raw_text(raw),
        )
    ]


def schedule_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A schedule; one without a team has an empty ``teamId``."""
    payload = decode(raw)
    parts = OptionalFields(payload, rejected)
    return [
        SCHEDULES.row(
            account=account,
            schedule_id=required_text(payload, "id"),
            name=parts.read(text, "name"),
            timezone=parts.read(text, "timezone"),
            enabled=parts.read(boolean, "enabled"),
            team_id=parts.read(text, "teamId"),
            backend=JSM,
            raw=raw_text(raw),
        )
    ]


def rotation_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """The rotations of a schedule, as ``expand=rotation`` gives them."""
    payload = decode(raw)
    schedule_id = required_text(payload, "id")
    return [
        rotation_row(rotation, account=account, schedule_id=schedule_id, backend=JSM, rejected=rejected)
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
