"""What a run has brought into the warehouse, as tables on the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql


def print_summary(connection: str) -> None:
    """Print how many rows each table has.

    :param connection: the Airflow connection of the warehouse, as JSON or a URL.
    """
    with psycopg.connect(_conninfo(connection)) as warehouse:
        print_table("Rows", ("table", "rows"), row_counts(warehouse))


def row_counts(warehouse: psycopg.Connection[tuple[Any, ...]]) -> list[tuple[str, int]]:
    """Every table of the warehouse's schemas with its number of rows."""
    tables = warehouse.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_schema in ('staging', 'dora', 'migration') and table_type = 'BASE TABLE' "
        "order by 1 desc, 2"
    ).fetchall()
    counts = []
    for schema, table in tables:
        count = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
        row = warehouse.execute(count).fetchone()
        counts.append((f"{schema}.{table}", row[0] if row else 0))
    return counts


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table with aligned columns; what is not known is a dash."""
    cells = [[_cell(value) for value in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    numeric = [all(isinstance(row[c], int | float | None) for row in rows) for c in range(len(header))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        line = (f"{v:>{w}}" if n else f"{v:<{w}}" for v, w, n in zip(row, widths, numeric, strict=True))
        print(f"  {'  '.join(line)}".rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))
    if not rows:
        print("  none")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if isinstance(value, float) else str(value)
    )


def _conninfo(connection: str) -> str:
    if not connection.startswith("{"):
        return connection
    fields = json.loads(connection)
    names = {"host": "host", "port": "port", "login": "user", "password": "password", "schema": "dbname"}
    return psycopg.conninfo.make_conninfo(
        **{to: fields[name] for name, to in names.items() if fields.get(name)}
    )
