"""Brings one dora table up to date with its SELECT, within its scope."""

from __future__ import annotations

from typing import NamedTuple

from psycopg import sql

from opsgenie_provider.dora.steps import SCOPES, Table
from opsgenie_provider.warehouse.connection import Connection


class ColumnsDifferError(Exception):
    """A file of include/sql/transform and the table it fills have different columns."""


class Applied(NamedTuple):
    """How many rows the SELECT returned, and how many of the table were deleted and written for it."""

    computed: int
    deleted: int
    written: int


def apply(connection: Connection, table: Table, select: str, *, is_full: bool) -> Applied:
    """Compute the rows in scope, delete the stored ones that are no longer among them, write what differs.

    Columns are taken from the catalog and matched by name.

    :param select: the text of the table's SELECT.
    """
    columns = _columns(connection, "dora", table.name)
    names = {
        "target": sql.Identifier("dora", table.name),
        "computed": sql.Identifier(f"computed_{table.name}"),
        "select": sql.SQL(select),
        "columns": _listed(columns),
        "order": _listed(table.order),
        "same_key": _same("stored", "computed", table.key),
        "stored_row": _listed(columns, "stored"),
        "computed_row": _listed(columns, "computed"),
        "in_scope": _in_scope(table, is_full=is_full),
        "on_conflict": _on_conflict(columns, table.key),
    }

    def execute(statement: str) -> int:
        return connection.execute(sql.SQL(statement).format(**names)).rowcount

    execute("create temporary table {computed} on commit drop as\n{select}")
    execute("analyze {computed}")
    if differing := set(columns) ^ set(_columns(connection, "pg_temp", f"computed_{table.name}")):
        raise ColumnsDifferError(
            f"include/sql/transform/{table.name}.sql and dora.{table.name} differ in these columns: "
            f"{', '.join(sorted(differing))}."
        )
    deleted = execute(
        "delete from {target} as stored where {in_scope} "
        "and not exists (select from {computed} as computed where {same_key})"
    )
    written = execute(
        "insert into {target} ({columns}) select {computed_row} from {computed} as computed "
        "where not exists (select from {target} as stored where {same_key} "
        "and ({stored_row}) is not distinct from ({computed_row})) "
        "order by {order} {on_conflict}"
    )
    if is_full:
        execute("analyze {target}")
    row = connection.execute(sql.SQL("select count(*) from {computed}").format(**names)).fetchone()
    assert row is not None
    return Applied(row[0], deleted, written)


def _columns(connection: Connection, schema: str, table: str) -> list[str]:
    rows = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 "
        "and not attisdropped and attgenerated = '' order by attnum",
        (f"{schema}.{table}",),
    )
    return [name for (name,) in rows]


def _in_scope(table: Table, *, is_full: bool) -> sql.Composable:
    """The condition on ``stored`` that a row was to be computed again."""
    if is_full or table.scope is None:
        return sql.SQL("true")
    return sql.SQL("exists (select from {scope} as touched where {same})").format(
        scope=sql.Identifier(table.scope), same=_same("stored", "touched", SCOPES[table.scope])
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
