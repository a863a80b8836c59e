"""The time to load rows into our table, compared with the minimum: COPY of the same rows without a merge."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import msgspec
import psycopg

from benchmarks.tools import emptied
from opsgenie_provider.rows.incidents import incident_rows
from opsgenie_provider.rows.tables import INCIDENTS, Row
from opsgenie_provider.warehouse.connection import Connection, Warehouse
from opsgenie_provider.warehouse.schema import upgrade
from opsgenie_provider.warehouse.staged import Staged
from sandbox.opsgenie.seed import bulk


def loading(conninfo: str, incidents: int, repeats: int) -> list[dict[str, Any]]:
    """Plain COPY, COPY and merge into an empty table, and the same rows again, alternating."""
    rows = [
        incident_rows(msgspec.Raw(incident.json()), account="opsgenie_default", key_reach="account").incident
        for incident in bulk(incidents).incidents.all()
    ]
    warehouse = Warehouse(lambda: psycopg.connect(conninfo), "bench")
    seconds: dict[str, list[float]] = {}
    with emptied(conninfo):
        upgrade(warehouse)
        with warehouse.connection() as connection:
            connection.execute(
                "create table bare as select * from staging.opsgenie_incidents with no data; "
                "alter table bare drop column synced_at"
            )
        for _ in range(repeats):
            for name, load in (("plain COPY", _plain), ("COPY and merge, new", _ours), ("unchanged", _ours)):
                with warehouse.connection() as connection:
                    if load is _plain:
                        connection.execute("truncate bare, staging.opsgenie_incidents")
                        connection.commit()
                    seconds.setdefault(name, []).append(_timed(connection, load, rows))
    baseline = median(seconds["plain COPY"])
    return [
        {
            "rows": incidents,
            "load": name,
            "s": round(median(repeats_of_load), 3),
            "ratio": round(median(repeats_of_load) / baseline, 2),
        }
        for name, repeats_of_load in seconds.items()
    ]


def _timed(connection: Connection, load: Callable[[Connection, list[Row]], None], rows: list[Row]) -> float:
    started = time.perf_counter()
    load(connection, rows)
    connection.commit()
    return time.perf_counter() - started


def _ours(connection: Connection, rows: list[Row]) -> None:
    staged = Staged(connection, INCIDENTS)
    staged.copy(rows)
    staged.merge()


def _plain(connection: Connection, rows: list[Row]) -> None:
    with connection.cursor().copy(f"copy bare ({', '.join(INCIDENTS.columns)}) from stdin") as copy:
        for row in rows:
            copy.write_row(row)
