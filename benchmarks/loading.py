"""How long rows take into our table, against the least there is: COPY of the same rows into a plain table."""

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
    """COPY and merge into an empty table, the same again where all is there, and plain COPY; in turns."""
    rows = [
        incident_rows(msgspec.Raw(one.json()), account="opsgenie_default", key_reach="account").incident
        for one in bulk(incidents).incidents.all()
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
    least = median(seconds["plain COPY"])
    return [
        {
            "rows": incidents,
            "load": name,
            "s": round(median(each), 3),
            "ratio": round(median(each) / least, 2),
        }
        for name, each in seconds.items()
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
