"""Merges PagerDuty's incidents, log entries and notes, and finds incidents whose details are outdated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import NamedTuple

from msgspec import Raw

from opsgenie_provider.rows.fields import known_instant
from opsgenie_provider.rows.pagerduty import (
    log_entry_row,
    note_row,
    pagerduty_incident_row,
    priority_row,
)
from opsgenie_provider.rows.parts import Rejected, readable_rows
from opsgenie_provider.rows.tables import (
    PAGERDUTY_DETAIL_READS,
    PAGERDUTY_INCIDENTS,
    PAGERDUTY_LOG_ENTRIES,
    PAGERDUTY_NOTES,
    PAGERDUTY_PRIORITIES,
    Row,
)
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.staged import Staged

# How far outside of the requested window the service may list incidents.
_WINDOW_TOLERANCE = timedelta(seconds=10)

# ``version`` changes whenever an incident's log entries or notes do, as far as its payload shows.
_DUE = """
select *
from (
    select
        incident.incident_id,
        incident.created_at,
        greatest(incident.created_at, incident.resolved_at) as changed_at,
        incident.raw ->> 'updated_at' as updated_at,
        incident.raw ->> 'last_status_change_at' as status_changed_at,
        md5(jsonb_build_array(
            incident.raw -> 'updated_at', incident.raw -> 'last_status_change_at', incident.status,
            incident.resolved_at
        )::text) as version
    from staging.pagerduty_incidents as incident
    where incident.account = %(account)s
        and incident.created_at >= %(since)s
        and incident.created_at < %(until)s
) as incident
where not exists (
    select from staging.pagerduty_detail_reads as reads
    where reads.account = %(account)s
        and reads.incident_id = incident.incident_id
        and reads.version = incident.version
        and (reads.with_notes or not %(with_notes)s)
)
order by incident.created_at, incident.incident_id
"""
_DERIVE = """
with times as (
    select
        incident_id,
        min(event_at) filter (where entry_type ~ '^acknowledge(ment)?_log_entry') as acknowledged_at,
        max(event_at) filter (where entry_type ~ '^resolve_log_entry') as resolved_at
    from staging.pagerduty_log_entries
    where account = %(account)s
    group by incident_id
)
update staging.pagerduty_incidents as incident
set acknowledged_at = times.acknowledged_at,
    resolved_at = case when incident.status = 'resolved'
        then coalesce(incident.resolved_at, times.resolved_at) end,
    synced_at = now()
from times
where incident.account = %(account)s
    and incident.incident_id = times.incident_id
    and (
        incident.acknowledged_at is distinct from times.acknowledged_at
        or (incident.status = 'resolved' and incident.resolved_at is null and times.resolved_at is not null)
    )
"""


class DueDetails(NamedTuple):
    """An incident whose log entries and notes are to be read.

    :param changed_at: when its last known change happened.
    :param version: a hash of the fields that change with its log entries or notes.
    """

    incident_id: str
    created_at: datetime
    changed_at: datetime
    version: str


class Details(NamedTuple):
    """The log entries and, where they were read, the notes of an incident."""

    log_entries: Sequence[Raw]
    notes: Sequence[Raw] | None


def merge_pagerduty_incidents(
    connection: Connection, account: str, payloads: Iterable[Raw], since: datetime, until: datetime
) -> tuple[int, int, Rejected]:
    """Merge incidents created in [since, until).

    Incidents a little outside of the window are skipped: the service lists some, too. Others are rejected.

    :returns: how many incidents were read, how many rows changed, and what could not be read.
    """
    rows: dict[Row, Row] = {}
    rejected: Rejected = []
    convert = partial(pagerduty_incident_row, account=account, rejected=rejected)
    for row in readable_rows(payloads, convert, rejected):
        if since <= row.created_at < until:
            rows[PAGERDUTY_INCIDENTS.key_of(row)] = row
        elif not since - _WINDOW_TOLERANCE <= row.created_at < until + _WINDOW_TOLERANCE:
            rejected.append((row.raw.encode(), "created_at: outside of the window that it was listed for"))
    staged = Staged(connection, PAGERDUTY_INCIDENTS)
    staged.copy(rows.values())
    return len(rows), sum(staged.merge()), rejected


def due_details(
    connection: Connection, account: str, since: datetime, until: datetime, *, with_notes: bool
) -> list[DueDetails]:
    """Incidents created in [since, until) that have changed since their details were read, oldest first."""
    params = {"account": account, "since": since, "until": until, "with_notes": with_notes}
    return [
        DueDetails(id_, created, max(changed, *filter(None, map(_instant, texts))), version)
        for id_, created, changed, *texts, version in connection.execute(_DUE, params)
    ]


def merge_details(
    connection: Connection, account: str, due: Iterable[DueDetails], details: Mapping[str, Details]
) -> tuple[int, Rejected]:
    """Merge the details of incidents; returns how many rows changed and what could not be read."""
    entries: dict[Row, Row] = {}
    notes: dict[Row, Row] = {}
    reads: list[Row] = []
    rejected: Rejected = []
    for incident in due:
        found = details[incident.incident_id]
        id_ = incident.incident_id
        convert = partial(log_entry_row, account=account, incident_id=id_)
        for entry in readable_rows(found.log_entries, convert, rejected):
            entries[PAGERDUTY_LOG_ENTRIES.key_of(entry)] = entry
        convert = partial(note_row, account=account, incident_id=id_, rejected=rejected)
        for note in readable_rows(found.notes or (), convert, rejected):
            notes[PAGERDUTY_NOTES.key_of(note)] = note
        reads.append(
            PAGERDUTY_DETAIL_READS.row(
                account=account,
                incident_id=incident.incident_id,
                version=incident.version,
                with_notes=found.notes is not None,
            )
        )
    staged_reads = Staged(connection, PAGERDUTY_DETAIL_READS)
    staged_reads.copy(reads)
    staged_entries, staged_notes = (
        Staged(connection, table) for table in (PAGERDUTY_LOG_ENTRIES, PAGERDUTY_NOTES)
    )
    staged_entries.copy(entries.values())
    staged_notes.copy(notes.values())
    # Notes can be deleted; log entries cannot.
    changed = staged_notes.prune(
        "(target.account, target.incident_id) = (parent.account, parent.incident_id) and parent.with_notes",
        within=staged_reads,
    )
    changed += sum(staged_entries.merge()) + sum(staged_notes.merge())
    staged_reads.merge()
    return changed, rejected


def derive_times(connection: Connection, account: str) -> int:
    """Update the instants derived from log entries: first acknowledgement, missing resolution."""
    return connection.execute(_DERIVE, {"account": account}).rowcount


def merge_priorities(
    connection: Connection, account: str, payloads: Iterable[Raw], *, prune: bool
) -> Rejected:
    """Merge the account's priorities, most severe first; returns what could not be read.

    :param prune: whether priorities that are missing were deleted. They stay if any could not be read.
    """
    rejected: Rejected = []
    # A priority that cannot be read has a position, too.
    positions = count(1)
    rows = list(
        readable_rows(
            payloads, lambda raw: priority_row(raw, account=account, position=next(positions)), rejected
        )
    )
    staged = Staged(connection, PAGERDUTY_PRIORITIES)
    staged.copy({PAGERDUTY_PRIORITIES.key_of(row): row for row in rows}.values())
    if prune and not rejected:
        staged.prune("account = %(account)s", {"account": account})
    staged.merge()
    return rejected


def _instant(text: str | None) -> datetime | None:
    """An instant that is only a hint: None where it cannot be read or is implausible."""
    instant = known_instant(text)
    return instant if instant and abs(instant.year - 2100) < 1000 else None
