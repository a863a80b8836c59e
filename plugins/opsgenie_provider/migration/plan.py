"""The plan of a migration: what the import will do with each incident, and a summary in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from opsgenie_provider.end_of_life import MIGRATION_NOTICE
from opsgenie_provider.instants import utc_instant
from opsgenie_provider.migration.ledger import Ledger, Planned
from opsgenie_provider.migration.options import Options
from opsgenie_provider.migration.payloads import (
    Json,
    Note,
    NotImportable,
    SourceIncident,
    default_priorities,
    payload_of,
)
from opsgenie_provider.planning import parse_instant
from opsgenie_provider.rows.pagerduty import body_text
from opsgenie_provider.warehouse.connection import Connection

_SOURCE = """
select
    incident.incident_id,
    incident.created_at,
    incident.incident_number as number,
    incident.title,
    incident.status,
    incident.urgency,
    incident.priority,
    coalesce(service.name, incident.service_name) as service,
    incident.acknowledged_at,
    incident.resolved_at,
    incident.merged_into,
    incident.web_url,
    incident.raw,
    notes.notes,
    log.log
from staging.pagerduty_incidents as incident
left join staging.pagerduty_services as service using (account, service_id)
left join lateral (
    select array_agg(array[content, author, created_at::text] order by created_at, note_id) as notes
    from staging.pagerduty_notes as note
    where note.account = incident.account and note.incident_id = incident.incident_id
) as notes on true
left join lateral (
    select jsonb_agg(
        jsonb_build_object(
            'type', entry_type, 'at', entry.raw ->> 'created_at', 'by', entry.raw #>> '{agent,summary}',
            'through', entry.raw #>> '{channel,type}'
        ) order by event_at, entry_id
    ) as log
    from staging.pagerduty_log_entries as entry
    where entry.account = incident.account and entry.incident_id = incident.incident_id
        and entry.entry_type <> 'notify_log_entry'
) as log on true
where incident.account = %s
order by incident.created_at, incident.incident_id
"""
_GROUPINGS = {
    "Month": "to_char(ledger.original_created_at at time zone 'utc', 'YYYY-MM')",
    "Service": "coalesce(service.name, incident.service_name, incident.service_id, 'none')",
    "Priority": "coalesce(ledger.payload #>> '{create,priority}', "
    "case when ledger.payload is null then 'not imported' else 'P3 (OpsGenie''s own default)' end)",
}
_COUNTS = """
select
    {by} as grouped,
    count(*) filter (where ledger.state = 'planned') as to_import,
    count(*) filter (where ledger.state in ('submitting', 'submitted', 'created', 'resolved')) as begun,
    count(*) filter (where ledger.state = 'done') as imported,
    count(*) filter (where ledger.state = 'failed') as failed,
    count(*) filter (where ledger.state = 'skipped') as skipped
from migration.ledger as ledger
left join staging.pagerduty_incidents as incident
    on ledger.account = incident.account and ledger.pagerduty_id = incident.incident_id
left join staging.pagerduty_services as service
    on incident.account = service.account and incident.service_id = service.service_id
where ledger.account = %s
group by grouped
order by {order}
"""
_MAX_ROWS = 40
_HEADER = ("to import", "begun", "imported", "failed", "skipped")
# Create, its status, resolve, its status; a note and its status.
_REQUESTS_PER_INCIDENT, _REQUESTS_PER_NOTE = 4, 2


def write_plan(connection: Connection, ledger: Ledger, account: str, options: Options) -> str:
    """Write a ledger row for each of the account's incidents; returns the summary.

    What is outside of the run's since, until and limit is skipped with that reason; another run can
    plan it. Rows on which something was done are left to the import.

    :param connection: another than the ledger's: a plan reads while it writes.
    """
    priorities = priority_mapping(connection, account)
    connection.commit()
    ledger.plan(_planned(connection, ledger, account, options, priorities))
    connection.commit()
    return summary(connection, account, dry_run=options.dry_run)


def _planned(
    connection: Connection, ledger: Ledger, account: str, options: Options, priorities: Mapping[str, str]
) -> Iterator[Planned]:
    since, until = (parse_instant(getattr(options, name), name) for name in ("since", "until"))
    exists = {entry.pagerduty_id for entry in ledger.imported()}
    refused = ledger.refused_ids()
    room = math.inf if options.limit is None else options.limit
    # What OpsGenie refused before gets what the others leave of the limit.
    refused_before: list[Planned] = []
    for incident in source_incidents(connection, account):
        payload: Json | None = None
        reason = _outside(incident, since, until)
        if reason is None:
            try:
                payload = payload_of(incident, options, priorities)
            except NotImportable as why:
                reason = str(why)
        planned = Planned(
            incident.incident_id,
            incident.created_at,
            incident.resolved_at,
            incident.seconds_to_recover,
            reason,
            payload,
        )
        if payload is None or incident.incident_id in exists or options.limit is None:
            yield planned
        elif incident.incident_id in refused:
            refused_before.append(planned)
        elif room:
            room -= 1
            yield planned
        else:
            yield planned._replace(payload=None, reason=f"beyond the limit of {options.limit}")
    for planned in refused_before:
        if room:
            room -= 1
            yield planned
        else:
            reason = f"beyond the limit of {options.limit}, and OpsGenie refused it before"
            yield planned._replace(payload=None, reason=reason)


def _outside(incident: SourceIncident, since: datetime | None, until: datetime | None) -> str | None:
    if since and incident.created_at < since:
        return f"created before {since.isoformat()}"
    if until and incident.created_at >= until:
        return f"created not before {until.isoformat()}"
    return None


def priority_mapping(connection: Connection, account: str) -> dict[str, str]:
    """The account's names of priorities -> P1 to P5: ``dora.pagerduty_priorities``.

    Names that have no row there get one, by the account's own order; rows that a user changed stay.
    """
    names = connection.execute(
        "select name from staging.pagerduty_priorities where account = %s and name is not null "
        "order by position",
        (account,),
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into dora.pagerduty_priorities (account, pagerduty_priority, priority) "
            "values (%s, %s, %s) on conflict do nothing",
            [(account, *pair) for pair in default_priorities([row[0] for row in names]).items()],
        )
    found = connection.execute(
        "select pagerduty_priority, priority from dora.pagerduty_priorities where account = %s", (account,)
    )
    return dict(found.fetchall())


def source_incidents(connection: Connection, account: str) -> Iterator[SourceIncident]:
    """Everything that is known of an account's incidents, oldest first; streamed, for they may be many."""
    with connection.cursor(name="source_incidents", row_factory=dict_row) as cursor:
        cursor.itersize = 500
        for row in cursor.execute(_SOURCE, (account,)):
            notes, log = row.pop("notes") or (), row.pop("log") or ()
            body = body_text(row["raw"])
            yield SourceIncident(account, **row, body=body, notes=[_note(note) for note in notes], log=log)


def _note(note: Sequence[str | None]) -> Note:
    content, author, created_at = note
    return Note(content or "", author, utc_instant(created_at) if created_at else None)


def summary(connection: Connection, account: str, *, dry_run: bool) -> str:
    """What the import will and will not do, in Markdown."""
    planned, notes, begun, failed = connection.execute(
        "select count(*) filter (where state = 'planned'), "
        "coalesce(sum(jsonb_array_length(payload -> 'notes')) filter (where state = 'planned'), 0), "
        "count(*) filter (where state in ('submitting', 'submitted', 'created', 'resolved')), "
        "count(*) filter (where state = 'failed') "
        "from migration.ledger where account = %s",
        (account,),
    ).fetchone() or (0, 0, 0, 0)
    requests = planned * _REQUESTS_PER_INCIDENT + int(notes) * _REQUESTS_PER_NOTE
    lines = [
        f"# PagerDuty ({account}) into OpsGenie",
        "",
        f"**{planned} incidents** will be created and, where they are over, resolved, with {notes} notes: "
        f"about {requests} requests. {begun} that an earlier run began will be finished, {failed} that "
        "failed tried again. Nobody is notified.",
        "",
        MIGRATION_NOTICE,
    ]
    if dry_run:
        lines += ["", "This is a dry run: nothing is written to OpsGenie."]
    for title, by in _GROUPINGS.items():
        order = "grouped" if title != "Service" else "count(*) desc, grouped"
        rows = connection.execute(_COUNTS.format(by=by, order=order), (account,)).fetchall()
        lines += ["", *_table((title.lower(), *_HEADER), rows)]
    reasons = connection.execute(
        # One line for all that were merged, whatever into.
        "select regexp_replace(reason, '^merged into .*', 'merged into another incident'), count(*) "
        "from migration.ledger where account = %s and state = 'skipped' group by 1 order by 2 desc, 1",
        (account,),
    ).fetchall()
    reasons += connection.execute(
        "select 'unreadable (kept in staging.rejected_payloads): ' || reason, count(*) "
        "from staging.rejected_payloads where account = %s and stream = 'pagerduty_incidents' "
        "group by 1 order by 2 desc, 1",
        (account,),
    ).fetchall()
    return "\n".join([*lines, "", *_table(("not imported because", "incidents"), reasons)])


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    rows = list(rows)
    shown = [[_cell(value) for value in row] for row in rows[:_MAX_ROWS]]
    lines = [f"| {' | '.join(row)} |" for row in (list(header), ["---"] * len(header), *shown)]
    if len(rows) > _MAX_ROWS:
        lines += ["", f"... and {len(rows) - _MAX_ROWS} more."]
    return lines


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())
