"""Alerts of Jira Service Management Operations, in the columns of OpsGenie's alerts."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from msgspec import Raw

from opsgenie_provider.rows.alerts import AlertRows, elapsed, rows_of
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
)
from opsgenie_provider.rows.jsm_fields import instant
from opsgenie_provider.rows.parts import OptionalFields, Rejected
from opsgenie_provider.rows.tables import JSM


def alert_rows(raw: Raw, *, account: str, key_reach: str, single: bool) -> AlertRows:
    """An alert as listed, or as read by its id; see ``rows.alerts``.

    :raises UnreadablePayloadError: it has no id or creation time, or its status or priority is not a text.
    """
    rejected: Rejected = []
    values = alert_values(raw, rejected)
    return rows_of(values, rejected, account=account, key_reach=key_reach, single=single)


def alert_values(raw: Raw, rejected: Rejected) -> dict[str, Any]:
    """Column -> value of an alert (alerts, list), without ``service``, which depends on the settings.

    Status and owner are as received.

    :param rejected: receives the parts that cannot be read.
    :raises UnreadablePayloadError: it has no id or creation time, or its status or priority is not a text.
    """
    payload = decode(raw)
    parts = OptionalFields(payload, rejected)
    created_at = required_timestamp(payload, "createdAt")
    status = key_text(payload, "status")
    at = partial(_instant_or_elapsed, created_at=created_at)
    return {
        "alert_id": required_text(payload, "id"),
        "tiny_id": parts.read(text, "tinyId"),
        "alias": parts.read(text, "alias"),
        "message": parts.read(text, "message"),
        "description": parts.read(text, "description"),
        "status": status,
        # It decides whether the alert is an incident: unreadable, it must not look like one that left.
        "priority": text(payload, "priority"),
        "source": parts.read(text, "source"),
        "entity": parts.read(text, "entity"),
        "owner": parts.read(text, "owner"),
        "tags": parts.texts("tags"),
        "details": json_text(payload.get("extraProperties")),
        "alert_count": parts.read(integer, "count"),
        "created_at": created_at,
        "updated_at": parts.read(instant, "updatedAt"),
        # The API's misspelling, and the correct name.
        "last_occurred_at": parts.read(instant, "lastOccuredAt") or parts.read(instant, "lastOccurredAt"),
        "acknowledged_at": parts.read(at, "ackTime"),
        "closed_at": parts.read(at, "closeTime") if status == "closed" else None,
        # No field of the API has the address of an alert's page.
        "web_url": None,
        "backend": JSM,
        "raw": raw_text(raw),
    }


def _instant_or_elapsed(payload: Payload, name: str, created_at: datetime) -> datetime | None:
    """The alert's own field, an instant, or else ``report``'s, milliseconds since the creation (OpsGenie)."""
    if payload.get(name) not in (None, ""):
        return instant(payload, name)
    return elapsed(nested(payload, "report"), name, since=created_at)
