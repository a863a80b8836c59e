"""Merges batches of incidents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import Raw
from psycopg import sql

from opsgenie_provider.rows.incidents import IncidentRows
from opsgenie_provider.rows.tables import (
    INCIDENT_RESPONDERS,
    INCIDENT_SERVICES,
    INCIDENT_TIMELINE,
    INCIDENTS,
)
from opsgenie_provider.warehouse.batches import Batch
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.timelines import with_derived_times

_STAGED_INCIDENTS = sql.Identifier(f"staged_{INCIDENTS.name}")


class IncidentBatch(Batch):
    """A batch of incidents with their services, responders and, where they come along, timelines.

    :param to_rows: makes the rows of an incident as its reader hands it out; listed or read by its id, it has
        the same fields.
    :param with_timelines: whether each incident comes with its timeline and the times derived from it.
    """

    def __init__(
        self,
        connection: Connection,
        account: str,
        backend: str,
        key_reach: str,
        to_rows: Callable[[Any], IncidentRows],
        *,
        with_timelines: bool,
    ) -> None:
        tables = (INCIDENTS, INCIDENT_SERVICES, INCIDENT_RESPONDERS, INCIDENT_TIMELINE)
        super().__init__(connection, account, backend, key_reach, tables)
        self._to_rows = to_rows
        self._with_timelines = with_timelines

    def to_rows(self, item: Any, *, single: bool) -> IncidentRows:
        return self._to_rows(item)

    def merge(self) -> int:
        self._send_all()
        incidents, services, responders, timeline = self._staged
        derived = with_derived_times(_STAGED_INCIDENTS, _STAGED_INCIDENTS)
        merged = incidents.merge(None if self._with_timelines else derived)
        changed = merged.inserted + merged.updated
        # Services and responders are part of an incident's payload, so they only change with it; a timeline
        # depends on the names and categories of the statuses as well.
        children = [services, responders] if changed else []
        for child in [*children, timeline] if self._with_timelines else children:
            if merged.updated or child is timeline:
                changed += child.prune(
                    "(target.account, target.incident_id) = (parent.account, parent.incident_id)",
                    within=incidents,
                )
            changed += sum(child.merge())
        return changed


def deleted_by_id(
    connection: Connection, account: str, backend: str, since: datetime, until: datetime
) -> dict[str, bool]:
    """Of the stored incidents created in [since, until): id -> whether it is marked as deleted."""
    rows = connection.execute(
        "select incident_id, deleted_at is not null from staging.opsgenie_incidents "
        "where account = %s and backend = %s and created_at >= %s and created_at < %s",
        (account, backend, since, until),
    )
    return dict(rows.fetchall())


def payloads(connection: Connection, account: str, incident_ids: list[str]) -> dict[str, Raw]:
    """Id -> the stored payload of incidents."""
    rows = connection.execute(
        "select incident_id, raw::text from staging.opsgenie_incidents "
        "where account = %s and incident_id = any(%s)",
        (account, incident_ids),
    )
    return {incident_id: Raw(raw.encode()) for incident_id, raw in rows}
