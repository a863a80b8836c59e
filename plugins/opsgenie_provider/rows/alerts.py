"""OpsGenie alerts that stand for incidents (alert API)."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    decode,
    integer,
    json_text,
    key_text,
    raw_text,
    required_text,
    required_timestamp,
    text,
    timestamp,
)
from opsgenie_provider.rows.parts import OptionalFields, Rejected
from opsgenie_provider.rows.tables import ALERTS, COMPUTED_ALERT_COLUMNS, OPSGENIE, Row


class AlertRules(NamedTuple):
    """Which alerts of an account are incidents, and where they name their service, as the settings say it."""

    priorities: list[str]
    service_from: list[str]


class AlertRows(NamedTuple):
    """An alert as a row.

    :param rejected: the parts that cannot be read, each with the reason.
    """

    identity: str
    by_table: tuple[list[Row]]
    rejected: Rejected


def alert_rows(raw: Raw, *, account: str, key_reach: str, single: bool) -> AlertRows:
    """An alert as listed, or as read by its id.

    :param key_reach: what the key can read, see ``absence``.
    :param single: it was read by its id, and so has all fields.
    :raises UnreadablePayloadError: it has no id or creation time, or its status or priority is not a text.
    """
    rejected: Rejected = []
    values = alert_values(raw, rejected)
    return rows_of(values, rejected, account=account, key_reach=key_reach, single=single)


def rows_of(
    values: dict[str, Any], rejected: Rejected, *, account: str, key_reach: str, single: bool
) -> AlertRows:
    """The row of an alert's values, which are by column."""
    version = values["updated_at"] or values["created_at"]
    row = ALERTS.row(
        **values,
        **dict.fromkeys(COMPUTED_ALERT_COLUMNS),
        account=account,
        key_reach=key_reach,
        needs_details=False,
        details_of=version if single else None,
    )
    return AlertRows(values["alert_id"], ([row],), rejected)


def alert_values(raw: Raw, rejected: Rejected) -> dict[str, Any]:
    """Column -> value of an alert; description, entity and details are not in lists.

    :raises UnreadablePayloadError: it has no id or creation time, or its status or priority is not a text.
    """
    payload = decode(raw)
    parts = OptionalFields(payload, rejected)
    created_at = required_timestamp(payload, "createdAt")
    status = key_text(payload, "status")
    report = parts.nested("report")
    after = partial(elapsed, since=created_at)
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
        "details": json_text(payload.get("details")),
        "alert_count": parts.read(integer, "count"),
        "created_at": created_at,
        "updated_at": parts.read(timestamp, "updatedAt"),
        "last_occurred_at": parts.read(timestamp, "lastOccurredAt"),
        "acknowledged_at": report.read(after, "ackTime"),
        "closed_at": report.read(after, "closeTime") if status == "closed" else None,
        "web_url": parts.nested("links").read(text, "web"),
        "backend": OPSGENIE,
        "raw": raw_text(raw),
    }


def elapsed(payload: Payload, name: str, *, since: datetime) -> datetime | None:
    """The instant that a field gives in milliseconds since another one."""
    milliseconds = integer(payload, name, bits=64)
    try:
        return None if milliseconds is None else since + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise UnreadablePayloadError(f"{name}: {milliseconds!r:.60} is out of range") from None
