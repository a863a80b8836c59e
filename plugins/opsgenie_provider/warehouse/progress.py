"""What a run has done of an account, so that another try of its task continues from there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from opsgenie_provider.warehouse.connection import Connection

Interval = tuple[datetime, datetime]


class RunProgress:
    """The row of an account in ``staging.sync_progress``.

    What is noted is written through the connection of the caller's transaction: it holds exactly if
    that does.

    :param run_id: names the run; '' for work that is no run, which always begins at the beginning.
    """

    def __init__(self, connection: Connection, account: str, run_id: str) -> None:
        self._connection = connection
        self._account = account
        connection.execute(
            """
            insert into staging.sync_progress as progress (account, run_id) values (%(account)s, %(run_id)s)
            on conflict (account) do update set
                run_id = excluded.run_id, plan = null, incidents_read = '{}', steps_done = '{}',
                rows_changed = 0
            where progress.run_id <> excluded.run_id or excluded.run_id = ''
            """,
            {"account": account, "run_id": run_id},
        )
        row = connection.execute(
            "select plan, steps_done, rows_changed from staging.sync_progress where account = %s", (account,)
        ).fetchone()
        assert row is not None  # inserted above, and the caller holds the account's lock
        self.plan: dict[str, Any] | None = row[0]
        self.steps_done: set[str] = set(row[1])
        self.earlier_rows_changed: int = row[2]

    def planned(self, plan: Mapping[str, Any]) -> None:
        """Note what the run reads, as plain JSON: another try reads the same."""
        self.plan = dict(plan)
        self._update("plan = %(value)s", Jsonb(self.plan))

    def step_done(self, step: str, rows_changed: int) -> None:
        """Note that a step is done: another try leaves it out."""
        self.steps_done.add(step)
        self._update("steps_done = array_append(steps_done, %(value)s)", step)
        self.stored(rows_changed)

    def stored(self, rows_changed: int) -> None:
        """Count rows that the run has changed."""
        if rows_changed:
            self._update("rows_changed = rows_changed + %(value)s", rows_changed)

    def incidents_read(self, since: datetime, until: datetime) -> None:
        """Note a window of incidents that was read completely."""
        self._update(
            "incidents_read = incidents_read + tstzmultirange(%(value)s::tstzrange)",
            Range(since, until, bounds="[)"),
        )

    def incidents_left(self, since: datetime, until: datetime) -> list[Interval]:
        """What of a window this run has not read completely yet, ascending."""
        row = self._connection.execute(
            "select tstzmultirange(%s::tstzrange) - incidents_read from staging.sync_progress "
            "where account = %s",
            (Range(since, until, bounds="[)"), self._account),
        ).fetchone()
        left: Multirange[datetime] = row[0] if row else Multirange()
        return [(piece.lower, piece.upper) for piece in left if piece.lower and piece.upper]

    def finish(self) -> None:
        """Forget the run, so that clearing the task reads everything again."""
        self._connection.execute("delete from staging.sync_progress where account = %s", (self._account,))

    def _update(self, assignment: str, value: Any) -> None:
        self._connection.execute(
            f"update staging.sync_progress set {assignment} where account = %(account)s",  # noqa: S608
            {"account": self._account, "value": value},
        )
