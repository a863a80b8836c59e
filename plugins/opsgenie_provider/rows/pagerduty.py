"""PagerDuty's incidents, log entries, notes, services, teams and priorities to staging rows."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import NamedTuple

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    decode,
    integer,
    json_text,
    key_text,
    nested,
    raw_text,
    required_text,
    required_timestamp,
    text,
    timestamp,
)
from opsgenie_provider.rows.parts import OptionalFields, Rejected
from opsgenie_provider.rows.tables import (
    PAGERDUTY_LOG_ENTRIES,
    PAGERDUTY_NOTES,
    PAGERDUTY_PRIORITIES,
    PAGERDUTY_SERVICES,
    PAGERDUTY_TEAMS,
    Row,
)

RESOLVED = "resolved"


class PagerdutyIncidentRow(NamedTuple):
    """A row of ``staging.pagerduty_incidents``, in the order of its ``Table``."""

    account: str
    incident_id: str
    incident_number: int | None
    title: str | None
    status: str | None
    urgency: str | None
    priority: str | None
    service_id: str | None
    service_name: str | None
    created_at: datetime
    resolved_at: datetime | None
    merged_into: str | None
    web_url: str | None
    raw: str


def pagerduty_incident_row(
    raw: Raw, *, account: str, rejected: Rejected | None = None
) -> PagerdutyIncidentRow:
    """An incident (incidents API). Any field that is not required may be null.

    Accounts from before 2023 may lack ``resolved_at``; the last status change of a resolved incident
    is its resolution. The reference to a deleted service still has its name.
    """
    payload = decode(raw)
    status = text(payload, "status")
    parts = OptionalFields(payload, rejected)
    service, priority = parts.nested("service"), parts.nested("priority")
    resolved_at = parts.read(timestamp, "resolved_at") or parts.read(timestamp, "last_status_change_at")
    return PagerdutyIncidentRow(
        account=account,
        incident_id=required_text(payload, "id"),
        incident_number=parts.read(partial(integer, bits=64), "incident_number"),
        title=parts.read(text, "title") or parts.read(text, "summary"),
        status=status,
        urgency=parts.read(text, "urgency"),
        priority=priority.read(text, "name") or priority.read(text, "summary"),
        service_id=service.read(key_text, "id"),
        # The name is part of the keys of the dora tables.
        service_name=service.read(key_text, "name") or service.read(key_text, "summary"),
        created_at=required_timestamp(payload, "created_at"),
        resolved_at=resolved_at if status == RESOLVED else None,
        merged_into=parts.nested("resolve_reason").nested("incident").read(text, "id"),
        web_url=parts.read(text, "html_url"),
        raw=raw_text(raw),
    )


def log_entry_row(raw: Raw, *, account: str, incident_id: str | None = None) -> Row:
    """A log entry; the account-wide list refers to its incident (log entries API)."""
    payload = decode(raw)
    return PAGERDUTY_LOG_ENTRIES.row(
        account=account,
        incident_id=incident_id or required_text(nested(payload, "incident"), "id"),
        entry_id=required_text(payload, "id"),
        entry_type=text(payload, "type"),
        event_at=timestamp(payload, "created_at"),
        raw=raw_text(raw),
    )


def note_row(raw: Raw, *, account: str, incident_id: str, rejected: Rejected | None = None) -> Row:
    """A note; its author is a user, or the name of a rule or service (incidents API, notes)."""
    payload = decode(raw)
    parts = OptionalFields(payload, rejected)
    user, channel = parts.nested("user"), parts.nested("channel")
    return PAGERDUTY_NOTES.row(
        account=account,
        incident_id=incident_id,
        note_id=required_text(payload, "id"),
        author=user.read(text, "name") or user.read(text, "summary") or channel.read(text, "summary"),
        content=text(payload, "content"),
        created_at=timestamp(payload, "created_at"),
        raw=raw_text(raw),
    )


def service_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A service (services API)."""
    service_id, name = _id_and_name(raw, rejected)
    return [PAGERDUTY_SERVICES.row(account=account, service_id=service_id, name=name, raw=raw_text(raw))]


def team_rows(raw: Raw, *, account: str, rejected: Rejected | None = None) -> list[Row]:
    """A team (teams API)."""
    team_id, name = _id_and_name(raw, rejected)
    return [PAGERDUTY_TEAMS.row(account=account, team_id=team_id, name=name, raw=raw_text(raw))]


def _id_and_name(raw: Raw, rejected: Rejected | None) -> tuple[str, str | None]:
    payload = decode(raw)
    parts = OptionalFields(payload, rejected)
    return required_text(payload, "id"), parts.read(text, "name") or parts.read(text, "summary")


def priority_row(raw: Raw, *, account: str, position: int) -> Row:
    """A priority (priorities API).

    :param position: its position in the account's order; 1 is the most severe.
    """
    payload = decode(raw)
    name = text(payload, "name") or text(payload, "summary")
    return PAGERDUTY_PRIORITIES.row(
        account=account,
        priority_id=required_text(payload, "id"),
        name=name,
        position=position,
        raw=raw_text(raw),
    )


def body_text(payload: Payload) -> str | None:
    """The details of an incident's body: a text, or an object as JSON."""
    details = nested(payload, "body").get("details")
    return details or None if isinstance(details, str) else json_text(details)
