"""Merges batches of incidents."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw
from psycopg import sql

from opsgenie_provider.rows.incidents import IncidentRows
from opsgenie_provider.rows.tables import (
    INCIDENT_RESPONDERS,
    INCIDENT_SERVICES,
    INCIDENTS,
)
from opsgenie_provider.warehouse.batches import Batch
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.timelines import with_derived_times

_STAGED_INCIDENTS = sql.Identifier(f"staged_{INCIDENTS.name}")


class IncidentBatch(Batch):
    """A batch of incidents with their services and responders.

    :param to_rows: makes the rows of a payload; listed or read by its id, it has the same fields.
    """

    def __init__(
        self,
        connection: Connection,
        account: str,
        key_reach: str,
        to_rows: Callable[[Raw], IncidentRows],
    ) -> None:
        super().__init__(connection, account, key_reach, (INCIDENTS, INCIDENT_SERVICES, INCIDENT_RESPONDERS))
        self._to_rows = to_rows

    def to_rows(self, raw: Raw, *, single: bool) -> IncidentRows:
        return self._to_rows(raw)

    def merge(self) -> int:
        self._send_all()
        incidents, *children = self._staged
        merged = incidents.merge(with_derived_times(_STAGED_INCIDENTS, _STAGED_INCIDENTS))
        changed = merged.inserted + merged.updated
        # Services and responders are part of an incident's payload, so they only change with it.
        for child in children if changed else ():
            if merged.updated:
                changed += child.prune(
                    "(target.account, target.incident_id) = (batch.account, batch.incident_id)",
                    using="staged_opsgenie_incidents as batch",
                )
            changed += sum(child.merge())
        return changed
