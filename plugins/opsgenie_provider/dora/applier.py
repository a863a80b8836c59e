"""Brings one dora table up to date with its SELECT, within its scope."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

from psycopg import Cursor, sql

from opsgenie_provider.dora.steps import TOUCHED_KEYS, Table
from opsgenie_provider.warehouse.connection import Connection


class ColumnsDifferError(Exception):
    """A file of include/sql/transform and the table it fills have different columns."""


class Applied(NamedTuple):
    """How many rows of the table were deleted and written."""

    deleted: int
    written: int


def apply(connection: Connection, table: Table, select: str, *, is_full: bool, is_large: bool) -> Applied:
    """Compute the rows in scope, delete the stored ones that are no longer among them, write what differs.

    Columns and key are taken from the catalog and matched by name.

    :param select: the text of the table's SELECT.
    :param is_large: load an empty table without its indexes and create them afterwards; readers wait.
    """
    statements = _Statements(connection, table, select, is_full=is_full)
    if is_full:
        # An incremental refresh saves the planning: there, too, a column that the SELECT lacks is an error.
        statements.check_columns()
    if is_full and not statements.execute("select from {target} limit 1").rowcount:
        with _indexes_created_afterwards(connection, f"dora.{table.name}") if is_large else nullcontext():
            applied = Applied(0, statements.load())
    else:
        applied = statements.merge()
    if is_full and any(applied):
        statements.execute("analyze {target}")
    return applied


class _Statements:
    """The statements that bring a table up to date, made of its name, columns, key and SELECT."""

    def __init__(self, connection: Connection, table: Table, select: str, *, is_full: bool) -> None:
        self._connection = connection
        self._table = table
        self._columns = columns = _columns(connection, table.name)
        key = _key(connection, table.name)
        self._names = {
            "target": sql.Identifier("dora", table.name),
            "computed": sql.Identifier(f"computed_{table.name}"),
            "select": sql.SQL(select),
            "columns": _listed(columns),
            "order": _listed(table.order),
            "key": _listed(key),
            "same_key": _same("stored", "computed", key),
            "stored_row": _listed(columns, "stored"),
            "computed_row": _listed(columns, "computed"),
            "computed_in_scope": _in_scope("computed", table, is_full=is_full),
            "stored_in_scope": _in_scope("stored", table, is_full=is_full),
            "on_conflict": _on_conflict(columns, key),
        }

    def execute(self, statement: str) -> Cursor[tuple[Any, ...]]:
        return self._connection.execute(sql.SQL(statement).format(**self._names))

    def check_columns(self) -> None:
        selected = self.execute("select * from (\n{select}\n) as computed limit 0").description or ()
        if differing := set(self._columns) ^ {column.name for column in selected}:
            raise ColumnsDifferError(
                f"include/sql/transform/{self._table.name}.sql and dora.{self._table.name} differ in these "
                f"columns: {', '.join(sorted(differing))}."
            )

    def load(self) -> int:
        """Fill the empty table; how many rows it has now."""
        return self.execute(
            "insert into {target} ({columns}) "
            "select {columns} from (\n{select}\n) as computed order by {order}"
        ).rowcount

    def merge(self) -> Applied:
        self.execute(
            "create temporary table {computed} on commit drop as "
            "select * from (\n{select}\n) as computed where {computed_in_scope}"
        )
        self.execute("analyze {computed}")
        deleted = self.execute(
            # "except", not "not exists": the planner underestimates the stored rows and picks a nested loop.
            "delete from {target} as stored using ("
            "select {key} from {target} as stored where {stored_in_scope} except select {key} from {computed}"
            ") as computed where {same_key}"
        ).rowcount
        written = self.execute(
            "insert into {target} ({columns}) select {computed_row} from {computed} as computed "
            "where not exists (select from {target} as stored where {same_key} "
            "and ({stored_row}) is not distinct from ({computed_row})) "
            "order by {order} {on_conflict}"
        ).rowcount
        return Applied(deleted, written)


@contextmanager
def _indexes_created_afterwards(connection: Connection, table: str) -> Iterator[None]:
    """Drop the indexes of a table that is filled, and create them again.

    To create an index takes a fifth of the time that it takes to add as many rows to it.
    """
    indexes = connection.execute(
        "select format('drop index %%s', indexrelid::regclass), pg_get_indexdef(indexrelid) "
        "from pg_index where indrelid = %(table)s::regclass and not indisprimary "
        "union all "
        "select format('alter table %%s drop constraint %%I', %(table)s, conname), "
        "format('alter table %%s add constraint %%I %%s', %(table)s, conname, pg_get_constraintdef(oid)) "
        "from pg_constraint where conrelid = %(table)s::regclass and contype = 'p'",
        {"table": table},
    ).fetchall()
    for drop, _ in indexes:
        connection.execute(drop)
    yield
    for _, create in indexes:
        connection.execute(create)


def _columns(connection: Connection, table: str) -> list[str]:
    rows = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 "
        "and not attisdropped and attgenerated = '' order by attnum",
        (f"dora.{table}",),
    )
    return [name for (name,) in rows]


def _key(connection: Connection, table: str) -> list[str]:
    rows = connection.execute(
        "select attname from pg_index cross join unnest(indkey) with ordinality as key (attnum, place) "
        "inner join pg_attribute on attrelid = indrelid and pg_attribute.attnum = key.attnum "
        "where indrelid = %s::regclass and indisprimary order by place",
        (f"dora.{table}",),
    )
    return [name for (name,) in rows]


def _in_scope(rows: str, table: Table, *, is_full: bool) -> sql.Composable:
    """The condition that a row was to be computed again."""
    if is_full or table.scope is None:
        return sql.SQL("true")
    return sql.SQL("exists (select from {scope} as touched where {same})").format(
        scope=sql.Identifier(table.scope), same=_same(rows, "touched", TOUCHED_KEYS[table.scope])
    )


def _on_conflict(columns: list[str], key: list[str]) -> sql.Composable:
    assignments = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns if name not in key
    )
    action = sql.SQL("update set {}").format(assignments) if set(columns) - set(key) else sql.SQL("nothing")
    return sql.SQL("on conflict ({}) do {}").format(_listed(key), action)


def _same(left: str, right: str, names: list[str] | tuple[str, ...]) -> sql.Composable:
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(left, name), sql.Identifier(right, name)) for name in names
    )


def _listed(names: list[str] | tuple[str, ...], table: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.Identifier(table, name) if table else sql.Identifier(name) for name in names
    )
