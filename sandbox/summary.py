"""Prints the warehouse's contents after a run, as tables on the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

_BY_SERVICE = """
with deployed as (
    select service, count(*) as deployments, count(*) filter (where is_change_failure) as failures
    from dora.deployment_outcomes group by service
),
recovered as (
    select service, avg(seconds_to_recover)::float / 60 as minutes
    from dora.incident_attribution
    where deployment_id is not null and recovered_at is not null
    group by service
)
select service, deployments, failures, failures::float / nullif(deployments, 0), minutes
from deployed full join recovered using (service) order by service
"""
_LATEST = """
select to_char(opened_at, 'YYYY-MM-DD HH24:MI'), service, left(title, 40), status,
    round(seconds_to_recover / 60)::int, deployment_id, round(offset_seconds / 60)::int, pr_number, pr_title
from dora.incident_history order by opened_at desc, incident_id limit 10
"""


_PLAN = """
select to_char(original_created_at at time zone 'UTC', 'YYYY-MM'), state, reason, count(*)
from migration.ledger group by 1, 2, 3 order by 1, 2, 3
"""


def print_summary(connection: str) -> None:
    """Print the rows of each table, CFR and MTTR by service, the latest incidents, and the migration's plan.

    :param connection: the Airflow connection of the warehouse, as JSON or a URL.
    """
    with psycopg.connect(_conninfo(connection)) as warehouse:
        warehouse.execute("set time zone 'UTC'")
        print_table("Rows", ("table", "rows"), row_counts(warehouse))
        print_table(
            "Change failure rate and MTTR (minutes; incidents attributed to a deployment)",
            ("service", "deployments", "failures", "CFR", "MTTR"),
            warehouse.execute(_BY_SERVICE).fetchall(),
        )
        print_table(
            "The ten latest incidents (minutes to recover; minutes after the deployment)",
            ("opened (UTC)", "service", "title", "status", "min", "deployment", "after", "PR", "title"),
            warehouse.execute(_LATEST).fetchall(),
        )
        print_table(
            "The plan of the migration from PagerDuty (nothing was written)",
            ("month", "state", "reason", "incidents"),
            warehouse.execute(_PLAN).fetchall(),
        )


def row_counts(warehouse: psycopg.Connection[tuple[Any, ...]]) -> list[tuple[str, int]]:
    """(table, number of rows) for every table of the warehouse's schemas."""
    tables = warehouse.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_schema in ('staging', 'dora', 'migration') and table_type = 'BASE TABLE' "
        "and table_name not like '%\\_queue' "
        "order by 1 desc, 2"
    ).fetchall()
    counts = []
    for schema, table in tables:
        count = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
        row = warehouse.execute(count).fetchone()
        counts.append((f"{schema}.{table}", row[0] if row else 0))
    return counts


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table with aligned columns; NULL is shown as a dash."""
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
