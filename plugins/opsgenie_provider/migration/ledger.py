"""The migration's ledger: what is planned for each incident, and every step of it, before and after.

    planned ──> submitting ──> submitted ──> created ──> resolved ──> done
       │            │              │            │            │
    skipped       planned        failed       failed       failed

``submitting`` is committed before the request to create leaves, ``submitted`` with its request id
after it was accepted. So whatever kills the process, an incident that may exist has one of the two,
and is looked up before anything is sent again. A note has the same two marks: ``note_sent`` before,
``note_request_id`` after. The other steps (resolve, details) may be repeated without harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from opsgenie_provider.warehouse.connection import Connection

UNFINISHED = ("submitting", "submitted", "created", "resolved")
Json = dict[str, Any]


class LedgerConflictError(Exception):
    """A row is not in the state that it was left in: somebody else writes to the ledger."""


class Entry(NamedTuple):
    """An incident on its way; ``payload`` without its source."""

    pagerduty_id: str
    state: str
    payload: Json
    opsgenie_request_id: str | None
    opsgenie_incident_id: str | None
    attempts: int
    notes_done: int
    note_sent: bool
    note_request_id: str | None


class Planned(NamedTuple):
    """What the plan says of an incident; a ``reason`` why not, or a ``payload``."""

    pagerduty_id: str
    original_created_at: datetime
    original_resolved_at: datetime | None
    seconds_to_recover: Any
    reason: str | None
    payload: Json | None


_COLUMNS = sql.SQL(
    "pagerduty_id, state, payload - 'source' as payload, opsgenie_request_id, opsgenie_incident_id, "
    "attempts, notes_done, note_sent, note_request_id"
)
_PLAN = """
insert into migration.ledger as ledger (
    account, pagerduty_id, state, reason, payload, original_created_at, original_resolved_at,
    seconds_to_recover
)
values (%s, %s, %s, %s, %s, %s, %s, %s)
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
# An imported incident that went on in PagerDuty: its details are set anew, and what is missing follows.
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
    original_resolved_at = %(resolved_at)s,
    seconds_to_recover = %(seconds)s,
    updated_at = now()
where ledger.account = %(account)s
    and ledger.pagerduty_id = %(pagerduty_id)s
    and ledger.state = 'done'
    and (
        ledger.original_resolved_at is distinct from %(resolved_at)s
        or ledger.payload #> '{create,details,pagerduty_acknowledged_at}'
        is distinct from %(payload)s::jsonb #> '{create,details,pagerduty_acknowledged_at}'
    )
"""


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
            for each in incidents:
                payload = None if each.payload is None else Jsonb(each.payload)
                state = "skipped" if each.payload is None else "planned"
                cursor.execute(
                    _PLAN,
                    (
                        self._account, each.pagerduty_id, state, each.reason, payload,
                        each.original_created_at, each.original_resolved_at, each.seconds_to_recover,
                    ),
                )  # fmt: skip
                if payload is not None:
                    cursor.execute(
                        _REVISE,
                        {
                            "account": self._account,
                            "pagerduty_id": each.pagerduty_id,
                            "payload": payload,
                            "resolved_at": each.original_resolved_at,
                            "seconds": each.seconds_to_recover,
                        },
                    )

    # --- look

    def entries(self, states: Sequence[str]) -> list[Entry]:
        """Rows of some states, least tried first, then in the order of their creation."""
        query = sql.SQL(
            "select {columns} from migration.ledger where account = %s and state = any(%s) "
            "order by attempts, original_created_at, pagerduty_id"
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

    def entry(self, pagerduty_id: str) -> Entry:
        """A row that the ledger has."""
        query = sql.SQL(
            "select {columns} from migration.ledger where account = %s and pagerduty_id = %s"
        ).format(columns=_COLUMNS)
        with self._connection.cursor(row_factory=class_row(Entry)) as cursor:
            found = cursor.execute(query, (self._account, pagerduty_id)).fetchone()
        if found is None:
            raise LedgerConflictError(f"The ledger's row of {pagerduty_id} is gone.")
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

    # --- step

    def revive_failed(self) -> int:
        """Give failed rows another try: from the start, or from where they stopped."""
        return self._connection.execute(
            "update migration.ledger set state = case when opsgenie_incident_id is null then 'planned' "
            "else 'created' end, reason = null, updated_at = now() where account = %s and state = 'failed'",
            (self._account,),
        ).rowcount

    def submitting(self, entry: Entry) -> Entry:
        """A request to create is about to leave."""
        return self._move(
            entry, "submitting", opsgenie_request_id=None, reason=None, attempts=entry.attempts + 1
        )

    def submitted(self, entry: Entry, request_id: str) -> Entry:
        """The request to create was accepted."""
        return self._move(entry, "submitted", opsgenie_request_id=request_id)

    def planned_again(self, entry: Entry, error: str | None = None) -> Entry:
        """The request to create surely came to nothing."""
        return self._move(entry, "planned", opsgenie_request_id=None, last_error=error)

    def created(self, entry: Entry, incident_id: str, *, adopted: bool = False) -> Entry:
        """The incident exists; an ``adopted`` one may have notes already."""
        return self._move(entry, "created", opsgenie_incident_id=incident_id, note_sent=adopted)

    def resolved(self, entry: Entry) -> Entry:
        """The incident is resolved, or is to stay open."""
        return self._move(entry, "resolved")

    def note_leaving(self, entry: Entry) -> Entry:
        """The next note is about to leave."""
        return self._move(entry, entry.state, note_sent=True, note_request_id=None)

    def note_accepted(self, entry: Entry, request_id: str) -> Entry:
        """The request to add the note was accepted."""
        return self._move(entry, entry.state, note_request_id=request_id)

    def notes_stand(self, entry: Entry, count: int) -> Entry:
        """So many notes stand in OpsGenie, and none is on its way."""
        return self._move(entry, entry.state, notes_done=count, note_sent=False, note_request_id=None)

    def done(self, entry: Entry) -> Entry:
        """All of it stands in OpsGenie."""
        return self._move(entry, "done", reason=None, last_error=None)

    def failed(self, entry: Entry, reason: str) -> Entry:
        """It cannot be imported as it is; a rerun tries again."""
        return self._move(entry, "failed", reason=reason, last_error=reason)

    def undone(self, entry: Entry) -> Entry:
        """What was imported of it is deleted."""
        return self._move(
            entry, "skipped", reason="undone: deleted from OpsGenie", opsgenie_incident_id=None,
            opsgenie_request_id=None, notes_done=0, note_sent=False, note_request_id=None,
        )  # fmt: skip

    def note_error(self, entry: Entry, error: str) -> None:
        """Keep what went wrong without a change of state."""
        self._move(entry, entry.state, last_error=error)

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
                f"The ledger's row of {entry.pagerduty_id} is no longer {entry.state}: somebody else "
                "writes to it."
            )
        return moved
