"""Loads rows into a staging table: COPY into a temporary table, then one merge.

Everything happens in the caller's transaction, so a batch is stored completely or not at all. Rows that
did not change are not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from opsgenie_provider.rows.tables import Row, Table
from opsgenie_provider.warehouse.connection import Connection

SCHEMA = "staging"
Params = Mapping[str, Any]
Cursor = psycopg.Cursor[tuple[Any, ...]]


class Merged(NamedTuple):
    """How many rows a merge wrote; unchanged rows are not counted."""

    inserted: int
    updated: int


class Staged:
    """A temporary table with the columns of ``table``, dropped at the end of the transaction."""

    def __init__(self, connection: Connection, table: Table) -> None:
        self._connection = connection
        self._table = table
        self._names = {
            "target": sql.Identifier(SCHEMA, table.name),
            "batch": sql.Identifier(f"staged_{table.name}"),
            "columns": _listed(table.columns),
            "key": _listed(table.key),
            "same_key": sql.SQL(" and ").join(
                sql.SQL("staged.{0} = target.{0}").format(sql.Identifier(name)) for name in table.key
            ),
        }
        self._execute(
            "create temporary table {batch} on commit drop as select {columns} from {target} limit 0"
        )
        self._has_statistics = True

    def copy(self, rows: Iterable[Row]) -> None:
        """Add rows to the batch by COPY; their keys must be unique within the batch."""
        statement = sql.SQL("copy {batch} ({columns}) from stdin").format(**self._names)
        with self._connection.cursor().copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
        self._has_statistics = False

    def clear(self) -> None:
        """Remove all rows from the batch."""
        self._execute("truncate {batch}")

    def merge(
        self,
        source: sql.Composable | None = None,
        assigned: Mapping[str, LiteralString] = MappingProxyType({}),
    ) -> Merged:
        """Merge the batch into the table, see ``merge``.

        :param source: a relation with the table's columns to merge in place of the batch itself.
        """
        self._analyze()
        return merge(self._connection, self._table, source or self._names["batch"], assigned)

    def lacks_any(self, scope: LiteralString, params: Params | None = None) -> bool:
        """Whether the table has rows within ``scope`` that the batch does not hold."""
        self._analyze()
        row = self._execute(
            "select exists (select from {target} as target where {scope} "
            "and not exists (select from {batch} as staged where {same_key}))",
            names=self._names | {"scope": sql.SQL(scope)},
            params=params,
        ).fetchone()
        return row == (True,)

    def prune(
        self, scope: LiteralString, params: Params | None = None, *, within: Staged | None = None
    ) -> int:
        """Delete the rows within ``scope`` that the batch does not contain; cheapest before the merge.

        :param scope: a condition on ``target``, and on ``parent`` where ``within`` is given.
        :param within: the batch of the objects that the rows belong to, joined as ``parent``.
        """
        self._analyze()
        using: sql.Composable = sql.SQL("")
        if within is not None:
            within._analyze()
            using = sql.SQL("using {} as parent").format(within._names["batch"])
        return self._execute(
            "delete from {target} as target {using} where {scope} "
            "and not exists (select from {batch} as staged where {same_key})",
            names=self._names | {"scope": sql.SQL(scope), "using": using},
            params=params,
        ).rowcount

    def _analyze(self) -> None:
        """Let the planner know how many keys the batch has; without, it sorts the whole table for a few."""
        if not self._has_statistics:
            self._execute("analyze {batch} ({key})")
            self._has_statistics = True

    def _execute(
        self,
        statement: LiteralString,
        names: Mapping[str, sql.Composable] | None = None,
        params: Params | None = None,
    ) -> Cursor:
        return self._connection.execute(sql.SQL(statement).format(**(names or self._names)), params)


def merge(
    connection: Connection,
    table: Table,
    source: sql.Composable,
    assigned: Mapping[str, LiteralString] = MappingProxyType({}),
) -> Merged:
    """Insert the rows of a relation into a staging table, and update the rows that differ.

    :param source: the relation; it has the table's columns.
    :param assigned: column -> the expression that an existing row gets, in terms of ``target`` and
        ``excluded``; other columns get the value of ``source``.
    """
    new = {name: _new_value(name, assigned.get(name)) for name in table.values}
    statement = sql.SQL(
        "with merged as ("
        "insert into {target} as target ({columns}, synced_at) select {columns}, now() from {source} "
        "on conflict ({key}) do update set {assignments}, synced_at = now() "
        "where ({old}) is distinct from ({new}) "
        # An update locks the row version that it replaces, and xmax of the new version shows that.
        "returning xmax = 0 as inserted) "
        "select count(*) filter (where inserted), count(*) filter (where not inserted) from merged"
    ).format(
        target=sql.Identifier(SCHEMA, table.name),
        columns=_listed(table.columns),
        key=_listed(table.key),
        source=source,
        assignments=sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), new[name]) for name in table.values
        ),
        old=sql.SQL(", ").join(sql.Identifier("target", name) for name in table.values),
        new=sql.SQL(", ").join(new.values()),
    )
    return Merged(*(connection.execute(statement).fetchone() or (0, 0)))


def _new_value(name: str, expression: LiteralString | None) -> sql.Composable:
    return sql.Identifier("excluded", name) if expression is None else sql.SQL(expression)


def _listed(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)
