"""What the table of alerts must hold, worked out from the contract and the stand-in's own objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sandbox.opsgenie.alerts import Alert
from tests.support.expected_tables import instant_at
from tests.support.postgres import Row, Warehouse

SOURCES = ("details.service", "tag:service:", "entity")
PRIORITIES = ("P1", "P2")
# Not of the contract, or not known beforehand.
_UNCOMPARED = {"synced_at", "key_reach", "needs_details", "details_of", "raw", "deleted_at"}


def alert_differences(
    warehouse: Warehouse,
    alerts: Iterable[Alert],
    *,
    account: str = "opsgenie_default",
    sources: Sequence[str] = SOURCES,
    priorities: Sequence[str] = PRIORITIES,
) -> list[str]:
    """Every column of every alert that is not as expected, in words; what left is only not to be there."""
    wanted = {
        alert.id: alert_row(alert, account, sources) for alert in alerts if alert.priority in priorities
    }
    stored = {
        row["alert_id"]: row
        for row in warehouse.table("opsgenie_alerts")
        if row["account"] == account and row["deleted_at"] is None
    }
    found = [f"{id_} is missing" for id_ in wanted.keys() - stored.keys()]
    found += [f"{id_} is too many" for id_ in stored.keys() - wanted.keys()]
    for id_ in wanted.keys() & stored.keys():
        columns = stored[id_].keys() - _UNCOMPARED
        found += [f"nothing expected for column {name}" for name in columns - wanted[id_].keys()]
        found += [
            f"{id_} {name} is {stored[id_][name]!r}, not {wanted[id_][name]!r}"
            for name in sorted(columns & wanted[id_].keys())
            if stored[id_][name] != wanted[id_][name]
        ]
    return sorted(found)


def alert_row(alert: Alert, account: str, sources: Sequence[str] = SOURCES) -> Row:
    """An alert that was listed and read by its id."""
    return {
        "account": account,
        "alert_id": alert.id,
        "tiny_id": alert.tiny_id,
        "alias": alert.alias,
        "message": alert.message,
        "description": alert.description or None,
        "status": alert.status,
        "priority": alert.priority,
        "source": alert.source,
        "entity": alert.entity or None,
        "owner": alert.owner or None,
        "tags": alert.tags,
        "details": alert.details,
        "service": service_of(alert, sources),
        "alert_count": alert.count,
        "created_at": instant_at(alert.created_at),
        "updated_at": instant_at(alert.updated_at),
        "last_occurred_at": instant_at(alert.last_occurred_at),
        "acknowledged_at": instant_at(alert.acked_at),
        "closed_at": instant_at(alert.closed_at) if alert.status == "closed" else None,
        "web_url": None,
        "backend": "opsgenie",
    }


def service_of(alert: Alert, sources: Sequence[str] = SOURCES) -> str | None:
    """The first source that says one."""
    for source in sources:
        said: str | None
        if source == "entity":
            said = alert.entity
        elif source.startswith("details."):
            said = alert.details.get(source.removeprefix("details."))
        else:
            start = source.removeprefix("tag:")
            said = next((tag[len(start) :] for tag in sorted(alert.tags) if tag.startswith(start)), None)
        if said and said.strip():
            return said
    return None
