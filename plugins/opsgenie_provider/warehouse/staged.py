"""Rows on their way into a staging table: COPY into a temporary table, then one merge.

All of it happens in the caller's transaction, so a batch is there as a whole or not at all. A row
that did not change is not touched.
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
    """How many rows a merge wrote; the others were there as they are."""

    inserted: int
    updated: int


class Staged:
    """A temporary twin of ``table``, gone at the end of the transaction."""

    def __init__(self, connection: Connection, table: Table) -> None:
        self._connection = connection
        self._table = table
        self._names = {
            "target": sql.Identifier(SCHEMA, table.name),
            "twin": sql.Identifier(f"staged_{table.name}"),
            "columns": _listed(table.columns),
            "key": _listed(table.key),
            "same_key": sql.SQL(" and ").join(
                sql.SQL("staged.{0} = target.{0}").format(sql.Identifier(name)) for name in table.key
            ),
        }
        self._execute(
            "create temporary table {twin} on commit drop as select {columns} from {target} limit 0"
        )

    def copy(self, rows: Iterable[Row]) -> None:
        """Send rows by COPY; their keys must be unique within the batch."""
        statement = sql.SQL("copy {twin} ({columns}) from stdin").format(**self._names)
        with self._connection.cursor().copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def clear(self) -> None:
        """Forget the rows sent so far."""
        self._execute("truncate {twin}")

    def merge(
        self,
        source: sql.Composable | None = None,
        assigned: Mapping[str, LiteralString] = MappingProxyType({}),
    ) -> Merged:
        """Insert what is new, update what differs.

        :param source: a relation with the table's columns to merge in place of the batch as it came.
        :param assigned: column -> what it becomes where the row exists, in terms of ``target`` and
            ``excluded``; a column that is not named becomes what the batch has.
        """
        values = self._table.values
        new = {name: _new(name, assigned.get(name)) for name in values}
        names = self._names | {
            "source": source or self._names["twin"],
            "assignments": sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), new[name]) for name in values
            ),
            "old": sql.SQL(", ").join(sql.Identifier("target", name) for name in values),
            "new": sql.SQL(", ").join(new.values()),
        }
        cursor = self._execute(
            "with merged as ("
            "insert into {target} as target ({columns}, synced_at) select {columns}, now() from {source} "
            "on conflict ({key}) do update set {assignments}, synced_at = now() "
            "where ({old}) is distinct from ({new}) "
            # A row version that replaced another has been locked by the very transaction: xmax says so.
            "returning xmax = 0 as inserted) "
            "select count(*) filter (where inserted), count(*) filter (where not inserted) from merged",
            names=names,
        )
        return Merged(*(cursor.fetchone() or (0, 0)))

    def lacks_any(self, scope: LiteralString, params: Params | None = None) -> bool:
        """Whether the table has rows within ``scope`` that the batch does not hold."""
        row = self._execute(
            "select exists (select from {target} as target where {scope} "
            "and not exists (select from {twin} as staged where {same_key}))",
            names=self._names | {"scope": sql.SQL(scope)},
            params=params,
        ).fetchone()
        return row == (True,)

    def prune(self, scope: LiteralString, params: Params | None = None, *, using: LiteralString = "") -> int:
        """Delete the rows within ``scope`` that the batch does not hold; cheapest before the merge.

        :param scope: a condition on ``target``, and on what ``using`` joins to it.
        """
        return self._execute(
            "delete from {target} as target {using} where {scope} "
            "and not exists (select from {twin} as staged where {same_key})",
            names=self._names
            | {"scope": sql.SQL(scope), "using": sql.SQL(f"using {using}" if using else "")},
            params=params,
        ).rowcount

    def _execute(
        self,
        statement: LiteralString,
        names: Mapping[str, sql.Composable] | None = None,
        params: Params | None = None,
    ) -> Cursor:
        return self._connection.execute(sql.SQL(statement).format(**(names or self._names)), params)


def _new(name: str, expression: LiteralString | None) -> sql.Composable:
    return sql.Identifier("excluded", name) if expression is None else sql.SQL(expression)


def _listed(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)
