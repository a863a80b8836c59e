"""Alerts of Jira Service Management Operations, as the columns of OpsGenie's have them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    decode,
    integer,
    json_text,
    key_text,
    nested,
    required_text,
    required_timestamp,
    text,
    texts,
)
from opsgenie_provider.rows.jsm_fields import BACKEND, instant


def alert_values(raw: Raw) -> dict[str, Any]:
    """An item of the alert list by column, without what the account's settings say (its service).

    Status and owner are as received; an alert is closed from its ``closeTime`` on, an instant.

    :raises UnreadablePayloadError: no id, no creation time, or a field of another type.
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
        # Their spelling, and the right one.
        "last_occurred_at": instant(payload, "lastOccuredAt") or instant(payload, "lastOccurredAt"),
        "acknowledged_at": _when(payload, "ackTime", created_at),
        "closed_at": _when(payload, "closeTime", created_at) if status == "closed" else None,
        "backend": BACKEND,
        "raw": bytes(raw).decode(),
    }


def _when(payload: Payload, name: str, created_at: datetime) -> datetime | None:
    """An instant of the alert itself, or, as in OpsGenie's reports, milliseconds since its creation."""
    if payload.get(name) not in (None, ""):
        return instant(payload, name)
    elapsed = integer(nested(payload, "report"), name, bits=64)
    try:
        return None if elapsed is None else created_at + timedelta(milliseconds=elapsed)
    except OverflowError:
        raise UnreadablePayloadError(f"{name}: {elapsed!r:.60} is out of range") from None
