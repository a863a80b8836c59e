"""Merges complete lists: rows that the service no longer lists are deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import LiteralString, Protocol

from msgspec import Raw

from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.on_call import Coverage, Period
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.rows.tables import ON_CALL_PERIODS, Row, Table
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.staged import Staged


class ToRows(Protocol):
    """Converts a payload to a table's rows; parts that cannot be read go to ``rejected``."""

    def __call__(self, raw: Raw, /, *, rejected: Rejected) -> list[Row]: ...


class Snapshot:
    """A complete list of an account's objects of some kind, as rows of one or several tables.

    :param kinds: each table with the function that converts a payload to its rows; the objects' own table
        first, then the tables of their parts.
    :param backend: what the list was read from, where the tables have rows of several; those of another one
        are left alone.
    :ivar rejected: payloads that cannot be read, and unreadable parts of others, each with its reason.
    """

    def __init__(
        self,
        connection: Connection,
        account: str,
        kinds: Iterable[tuple[Table, ToRows]],
        *,
        backend: str | None = None,
    ) -> None:
        self._connection = connection
        self._scope: LiteralString = "account = %(account)s"
        if backend is not None:
            self._scope += " and backend = %(backend)s"
        self._params = {"account": account, "backend": backend}
        self._kinds = list(kinds)
        self._rows: dict[Table, dict[Row, Row]] = {table: {} for table, _ in self._kinds}
        self.rejected: Rejected = []
        self._unreadable = False
        # Tables of parts in which rows may be missing, because a part could not be read.
        self._incomplete: set[Table] = set()

    def add(self, items: Iterable[Raw]) -> None:
        """Add payloads; a payload that cannot be read for any of the tables goes to ``rejected``."""
        for raw in items:
            rows: list[tuple[Table, Row]] = []
            parts: dict[Table, Rejected] = {table: [] for table, _ in self._kinds}
            try:
                for table, to_rows in self._kinds:
                    rows += ((table, row) for row in to_rows(raw, rejected=parts[table]))
            except UnreadablePayloadError as error:
                self.rejected.append((bytes(raw), str(error)))
                self._unreadable = True
                continue
            for table, row in rows:
                self._rows[table][table.key_of(row)] = row
            for table, rejected in parts.items():
                self.rejected += rejected
                # In the objects' own table only a field is missing; in a table of parts it may be a row.
                if rejected and table is not self._kinds[0][0]:
                    self._incomplete.add(table)

    def merge(self, *, may_prune: Callable[[], bool]) -> int:
        """Write the snapshot; returns how many rows changed.

        :param may_prune: says whether what the snapshot lacks is gone; asked only if it lacks something.
            That stays in any case while something could not be read: it may be just that.
        """
        changed = 0
        for table, rows in self._rows.items():
            staged = Staged(self._connection, table)
            staged.copy(rows.values())
            readable = not self._unreadable and table not in self._incomplete
            if readable and staged.lacks_any(self._scope, self._params) and may_prune():
                changed += staged.prune(self._scope, self._params)
            changed += sum(staged.merge())
        return changed


def on_call_coverage(connection: Connection, account: str) -> dict[str, Coverage]:
    """Schedule id -> the range of its past that is stored."""
    rows = connection.execute(
        "select schedule_id, read_from, read_at from staging.opsgenie_on_call_reads where account = %s",
        (account,),
    )
    return {schedule_id: Coverage(read_from, read_at) for schedule_id, read_from, read_at in rows}


def schedules_on_call_after(
    connection: Connection, account: str, backend: str, instant: datetime
) -> set[str]:
    """Ids of the schedules of which a backend said that somebody is on call after an instant."""
    rows = connection.execute(
        "select distinct schedule_id from staging.opsgenie_on_call_periods "
        "where account = %s and backend = %s and end_at > %s",
        (account, backend, instant),
    )
    return {schedule_id for (schedule_id,) in rows}


def stored_periods(connection: Connection, account: str, schedule_id: str) -> list[Period]:
    """The stored on-call periods of a schedule."""
    rows = connection.execute(
        "select rotation_id, start_at, recipient_id, recipient_type, recipient_name, end_at, period_type, "
        "backend, raw::text from staging.opsgenie_on_call_periods where account = %s and schedule_id = %s",
        (account, schedule_id),
    )
    return [Period(*row) for row in rows]


def replace_periods(
    connection: Connection, account: str, schedule_id: str, periods: Iterable[Period], read: Coverage
) -> int:
    """Replace the schedule's on-call periods, and record the range that was ``read``."""
    connection.execute("drop table if exists pg_temp.staged_opsgenie_on_call_periods")
    staged = Staged(connection, ON_CALL_PERIODS)
    staged.copy((account, schedule_id, *period) for period in periods)
    scope = {"account": account, "schedule_id": schedule_id}
    changed = staged.prune("account = %(account)s and schedule_id = %(schedule_id)s", scope)
    changed += sum(staged.merge())
    connection.execute(
        """
        insert into staging.opsgenie_on_call_reads as reads (account, schedule_id, read_from, read_at)
        values (%s, %s, %s, %s)
        on conflict (account, schedule_id) do update set
            read_from = least(reads.read_from, excluded.read_from), read_at = excluded.read_at
        """,
        (account, schedule_id, *read),
    )
    return changed
