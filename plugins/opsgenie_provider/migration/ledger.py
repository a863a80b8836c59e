"""The migration's ledger: what is planned for each incident, and every step of it, before and after.

    planned ──> submitting ──> submitted ──> created ──> resolved ──> done
       │            │              │            │            │
    skipped       planned        failed       failed       failed

``submitting`` is committed before the request to create is sent, ``submitted`` with its request id
after it was accepted. So whatever kills the process, an incident that may exist has one of the two,
and is looked up before anything is sent again. A note has the same two marks: ``note_sent`` before,
``note_request_id`` after. The other steps (resolve, details) may be repeated without harm.

An incident that OpsGenie refused to create stays ``refused`` while it is planned again: it is tried
again after all others, and neither counts against a limit nor stops a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from opsgenie_provider.warehouse.connection import Connection, Warehouse

UNFINISHED = ("submitting", "submitted", "created", "resolved")
_CONFLICT_REMEDY = (
    "Another process changed it. Make sure that only one run of pagerduty_migration is active, then run it "
    "again."
)
Json = dict[str, Any]


class LedgerConflictError(Exception):
    """A row is not in the state that it was left in: another process writes to the ledger."""


class Entry(NamedTuple):
    """A row of the ledger; ``payload`` without its source."""

    pagerduty_id: str
    state: str
    payload: Json
    opsgenie_request_id: str | None
    opsgenie_incident_id: str | None
    attempts: int
    notes_done: int
    note_sent: bool
    note_request_id: str | None
    refused: bool


class Planned(NamedTuple):
    """What the plan says of an incident: a ``payload``, or a ``reason`` why it is not imported."""

    pagerduty_id: str
    original_created_at: datetime
    original_resolved_at: datetime | None
    seconds_to_recover: Decimal | None
    reason: str | None
    payload: Json | None


_COLUMNS = sql.SQL(
    "pagerduty_id, state, payload - 'source' as payload, opsgenie_request_id, opsgenie_incident_id, "
    "attempts, notes_done, note_sent, note_request_id, refused"
)
_PLAN = """
insert into migration.ledger as ledger (
    account, pagerduty_id, state, reason, payload, original_created_at, original_resolved_at,
    seconds_to_recover
)
values (
    %(account)s, %(pagerduty_id)s, %(state)s, %(reason)s, %(payload)s, %(original_created_at)s,
    %(original_resolved_at)s, %(seconds_to_recover)s
)
on conflict (account, pagerduty_id) do update set
    state = excluded.state,
    reason = excluded.reason,
    payload = excluded.payload,
    original_created_at = excluded.original_created_at,
    original_resolved_at = excluded.original_resolved_at,
    seconds_to_recover = excluded.seconds_to_recover,
    updated_at = now()
where (
    ledger.state in ('planned', 'skipped')
    or (ledger.state = 'failed' and ledger.opsgenie_incident_id is null)
)
and (
    ledger.state, ledger.reason, ledger.payload, ledger.original_created_at, ledger.original_resolved_at
) is distinct from (
    excluded.state, excluded.reason, excluded.payload, excluded.original_created_at,
    excluded.original_resolved_at
)
"""
# An imported incident that changed in PagerDuty since: its details are set again, what is missing added.
_REVISE = """
update migration.ledger as ledger
set state = 'created',
    payload = %(payload)s::jsonb || jsonb_build_object('revise', true, 'notes', (
        select coalesce(jsonb_agg(note), '[]') from (
            select note from jsonb_array_elements(ledger.payload -> 'notes') as note
            union all
            select note from jsonb_array_elements(%(payload)s::jsonb -> 'notes') as note
            where not ledger.payload -> 'notes' @> jsonb_build_array(note)
        ) as notes
    )),
    original_resolved_at = %(original_resolved_at)s,
    seconds_to_recover = %(seconds_to_recover)s,
    updated_at = now()
where ledger.account = %(account)s
    and ledger.pagerduty_id = %(pagerduty_id)s
    and ledger.state = 'done'
    and (
        ledger.original_resolved_at is distinct from %(original_resolved_at)s
        or ledger.payload #> '{create,details,pagerduty_acknowledged_at}'
        is distinct from %(payload)s::jsonb #> '{create,details,pagerduty_acknowledged_at}'
    )
"""


_NOTHING_SENT: Mapping[str, Any] = {
    "opsgenie_incident_id": None,
    "opsgenie_request_id": None,
    "notes_done": 0,
    "note_sent": False,
    "note_request_id": None,
}


class Ledger:
    """The rows of one PagerDuty account. Each step is a transaction of its own.

    :param connection: in autocommit; the one that holds the import's lock, so that whoever lost the
        lock can no longer write. Safe to use from several threads.
    """

    def __init__(self, connection: Connection, account: str) -> None:
        self._connection = connection
        self._account = account

    # --- plan

    def plan(self, incidents: Iterable[Planned]) -> None:
        """Write a plan: rows on which nothing was done yet follow it, imported ones are revised by it."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for incident in incidents:
                row = incident._asdict() | {
                    "account": self._account,
                    "state": "skipped" if incident.payload is None else "planned",
                    "payload": None if incident.payload is None else Jsonb(incident.payload),
                }
                cursor.execute(_PLAN, row)
                if incident.payload is not None:
                    cursor.execute(_REVISE, row)

    # --- read

    def entries(self, states: Sequence[str]) -> list[Entry]:
        """Rows of some states, those least tried first, then in the order of their creation."""
        query = sql.SQL(
            "select {columns} from migration.ledger where account = %s and state = any(%s) "
            "order by refused, attempts, original_created_at, pagerduty_id"
        ).format(columns=_COLUMNS)
        with self._connection.cursor(row_factory=class_row(Entry)) as cursor:
            return cursor.execute(query, (self._account, list(states))).fetchall()

    def imported(self) -> list[Entry]:
        """Rows that have an OpsGenie incident, or may have one."""
        query = sql.SQL(
            "select {columns} from migration.ledger where account = %s and "
            "(opsgenie_incident_id is not null or state in ('submitting', 'submitted')) "
            "order by original_created_at, pagerduty_id"
        ).format(columns=_COLUMNS)
        with self._connection.cursor(row_factory=class_row(Entry)) as cursor:
            return cursor.execute(query, (self._account,)).fetchall()

    def refused_ids(self) -> set[str]:
        """PagerDuty ids that OpsGenie refused to create before."""
        rows = self._connection.execute(
            "select pagerduty_id from migration.ledger where account = %s and refused", (self._account,)
        )
        return {pagerduty_id for (pagerduty_id,) in rows}

    def entry(self, pagerduty_id: str) -> Entry:
        """One row."""
        query = sql.SQL(
            "select {columns} from migration.ledger where account = %s and pagerduty_id = %s"
        ).format(columns=_COLUMNS)
        with self._connection.cursor(row_factory=class_row(Entry)) as cursor:
            found = cursor.execute(query, (self._account, pagerduty_id)).fetchone()
        if found is None:
            raise LedgerConflictError(
                f"The ledger's row of {pagerduty_id} no longer exists. {_CONFLICT_REMEDY}"
            )
        return found

    def counts(self) -> Counter[str]:
        """How many rows each state has."""
        rows = self._connection.execute(
            "select state, count(*) from migration.ledger where account = %s group by state",
            (self._account,),
        )
        return Counter(dict(rows.fetchall()))

    def failures(self) -> Iterator[tuple[str, str]]:
        """Failed rows, each with its reason."""
        yield from self._connection.execute(
            "select pagerduty_id, coalesce(reason, '') from migration.ledger "
            "where account = %s and state = 'failed' order by original_created_at, pagerduty_id",
            (self._account,),
        )

    # --- steps

    def revive_failed(self) -> int:
        """Give failed rows another try: from the start, or from where they stopped."""
        return self._connection.execute(
            "update migration.ledger set state = case when opsgenie_incident_id is null then 'planned' "
            "else 'created' end, reason = null, updated_at = now() where account = %s and state = 'failed'",
            (self._account,),
        ).rowcount

    def submitting(self, entry: Entry) -> Entry:
        """A request to create is about to be sent."""
        return self._move(
            entry, "submitting", opsgenie_request_id=None, reason=None, attempts=entry.attempts + 1
        )

    def submitted(self, entry: Entry, request_id: str) -> Entry:
        """The request to create was accepted."""
        return self._move(entry, "submitted", opsgenie_request_id=request_id)

    def replan(self, entry: Entry, error: str | None = None) -> Entry:
        """The request to create was certainly not carried out."""
        return self._move(entry, "planned", opsgenie_request_id=None, last_error=error)

    def created(self, entry: Entry, incident_id: str, *, adopted: bool = False) -> Entry:
        """The incident exists; an ``adopted`` one may have notes already."""
        return self._move(
            entry, "created", opsgenie_incident_id=incident_id, note_sent=adopted, refused=False
        )

    def replan_deleted(self, entry: Entry) -> Entry:
        """The incident was deleted in OpsGenie before it was complete: all of it is to be done again."""
        return self._move(entry, "planned", **_NOTHING_SENT)

    def resolved(self, entry: Entry) -> Entry:
        """The incident is resolved, or is to stay open."""
        return self._move(entry, "resolved")

    def note_sending(self, entry: Entry) -> Entry:
        """The next note is about to be sent."""
        return self._move(entry, entry.state, note_sent=True, note_request_id=None)

    def note_accepted(self, entry: Entry, request_id: str) -> Entry:
        """The request to add the note was accepted."""
        return self._move(entry, entry.state, note_request_id=request_id)

    def notes_confirmed(self, entry: Entry, count: int) -> Entry:
        """``count`` notes exist; none is in flight."""
        return self._move(entry, entry.state, notes_done=count, note_sent=False, note_request_id=None)

    def done(self, entry: Entry) -> Entry:
        """All of it is in OpsGenie."""
        return self._move(entry, "done", reason=None, last_error=None)

    def failed(self, entry: Entry, reason: str) -> Entry:
        """OpsGenie refused a step of an incident that exists; a rerun tries again."""
        return self._move(entry, "failed", reason=reason, last_error=reason)

    def refused(self, entry: Entry, reason: str) -> Entry:
        """OpsGenie refused to create it; a rerun tries again, after all others."""
        return self._move(entry, "failed", reason=reason, last_error=reason, refused=True)

    def undone(self, entry: Entry) -> Entry:
        """What was imported of it is deleted."""
        return self._move(
            entry,
            "skipped",
            reason="undone: deleted from OpsGenie",
            **_NOTHING_SENT,
            attempts=0,
            last_error=None,
            refused=False,
        )

    def _move(self, entry: Entry, state: str, **columns: Any) -> Entry:
        """Write a step, if the row still is as it was left."""
        changes: Mapping[str, Any] = {"state": state, **columns}
        statement = sql.SQL(
            "update migration.ledger set updated_at = now(), {changes} "
            "where account = %(account)s and pagerduty_id = %(id)s and state = %(from)s returning {columns}"
        ).format(
            columns=_COLUMNS,
            changes=sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(f"new_{name}"))
                for name in changes
            ),
        )
        params = {f"new_{name}": value for name, value in changes.items()}
        params |= {"account": self._account, "id": entry.pagerduty_id, "from": entry.state}
        with self._connection.cursor(row_factory=class_row(Entry)) as cursor:
            moved = cursor.execute(statement, params).fetchone()
        if moved is None:
            raise LedgerConflictError(
                f"The ledger's row of {entry.pagerduty_id} is no longer {entry.state}. {_CONFLICT_REMEDY}"
            )
        return moved


@contextmanager
def locked_ledger(warehouse: Warehouse, account: str) -> Iterator[Ledger]:
    """An account's ledger, which no other task has meanwhile."""
    with warehouse.lock(f"{account}:migration") as connection:
        # What the ledger says must outlast a crash of the server, or a write is sent twice; a
        # warehouse may be set up to be less careful.
        connection.execute(
            "select set_config('synchronous_commit', 'on', false) "
            "where current_setting('synchronous_commit') = 'off'"
        )
        yield Ledger(connection, account)
