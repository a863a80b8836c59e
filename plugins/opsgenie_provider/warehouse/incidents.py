"""Merges batches of incidents, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, Self

from msgspec import Raw
from psycopg import sql

from opsgenie_provider.absence import WHOLE_ACCOUNT
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.incidents import IncidentRows
from opsgenie_provider.rows.tables import (
    INCIDENT_RESPONDERS,
    INCIDENT_SERVICES,
    INCIDENT_TIMELINE,
    INCIDENTS,
)
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.staged import Staged
from opsgenie_provider.warehouse.timelines import with_derived_times

_COPY_ROWS = 1_000
_STAGED_INCIDENTS = sql.Identifier(f"staged_{INCIDENTS.name}")


class IncidentBatch:
    """A batch of incidents with their services, responders and, where they come along, timelines; only a few
    pages are kept in memory.

    Used in a ``with`` block within the transaction: while payloads are converted, a thread sends the rows
    before them.

    :param backend: what the incidents are read from; those of another one are left alone.
    :param key_reach: what the key can see, as ``Access.reach`` has it.
    :param to_rows: makes the rows of an incident as its reader hands it out.
    :param with_timelines: whether each incident comes with its timeline and the times derived from it.
    :ivar rejected: payloads that cannot be read, and parts of such that can, each with its reason.
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
        self._connection = connection
        self._account = account
        self._backend = backend
        self._key_reach = key_reach
        self._to_rows = to_rows
        self._with_timelines = with_timelines
        tables = (INCIDENTS, INCIDENT_SERVICES, INCIDENT_RESPONDERS, INCIDENT_TIMELINE)
        self._staged = [Staged(connection, table) for table in tables]
        self._rows: list[IncidentRows] = []
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="copy")
        self._sending: Future[None] | None = None
        self.ids: set[str] = set()
        self.rejected: dict[bytes, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # The transaction may use the connection again only once the thread is done with it.
        self._sender.shutdown()

    def add(self, items: Iterable[Any]) -> int:
        """Add incidents; returns how many of them were new to this batch.

        One that cannot be read counts, too, because it was listed; its payload goes to ``rejected``.
        """
        new = 0
        for item in items:
            try:
                rows = self._to_rows(item)
            except UnreadablePayloadError as error:
                new += bytes(item) not in self.rejected
                self.rejected[bytes(item)] = str(error)
                continue
            if rows.incident_id not in self.ids:
                self.ids.add(rows.incident_id)
                self._rows.append(rows)
                self.rejected.update(rows.rejected)
                new += 1
        if len(self._rows) >= _COPY_ROWS:
            self._copy()
        return new

    def restart(self) -> None:
        """Discard everything added."""
        self._wait_for_copy()
        self._rows.clear()
        self.ids.clear()
        self.rejected.clear()
        for staged in self._staged:
            staged.clear()

    def missing(self, since: datetime, until: datetime) -> list[str]:
        """Ids of the stored incidents created in [since, until) that the batch lacks."""
        self._copy()
        self._wait_for_copy()
        return [
            incident_id
            for (incident_id,) in self._connection.execute(
                sql.SQL(
                    "select incident_id from staging.opsgenie_incidents as stored "
                    "where account = %s and backend = %s and created_at >= %s and created_at < %s "
                    "and deleted_at is null and not exists (select from {staged} as staged "
                    "where staged.incident_id = stored.incident_id)"
                ).format(staged=_STAGED_INCIDENTS),
                (self._account, self._backend, since, until),
            )
        ]

    def left_status(self, statuses: Iterable[str], *, before: datetime) -> list[str]:
        """Ids of incidents stored with one of the statuses that the batch lacks: they may have changed it.

        Only incidents that this key has listed before are considered, because it may not see others.

        :param statuses: those of which the batch contains every incident.
        :param before: only incidents created before this instant.
        """
        self._wait_for_copy()
        rows = self._connection.execute(
            "select incident_id from staging.opsgenie_incidents where account = %s and backend = %s "
            "and created_at < %s and status = any(%s) and deleted_at is null and (%s = %s or key_reach = %s)",
            (
                self._account,
                self._backend,
                before,
                list(statuses),
                self._key_reach,
                WHOLE_ACCOUNT,
                self._key_reach,
            ),
        )
        return [incident_id for (incident_id,) in rows if incident_id not in self.ids]

    def mark_deleted(self, incident_ids: list[str]) -> int:
        """Mark incidents as deleted at the source; returns how many were not marked before."""
        self._wait_for_copy()
        return self._connection.execute(
            "update staging.opsgenie_incidents set deleted_at = now(), synced_at = now() "
            "where account = %s and incident_id = any(%s) and deleted_at is null",
            (self._account, incident_ids),
        ).rowcount

    def merge(self) -> int:
        """Merge the batch; returns how many rows changed, of all its tables."""
        self._copy()
        self._wait_for_copy()
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
                    "(target.account, target.incident_id) = (batch.account, batch.incident_id)",
                    using="staged_opsgenie_incidents as batch",
                )
            changed += sum(child.merge())
        return changed

    def _copy(self) -> None:
        """Start to send the rows added so far, once the rows before them are sent."""
        self._wait_for_copy()
        rows, self._rows = self._rows, []
        self._sending = self._sender.submit(self._send, rows)

    def _send(self, batch: list[IncidentRows]) -> None:
        incidents, services, responders, timeline = self._staged
        incidents.copy(rows.incident for rows in batch)
        services.copy(row for rows in batch for row in rows.services)
        responders.copy(row for rows in batch for row in rows.responders)
        if self._with_timelines:
            timeline.copy(row for rows in batch for row in rows.timeline or ())

    def _wait_for_copy(self) -> None:
        """Wait until the thread has sent its rows."""
        if self._sending is not None:
            self._sending.result()
            self._sending = None


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
