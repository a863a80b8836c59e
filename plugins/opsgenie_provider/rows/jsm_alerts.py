"""Alerts of Jira Service Management Operations, in the columns of OpsGenie's alerts."""

from __future__ import annotations

from datetime import datetime
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
    texts,
)
from opsgenie_provider.rows.jsm_fields import instant
from opsgenie_provider.rows.tables import JSM


def alert_rows(raw: Raw, *, account: str, key_reach: str, single: bool) -> AlertRows:
    """An alert as listed, or as read by its id; see ``rows.alerts``.

    :raises UnreadablePayloadError: it has no id or creation time, or a field of another type.
    """
    return rows_of(alert_values(raw), [], account=account, key_reach=key_reach, single=single)


def alert_values(raw: Raw) -> dict[str, Any]:
    """Column -> value of an alert (alerts, list), without ``service``, which depends on the settings.

    Status and owner are as received.

    :raises UnreadablePayloadError: it has no id or creation time, or a field of another type.
    """
    payload = decode(raw)
    created_at = required_timestamp(payload, "createdAt")
    status = key_text(payload, "status")
    return {
        "alert_id": required_text(payload, "id"),
        "tiny_id": text(payload, "tinyId"),
        "alias": text(payload, "alias"),
        "message": text(payload, "message"),
        "description": text(payload, "description"),
        "status": status,
        "priority": text(payload, "priority"),
        "source": text(payload, "source"),
        "entity": text(payload, "entity"),
        "owner": text(payload, "owner"),
        "tags": None if payload.get("tags") is None else texts(payload, "tags"),
        "details": json_text(payload.get("extraProperties")),
        "alert_count": integer(payload, "count"),
        "created_at": created_at,
        "updated_at": instant(payload, "updatedAt"),
        # The API's misspelling, and the correct name.
        "last_occurred_at": instant(payload, "lastOccuredAt") or instant(payload, "lastOccurredAt"),
        "acknowledged_at": _instant_or_elapsed(payload, "ackTime", created_at),
        "closed_at": _instant_or_elapsed(payload, "closeTime", created_at) if status == "closed" else None,
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
