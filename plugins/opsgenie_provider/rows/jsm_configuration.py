"""Services, teams, users, schedules with rotations, and escalation policies with rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Raw

from opsgenie_provider.rows.configuration import delay_seconds
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
from opsgenie_provider.rows.jsm_fields import Directory, checked_id, plain_id, required_objects, row
from opsgenie_provider.rows.tables import (
    ESCALATION_RULES,
    ESCALATIONS,
    ROTATIONS,
    SCHEDULES,
    SERVICES,
    TEAMS,
    USERS,
    Row,
)


def service_rows(raw: Raw, *, account: str) -> list[Row]:
    """A service (JSM services API), under the id by which incidents refer to it."""
    payload = decode(raw)
    service_id = checked_id(plain_id(required_text(payload, "id")))
    name, team_id = key_text(payload, "name"), text(payload, "owner")
    return [
        row(SERVICES, account=account, service_id=service_id, name=name, team_id=team_id, raw=_source(raw))
    ]


def team_rows(raw: Raw, *, account: str) -> list[Row]:
    """A team with Operations (teams)."""
    payload = decode(raw)
    team_id, name = required_text(payload, "teamId"), text(payload, "teamName")
    return [row(TEAMS, account=account, team_id=team_id, name=name, raw=_source(raw))]


def user_rows(raw: Raw, *, account: str) -> list[Row]:
    """A user (Jira, users); the e-mail address may be hidden."""
    payload = decode(raw)
    return [
        row(
            USERS,
            account=account,
            user_id=required_text(payload, "accountId"),
            username=text(payload, "emailAddress"),
            full_name=text(payload, "displayName"),
            raw=_source(raw),
        )
    ]


def schedule_rows(raw: Raw, *, account: str) -> list[Row]:
    """A schedule; one of no team has an empty ``teamId``."""
    payload = decode(raw)
    return [
        row(
            SCHEDULES,
            account=account,
            schedule_id=required_text(payload, "id"),
            name=text(payload, "name"),
            timezone=text(payload, "timezone"),
            enabled=boolean(payload, "enabled"),
            team_id=text(payload, "teamId"),
            raw=_source(raw),
        )
    ]


def rotation_rows(raw: Raw, *, account: str) -> list[Row]:
    """The rotations of a schedule, as ``expand=rotation`` gives them."""
    payload = decode(raw)
    schedule_id = required_text(payload, "id")
    return [
        row(
            ROTATIONS,
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
            raw=json_text(rotation),
        )
        for rotation in required_objects(payload, "rotations")
    ]


def escalation_rows(raw: Raw, *, account: str, team_id: str) -> list[Row]:
    """An escalation policy; its team is the one that it was listed for.

    ``repeat.waitInterval`` is in minutes; 0 means that nothing is repeated.
    """
    payload = decode(raw)
    repeat = nested(payload, "repeat")
    wait, count = integer(repeat, "waitInterval"), integer(repeat, "count")
    return [
        row(
            ESCALATIONS,
            account=account,
            escalation_id=required_text(payload, "id"),
            name=text(payload, "name"),
            team_id=team_id,
            repeat_count=None if wait == 0 else count,
            repeat_wait_seconds=fitting(wait * 60, "waitInterval", bits=32) if wait else None,
            raw=_source(raw),
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
    return row(
        ESCALATION_RULES,
        account=account,
        escalation_id=escalation_id,
        step=step,
        condition=text(rule, "condition"),
        notify_type=text(rule, "notifyType"),
        delay_seconds=delay_seconds(rule),
        recipient_type=kind,
        recipient_id=identity,
        recipient_name=directory.name(kind, identity),
        raw=json_text(rule),
    )


def named(payloads: Iterable[Raw], *, key: str, names: tuple[str, ...]) -> dict[str, str]:
    """Ids with the first of the names that they have, for a ``Directory``; what cannot be read has none."""
    found = {}
    for raw in payloads:
        try:
            payload = decode(raw)
            name = next(filter(None, (text(payload, each) for each in names)), None)
            identity = text(payload, key)
        except UnreadablePayloadError:
            continue
        if identity and name:
            found[identity] = name
    return found


def directory_of(
    *, users: Iterable[Raw], teams: Iterable[Raw], schedules: Iterable[Raw], escalations: Iterable[Raw]
) -> Directory:
    """The names of all that schedules, timelines and escalation policies refer to."""
    return Directory(
        users=named(users, key="accountId", names=("emailAddress", "displayName")),
        teams=named(teams, key="teamId", names=("teamName",)),
        schedules=named(schedules, key="id", names=("name",)),
        escalations=named(escalations, key="id", names=("name",)),
    )


def people_in_schedule(raw: Raw) -> set[str]:
    """Account ids of the users in a schedule's rotations; none of one that cannot be read."""
    try:
        return users_among(_participants(decode(raw)))
    except UnreadablePayloadError:
        return set()


def people_in_escalation(raw: Raw) -> set[str]:
    """Account ids of the users whom an escalation policy notifies; none of one that cannot be read."""
    try:
        return users_among(nested(rule, "recipient") for rule in objects(decode(raw), "rules"))
    except UnreadablePayloadError:
        return set()


def users_among(responders: Iterable[Payload]) -> set[str]:
    """Account ids of those responders that are users."""
    found = {key_text(each, "id") for each in responders if text(each, "type") == "user"}
    return {account_id for account_id in found if account_id}


def _participants(schedule: Payload) -> Iterator[Payload]:
    for rotation in objects(schedule, "rotations"):
        yield from objects(rotation, "participants")


def _source(raw: Raw) -> str:
    return bytes(raw).decode()
