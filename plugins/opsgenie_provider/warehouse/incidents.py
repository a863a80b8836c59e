"""Merges batches of incidents, each in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Self

from msgspec import Raw
from psycopg import sql

from opsgenie_provider.absence import WHOLE_ACCOUNT
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.incidents import IncidentRows, incident_rows
from opsgenie_provider.rows.tables import INCIDENT_RESPONDERS, INCIDENT_SERVICES, INCIDENTS
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.staged import Staged
from opsgenie_provider.warehouse.timelines import with_derived_times

_COPY_ROWS = 1_000
_STAGED_INCIDENTS = sql.Identifier(f"staged_{INCIDENTS.name}")


class IncidentBatch:
    """A batch of incidents with their services and responders; only a few pages are kept in memory.

    Used in a ``with`` block within the transaction: while payloads are converted, a thread sends the rows
    before them.

    :param key_reach: what the key can read, as in ``Access.reach``.
    :ivar ids: the ids of the incidents in the batch.
    :ivar rejected: payloads that cannot be read, and unreadable parts of others, each with its reason.
    """

    def __init__(self, connection: Connection, account: str, key_reach: str) -> None:
        self._connection = connection
        self._account = account
        self._key_reach = key_reach
        self._staged = [
            Staged(connection, table) for table in (INCIDENTS, INCIDENT_SERVICES, INCIDENT_RESPONDERS)
        ]
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

    def add(self, items: Iterable[Raw]) -> int:
        """Add payloads; returns how many of the incidents were new to this batch.

        A payload that cannot be read counts, too, because it was listed; it goes to ``rejected``.
        """
        new = 0
        for raw in items:
            try:
                rows = incident_rows(raw, account=self._account, key_reach=self._key_reach)
            except UnreadablePayloadError as error:
                new += bytes(raw) not in self.rejected
                self.rejected[bytes(raw)] = str(error)
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
                    "where account = %s and created_at >= %s and created_at < %s and deleted_at is null "
                    "and not exists (select from {staged} as staged "
                    "where staged.incident_id = stored.incident_id)"
                ).format(staged=_STAGED_INCIDENTS),
                (self._account, since, until),
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
            "select incident_id from staging.opsgenie_incidents where account = %s and created_at < %s "
            "and status = any(%s) and deleted_at is null and (%s = %s or key_reach = %s)",
            (self._account, before, list(statuses), self._key_reach, WHOLE_ACCOUNT, self._key_reach),
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

    def _copy(self) -> None:
        """Start to send the rows added so far, once the rows before them are sent."""
        self._wait_for_copy()
        rows, self._rows = self._rows, []
        self._sending = self._sender.submit(self._send, rows)

    def _send(self, batch: list[IncidentRows]) -> None:
        incidents, services, responders = self._staged
        incidents.copy(rows.incident for rows in batch)
        services.copy(row for rows in batch for row in rows.services)
        responders.copy(row for rows in batch for row in rows.responders)

    def _wait_for_copy(self) -> None:
        """Wait until the thread has sent its rows."""
        if self._sending is not None:
            self._sending.result()
            self._sending = None
