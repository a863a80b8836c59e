"""Merges incidents' timelines, derives when incidents were acknowledged, resolved and closed, and finds
incidents whose timelines are outdated."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import NamedTuple

from msgspec import Raw
from psycopg import sql

from opsgenie_provider.rows.incidents import timeline_row
from opsgenie_provider.rows.parts import Rejected, readable_rows
from opsgenie_provider.rows.tables import (
    DERIVED_INCIDENT_COLUMNS,
    INCIDENT_TIMELINE,
    INCIDENTS,
    TIMELINE_READS,
    Row,
)
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.staged import Staged

# Defines when an incident was acknowledged, resolved and closed: the relation ``{incidents}``, which has the
# columns of the staging table, with the four derived columns computed from it and the timeline.
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
_STAGED_READS = sql.Identifier(f"staged_{TIMELINE_READS.name}")


def with_derived_times(incidents: sql.Composable, batch: sql.Composable) -> sql.Composed:
    """A relation with the columns of the staging table, the derived columns included.

    :param incidents: a relation with the columns of the staging table, whose derived columns are ignored.
    :param batch: a relation with ``account`` and ``incident_id`` of all of them.
    """
    columns = sql.SQL(", ").join(sql.Identifier("incident", name) for name in _READ_COLUMNS)
    return _DERIVED.format(incidents=incidents, batch=batch, columns=columns)


class DueTimeline(NamedTuple):
    """An incident whose timeline is to be read, with the version (update time and status) it is read for."""

    incident_id: str
    updated_at: datetime | None
    status: str | None

    def read(self, account: str, *, refused_to: str | None) -> Row:
        """The row that says for which version the timeline was read, or to what key it was refused."""
        return TIMELINE_READS.row(
            account=account,
            incident_id=self.incident_id,
            incident_updated_at=self.updated_at,
            incident_status=self.status,
            refused_to=refused_to,
        )


def due_timelines(
    connection: Connection,
    account: str,
    backend: str,
    *,
    key_reach: str,
    permissions_id: str,
    unacknowledged_since: datetime,
) -> list[DueTimeline]:
    """Incidents of a backend that have changed since their timeline was read, or that may have.

    That a responder has acknowledged the alert of an open incident is not documented to change the incident.

    Ordered: those that this key has listed first, then ended ones first, then the newest first.

    :param permissions_id: names what the key can read; a timeline that was refused to a key with others is
        included.
    :param unacknowledged_since: includes open incidents created from here on that nobody has acknowledged.
    """
    rows = connection.execute(
        """
        select incident.incident_id, incident.updated_at, incident.status
        from staging.opsgenie_incidents as incident
        left join staging.opsgenie_timeline_reads as reads using (account, incident_id)
        where account = %s and incident.backend = %s and incident.deleted_at is null
            and (reads.incident_id is null
                or (reads.incident_updated_at, reads.incident_status)
                is distinct from (incident.updated_at, incident.status)
                or reads.refused_to <> %s
                or (
                    reads.refused_to is null and incident.status = 'open' and incident.acknowledged_at is null
                    and incident.created_at >= %s
                ))
        order by
            incident.key_reach is not distinct from %s desc,
            incident.status in ('resolved', 'closed') desc,
            incident.created_at desc
        """,
        (account, backend, permissions_id, unacknowledged_since, key_reach),
    ).fetchall()
    return [DueTimeline(*row) for row in rows]


def forget_timelines(connection: Connection, account: str) -> None:
    """Let every timeline of an account be read again; the stored entries stay until then."""
    connection.execute("delete from staging.opsgenie_timeline_reads where account = %s", (account,))


def forget_unacknowledged(connection: Connection, account: str) -> None:
    """Let the timelines of open incidents that nobody has acknowledged be read again."""
    connection.execute(
        "delete from staging.opsgenie_timeline_reads as reads using staging.opsgenie_incidents as incident "
        "where reads.account = %s and incident.account = reads.account "
        "and incident.incident_id = reads.incident_id and incident.status = 'open' "
        "and incident.acknowledged_at is null and incident.deleted_at is null",
        (account,),
    )


def forget_refusals(connection: Connection, account: str) -> None:
    """Let the timelines that were refused to a key be read again."""
    connection.execute(
        "delete from staging.opsgenie_timeline_reads where account = %s and refused_to is not null",
        (account,),
    )


def record_refusals(
    connection: Connection, account: str, incidents: Iterable[DueTimeline], permissions_id: str
) -> None:
    """Record timelines that were refused to a key: only a key with other permissions requests them again.

    Their stored entries stay.
    """
    staged = Staged(connection, TIMELINE_READS)
    staged.copy(incident.read(account, refused_to=permissions_id) for incident in incidents)
    staged.merge()


def load_timelines(
    connection: Connection, account: str, timelines: Iterable[tuple[DueTimeline, list[Raw]]]
) -> tuple[int, Rejected]:
    """Merge timelines of incidents; returns how many rows changed and what could not be read."""
    entries: dict[Row, Row] = {}
    reads: list[Row] = []
    rejected: Rejected = []
    for incident, payloads in timelines:
        reads.append(incident.read(account, refused_to=None))
        convert = partial(timeline_row, account=account, incident_id=incident.incident_id, rejected=rejected)
        for row in readable_rows(payloads, convert, rejected):
            entries[INCIDENT_TIMELINE.key_of(row)] = row
    staged_entries, staged_reads = Staged(connection, INCIDENT_TIMELINE), Staged(connection, TIMELINE_READS)
    staged_entries.copy(entries.values())
    staged_reads.copy(reads)
    changed = staged_entries.prune(
        "(target.account, target.incident_id) = (parent.account, parent.incident_id)", within=staged_reads
    )
    changed += sum(staged_entries.merge())
    staged_reads.merge()
    return changed + _update_derived(connection), rejected


def _update_derived(connection: Connection) -> int:
    """Update the derived columns of the incidents whose timelines were just read."""
    read = sql.SQL(
        "(select incident.* from staging.opsgenie_incidents as incident "
        "join {reads} as reads using (account, incident_id))"
    ).format(reads=_STAGED_READS)
    return connection.execute(
        _UPDATE_DERIVED.format(
            names=sql.SQL(", ").join(map(sql.Identifier, DERIVED_INCIDENT_COLUMNS)),
            new=sql.SQL(", ").join(sql.Identifier("derived", name) for name in DERIVED_INCIDENT_COLUMNS),
            old=sql.SQL(", ").join(sql.Identifier("incident", name) for name in DERIVED_INCIDENT_COLUMNS),
            derived=with_derived_times(read, _STAGED_READS),
        )
    ).rowcount
