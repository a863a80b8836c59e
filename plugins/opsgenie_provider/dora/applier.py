"""Brings one dora table up to date with its SELECT, within its scope."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

from psycopg import Cursor, sql

from opsgenie_provider.dora.steps import SCOPES, Table
from opsgenie_provider.warehouse.connection import Connection


class ColumnsDifferError(Exception):
    """A file of include/sql/transform and the table it fills have different columns."""


class Applied(NamedTuple):
    """How many rows of the table were deleted and written."""

    deleted: int
    written: int


def apply(connection: Connection, table: Table, select: str, *, is_full: bool, is_large: bool) -> Applied:
    """Compute the rows in scope, delete the stored ones that are no longer among them, write what differs.

    Columns are taken from the catalog and matched by name.

    :param select: the text of the table's SELECT.
    :param is_large: an empty table is worth being filled without its indexes, for which its readers wait.
    """
    columns = _columns(connection, table.name)
    names = {
        "target": sql.Identifier("dora", table.name),
        "computed": sql.Identifier(f"computed_{table.name}"),
        "select": sql.SQL(select),
        "columns": _listed(columns),
        "order": _listed(table.order),
        "key": _listed(table.key),
        "same_key": _same("stored", "computed", table.key),
        "stored_row": _listed(columns, "stored"),
        "computed_row": _listed(columns, "computed"),
        "computed_in_scope": _in_scope("computed", table, is_full=is_full),
        "stored_in_scope": _in_scope("stored", table, is_full=is_full),
        "on_conflict": _on_conflict(columns, table.key),
    }

    def execute(statement: str) -> Cursor[tuple[Any, ...]]:
        return connection.execute(sql.SQL(statement).format(**names))

    # An incremental refresh is spared the planning: there, too, a column that the SELECT lacks is an error.
    if is_full:
        selected = execute("select * from (\n{select}\n) as computed limit 0").description or ()
        if differing := set(columns) ^ {column.name for column in selected}:
            raise ColumnsDifferError(
                f"include/sql/transform/{table.name}.sql and dora.{table.name} differ in these columns: "
                f"{', '.join(sorted(differing))}."
            )
    if is_full and not execute("select from {target} limit 1").rowcount:
        deleted = 0
        with _indexes_built_afterwards(connection, f"dora.{table.name}") if is_large else nullcontext():
            written = execute(
                "insert into {target} ({columns}) "
                "select {columns} from (\n{select}\n) as computed order by {order}"
            ).rowcount
    else:
        execute(
            "create temporary table {computed} on commit drop as "
            "select * from (\n{select}\n) as computed where {computed_in_scope}"
        )
        execute("analyze {computed}")
        deleted = execute(
            # Not by "not exists": where few stored rows are expected and many are there, that compares each
            # of them with each computed one.
            "delete from {target} as stored using ("
            "select {key} from {target} as stored where {stored_in_scope} except select {key} from {computed}"
            ") as computed where {same_key}"
        ).rowcount
        written = execute(
            "insert into {target} ({columns}) select {computed_row} from {computed} as computed "
            "where not exists (select from {target} as stored where {same_key} "
            "and ({stored_row}) is not distinct from ({computed_row})) "
            "order by {order} {on_conflict}"
        ).rowcount
    if is_full and deleted + written:
        execute("analyze {target}")
    return Applied(deleted, written)


@contextmanager
def _indexes_built_afterwards(connection: Connection, table: str) -> Iterator[None]:
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


def _in_scope(rows: str, table: Table, *, is_full: bool) -> sql.Composable:
    """The condition that a row was to be computed again."""
    if is_full or table.scope is None:
        return sql.SQL("true")
    return sql.SQL("exists (select from {scope} as touched where {same})").format(
        scope=sql.Identifier(table.scope), same=_same(rows, "touched", SCOPES[table.scope])
    )


def _on_conflict(columns: list[str], key: tuple[str, ...]) -> sql.Composable:
    assignments = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns if name not in key
    )
    action = sql.SQL("update set {}").format(assignments) if set(columns) - set(key) else sql.SQL("nothing")
    return sql.SQL("on conflict ({}) do {}").format(_listed(key), action)


def _same(left: str, right: str, names: tuple[str, ...]) -> sql.Composable:
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(left, name), sql.Identifier(right, name)) for name in names
    )


def _listed(names: list[str] | tuple[str, ...], table: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.Identifier(table, name) if table else sql.Identifier(name) for name in names
    )
