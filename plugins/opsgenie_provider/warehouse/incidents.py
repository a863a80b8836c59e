"""Batches of incidents and of timelines, each merged in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple, Self

from msgspec import Raw
from psycopg import sql

from opsgenie_provider.absence import WHOLE_ACCOUNT
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.incidents import IncidentRows, timeline_row
from opsgenie_provider.rows.tables import (
    DERIVED_INCIDENT_COLUMNS,
    INCIDENT_RESPONDERS,
    INCIDENT_SERVICES,
    INCIDENT_TIMELINE,
    INCIDENTS,
    TIMELINE_READS,
    Row,
)
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.staged import Staged

_COPY_ROWS = 1_000

# The one place that says when an incident was acknowledged, resolved and closed: ``{incidents}``, a
# relation with the columns of the staging table, and those four columns, from it and the timeline.
_DERIVED = sql.SQL("""
(
    with times as (
        select
            account,
            incident_id,
            min(event_at) filter (where entry_type = 'ResponderAlertAcked') as acknowledged_at,
            max(event_at) filter (where entry_type = 'IncidentResolved') as resolved_at,
            max(event_at) filter (where entry_type = 'IncidentClosed') as closed_at
        from staging.opsgenie_incident_timeline
        where (account, incident_id) in (select account, incident_id from {batch})
        group by account, incident_id
    )
    select
        {columns},
        times.acknowledged_at,
        case when incident.status in ('resolved', 'closed')
            then coalesce(incident.impact_end_at, times.resolved_at) end as resolved_at,
        case when incident.status in ('resolved', 'closed') then
            case
                when incident.impact_end_at is not null then 'impact_end'
                when times.resolved_at is not null then 'timeline'
            end
        end as resolved_at_source,
        case when incident.status = 'closed' then times.closed_at end as closed_at
    from {incidents} as incident
    left join times using (account, incident_id)
) as derived
""")
_UPDATE_DERIVED = sql.SQL("""
update staging.opsgenie_incidents as incident set ({names}) = row({new})
from {derived}
where (incident.account, incident.incident_id) = (derived.account, derived.incident_id)
    and ({old}) is distinct from ({new})
""")
_READ_COLUMNS = [name for name in INCIDENTS.columns if name not in DERIVED_INCIDENT_COLUMNS]
_STAGED_INCIDENTS = sql.Identifier(f"staged_{INCIDENTS.name}")
_STAGED_READS = sql.Identifier(f"staged_{TIMELINE_READS.name}")


def _derived(incidents: sql.Composable, batch: sql.Composable) -> sql.Composed:
    columns = sql.SQL(", ").join(sql.Identifier("incident", name) for name in _READ_COLUMNS)
    return _DERIVED.format(incidents=incidents, batch=batch, columns=columns)


class IncidentBatch:
    """Incidents with their services and responders; takes pages as they come, keeps few in memory.

    Used in a ``with`` block within the transaction: payloads are read while a thread of its own sends
    the rows before them.

    :param key_reach: what the key can see, as ``Access.reach`` has it.
    :param to_rows: makes the rows of a payload.
    :ivar rejected: payloads that cannot be read, and parts of such that can, each with its reason.
    """

    def __init__(
        self,
        connection: Connection,
        account: str,
        key_reach: str,
        to_rows: Callable[[Raw], IncidentRows],
    ) -> None:
        self._connection = connection
        self._account = account
        self._key_reach = key_reach
        self._to_rows = to_rows
        self._staged = [Staged(connection, t) for t in (INCIDENTS, INCIDENT_SERVICES, INCIDENT_RESPONDERS)]
        self._rows: list[IncidentRows] = []
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="copy")
        self._sending: Future[None] | None = None
        self.ids: set[str] = set()
        self.rejected: dict[bytes, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # The connection is its transaction's again only when the thread is done with it.
        self._sender.shutdown()

    def add(self, items: Iterable[Raw]) -> int:
        """Take payloads; returns how many incidents were new to this batch.

        One that cannot be read counts too: it was listed, and is kept in ``rejected``.
        """
        new = 0
        for raw in items:
            try:
                rows = self._to_rows(raw)
            except UnreadablePayloadError as error:
                new += bytes(raw) not in self.rejected
                self.rejected[bytes(raw)] = str(error)
                continue
            incident_id = rows.incident[1]
            if incident_id not in self.ids:
                self.ids.add(incident_id)
                self._rows.append(rows)
                self.rejected.update(rows.rejected)
                new += 1
        if len(self._rows) >= _COPY_ROWS:
            self._copy()
        return new

    def restart(self) -> None:
        """Forget what was added."""
        self._sent()
        self._rows.clear()
        self.ids.clear()
        self.rejected.clear()
        for staged in self._staged:
            staged.clear()

    def missing(self, since: datetime, until: datetime) -> list[str]:
        """Ids of stored incidents of [since, until) that the batch lacks."""
        self._copy()
        self._sent()
        return [
            row[0]
            for row in self._connection.execute(
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
        """Ids of incidents created before an instant that are stored with one of the statuses, of which
        the batch should hold all, and that it does not hold: they may have another one by now. Only of
        those that this key has seen: the others it would not list in any case."""
        self._sent()
        rows = self._connection.execute(
            "select incident_id from staging.opsgenie_incidents where account = %s and created_at < %s "
            "and status = any(%s) and deleted_at is null and (%s = %s or key_reach = %s)",
            (self._account, before, list(statuses), self._key_reach, WHOLE_ACCOUNT, self._key_reach),
        )
        return [incident_id for (incident_id,) in rows if incident_id not in self.ids]

    def mark_deleted(self, incident_ids: list[str]) -> int:
        """Mark incidents that are gone at the source."""
        self._sent()
        return self._connection.execute(
            "update staging.opsgenie_incidents set deleted_at = now(), synced_at = now() "
            "where account = %s and incident_id = any(%s) and deleted_at is null",
            (self._account, incident_ids),
        ).rowcount

    def merge(self) -> int:
        """Write the batch; returns how many rows of all its tables changed."""
        self._copy()
        self._sent()
        incidents, *children = self._staged
        merged = incidents.merge(_derived(_STAGED_INCIDENTS, _STAGED_INCIDENTS))
        changed = merged.inserted + merged.updated
        # What belongs to an incident is part of its payload: it changes with it or not at all.
        for child in children if changed else ():
            if merged.updated:
                changed += child.prune(
                    "(target.account, target.incident_id) = (batch.account, batch.incident_id)",
                    using="staged_opsgenie_incidents as batch",
                )
            changed += sum(child.merge())
        return changed

    def _copy(self) -> None:
        """Have the rows so far sent, once those before them are."""
        self._sent()
        rows, self._rows = self._rows, []
        self._sending = self._sender.submit(self._send, rows)

    def _send(self, batch: list[IncidentRows]) -> None:
        incidents, services, responders = self._staged
        incidents.copy(rows.incident for rows in batch)
        services.copy(row for rows in batch for row in rows.services)
        responders.copy(row for rows in batch for row in rows.responders)

    def _sent(self) -> None:
        """Wait until what was handed over is sent."""
        if self._sending is not None:
            self._sending.result()
            self._sending = None


class DueTimeline(NamedTuple):
    """An incident whose timeline is to be read, and the version of the incident it is read for."""

    incident_id: str
    updated_at: datetime | None
    status: str | None


def due_timelines(
    connection: Connection, account: str, *, key_reach: str, key_sight: str
) -> list[DueTimeline]:
    """Incidents that changed since their timeline was read, ended ones first, the newest first; of all
    of them first those that this key has listed.

    :param key_sight: what the key sees; a timeline that was refused to a key of another sight is due, too.
    """
    rows = connection.execute(
        """
        select incident.incident_id, incident.updated_at, incident.status
        from staging.opsgenie_incidents as incident
        left join staging.opsgenie_timeline_reads as reads using (account, incident_id)
        where account = %s and incident.deleted_at is null
            and (reads.incident_id is null
                or (reads.incident_updated_at, reads.incident_status)
                is distinct from (incident.updated_at, incident.status)
                or reads.refused_to <> %s)
        order by
            incident.key_reach is not distinct from %s desc,
            incident.status in ('resolved', 'closed') desc,
            incident.created_at desc
        """,
        (account, key_sight, key_reach),
    ).fetchall()
    return [DueTimeline(*row) for row in rows]


def forget_timelines(connection: Connection, account: str) -> None:
    """Make every timeline of an account due again; what is stored of them stays until then."""
    connection.execute("delete from staging.opsgenie_timeline_reads where account = %s", (account,))


def forget_refusals(connection: Connection, account: str) -> None:
    """Make the timelines due again that a key was refused."""
    connection.execute(
        "delete from staging.opsgenie_timeline_reads where account = %s and refused_to is not null",
        (account,),
    )


def record_refusals(
    connection: Connection, account: str, incidents: Iterable[DueTimeline], key_sight: str
) -> None:
    """Note the timelines that a key was refused: it does not ask again, and a key of another sight does.

    What is stored of them stays.
    """
    staged = Staged(connection, TIMELINE_READS)
    staged.copy((account, *incident, key_sight) for incident in incidents)
    staged.merge()


def load_timelines(
    connection: Connection, account: str, timelines: Iterable[tuple[DueTimeline, list[Raw]]]
) -> tuple[int, list[tuple[bytes, str]]]:
    """Merge the timelines of some incidents; returns the rows changed and what could not be read."""
    entries: dict[tuple[str, str], Row] = {}
    reads: list[Row] = []
    rejected: list[tuple[bytes, str]] = []
    for incident, payloads in timelines:
        reads.append((account, *incident, None))
        for raw in payloads:
            try:
                row = timeline_row(raw, account=account, incident_id=incident.incident_id, rejected=rejected)
                entries[row[1], row[2]] = row
            except UnreadablePayloadError as error:
                rejected.append((bytes(raw), str(error)))
    staged_entries, staged_reads = Staged(connection, INCIDENT_TIMELINE), Staged(connection, TIMELINE_READS)
    staged_entries.copy(entries.values())
    staged_reads.copy(reads)
    changed = staged_entries.prune(
        "(target.account, target.incident_id) = (batch.account, batch.incident_id)",
        using="staged_opsgenie_timeline_reads as batch",
    )
    changed += sum(staged_entries.merge())
    staged_reads.merge()
    return changed + _update_derived(connection), rejected


def _update_derived(connection: Connection) -> int:
    """Bring the derived columns of the incidents whose timelines were just read up to date."""
    read = sql.SQL(
        "(select incident.* from staging.opsgenie_incidents as incident "
        "join {reads} as reads using (account, incident_id))"
    ).format(reads=_STAGED_READS)
    return connection.execute(
        _UPDATE_DERIVED.format(
            names=sql.SQL(", ").join(map(sql.Identifier, DERIVED_INCIDENT_COLUMNS)),
            new=sql.SQL(", ").join(sql.Identifier("derived", name) for name in DERIVED_INCIDENT_COLUMNS),
            old=sql.SQL(", ").join(sql.Identifier("incident", name) for name in DERIVED_INCIDENT_COLUMNS),
            derived=_derived(read, _STAGED_READS),
        )
    ).rowcount
