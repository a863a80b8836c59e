"""One refresh of the dora tables: ``STEPS`` in one transaction.

It sees one state of the staging tables, whoever writes to them meanwhile. If anything fails, a data check for
example, the tables are as the last good run left them and the next run finds what was touched again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from psycopg import IsolationLevel, sql
from psycopg.types.json import Jsonb

from opsgenie_provider.dora.applier import apply
from opsgenie_provider.dora.checks import DataCheckError, run_check
from opsgenie_provider.dora.steps import STEPS, TABLES, Table
from opsgenie_provider.dora.summary import Summary, summarize
from opsgenie_provider.resources import sql_directory
from opsgenie_provider.settings import Settings
from opsgenie_provider.warehouse.connection import Connection, hold_lock

log = logging.getLogger(__name__)

_STAGING = (
    "opsgenie_incidents",
    "opsgenie_incident_services",
    "opsgenie_alerts",
    "pagerduty_incidents",
    "deployments",
)
# From this many staged rows on, an empty table is loaded without its indexes; its readers wait.
MANY_ROWS = 10_000
# Above this many changed keys and this share of all rows, a full refresh takes less time.
_MANY_KEYS = 1_000
_MANY_SHARE = 0.25


class Rules(NamedTuple):
    """The settings that the tables depend on, as dora.refreshes keeps them."""

    window_before: timedelta
    window_after: timedelta
    direction: str
    environments: list[str]
    repository_environments: dict[str, list[str]]


def refresh(connection: Connection, settings: Settings, full: bool = False) -> Summary:
    """Bring the dora tables up to date with staging, in a transaction of its own, one run at a time.

    Full where asked for, on the first run, when a setting of attribution changed, when a table was
    truncated, and when more than a quarter of the rows changed; both kinds make the same rows.

    :param connection: one that is not within a transaction.
    :raises DataCheckError: a check of include/sql/checks failed; nothing was changed.
    """
    rules = rules_of(settings)
    # The lock is held from before the snapshot is taken until after the commit.
    with _explicit_transactions(connection), hold_lock(connection, "dora"):
        reason = None
        try:
            with connection.transaction():
                reason = _reason_for_full(connection, rules, asked=full)
                summary = _refresh(connection, rules, reason)
        except Exception as error:
            if not connection.broken:
                checks = {error.check: error.rows} if isinstance(error, DataCheckError) else None
                _record(connection, rules, is_full=reason is not None, error=str(error), checks=checks)
            raise
        if summary.full:
            _vacuum(connection)
    for line in summary.lines():
        log.info(line)
    return summary


def rules_of(settings: Settings) -> Rules:
    """What of the settings the dora tables depend on."""
    repositories: dict[str, set[str]] = {}
    for entry in settings.github_repositories:
        if entry.environments:
            names = repositories.setdefault(entry.repository.lower(), set())
            names.update(environment.lower() for environment in entry.environments)
    return Rules(
        timedelta(hours=settings.window_before_hours),
        timedelta(hours=settings.window_after_hours),
        settings.direction,
        sorted({environment.lower() for environment in settings.environments}),
        {repository: sorted(names) for repository, names in repositories.items()},
    )


def _refresh(connection: Connection, rules: Rules, reason: str | None) -> Summary:
    # A million rows are sorted sooner in pieces that the processor's cache holds than as a whole; and plans
    # of this size gain nothing from jit.
    connection.execute("set local work_mem = '16MB'")
    connection.execute("set local jit = off")
    # What a run touches was mostly read a moment ago: half of what PostgreSQL takes a random read to cost.
    connection.execute("set local random_page_cost = 2")
    # To merge, rows would be sorted by texts; a hash of the smaller side is the quicker way.
    connection.execute("set local enable_mergejoin = off")
    is_full = reason is not None
    if is_full:
        _analyze_staging(connection)
    is_large = is_full and _staged_rows(connection) >= MANY_ROWS
    # The temporary tables serve a few joins each: a fifth of the usual sample is enough to plan these.
    connection.execute("set local default_statistics_target = 20")
    refresh_id = _record(connection, rules, is_full=is_full)
    seconds: dict[str, float] = {}
    checks: list[str] = []
    for step in STEPS:
        if isinstance(step, Table):
            with _timed(seconds, step.name):
                select = _read(sql_directory("transform") / f"{step.name}.sql")
                applied = apply(connection, step, select, is_full=is_full, is_large=is_large)
            log.debug("dora.%s: %s", step.name, applied)
            with _timed(seconds, "checks"):
                for check in step.checks:
                    run_check(connection, sql_directory("checks") / f"{check}.sql")
                    checks.append(check)
        elif step.full if is_full else step.incremental:
            with _timed(seconds, step.name):
                connection.execute(_read(sql_directory("scope") / f"{step.file}.sql"))
                for table in step.fills:
                    connection.execute(sql.SQL("analyze {}").format(sql.Identifier(table)))
    with _timed(seconds, "summary"):
        summary = summarize(connection, reason, checks, seconds)
    connection.execute(
        "update dora.refreshes set finished_at = clock_timestamp(), checks = %s where refresh_id = %s",
        (Jsonb(dict.fromkeys(checks, 0)), refresh_id),
    )
    return summary


def _analyze_staging(connection: Connection) -> None:
    """The staging tables that were loaded a moment ago, before autovacuum saw them."""
    loaded = connection.execute(
        "select relname from pg_stat_user_tables where schemaname = 'staging' and relname = any(%s) "
        "and (coalesce(last_analyze, last_autoanalyze) is null or n_mod_since_analyze > n_live_tup * 0.1)",
        (list(_STAGING),),
    ).fetchall()
    for (table,) in loaded:
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier("staging", table)))


def _staged_rows(connection: Connection) -> int:
    """About how many rows the staging tables have."""
    row = connection.execute(
        "select sum(greatest(reltuples, 0))::bigint from pg_class "
        "where relnamespace = 'staging'::regnamespace and relname = any(%s)",
        (list(_STAGING),),
    ).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def _explicit_transactions(connection: Connection) -> Iterator[None]:
    """Let all statements of a transaction see the same state, and statements outside of any commit at once.

    What is committed meanwhile is in neither the tables read nor the queues emptied: the next run has it.
    """
    before = connection.autocommit, connection.isolation_level
    connection.autocommit, connection.isolation_level = True, IsolationLevel.REPEATABLE_READ
    try:
        yield
    finally:
        if not connection.broken:
            connection.autocommit, connection.isolation_level = before


def _reason_for_full(connection: Connection, rules: Rules, *, asked: bool) -> str | None:
    """Why everything is to be computed again, or None."""
    if asked:
        return "asked for"
    last = connection.execute(
        "select window_before, window_after, direction, environments, repository_environments "
        "from dora.refreshes where error is null order by refresh_id desc limit 1"
    ).fetchone()
    if last is None:
        return "first run"
    if last != rules:
        return "a setting changed"
    row = connection.execute("select reason from dora.full_refresh_queue order by reason limit 1").fetchone()
    if row is not None:
        return str(row[0])
    row = connection.execute(
        "select (select count(distinct (source, account, incident_id)) from dora.touched_incidents_queue) "
        "+ (select count(distinct (deployment_source, deployment_id)) from dora.touched_deployments_queue), "
        "(select sum(greatest(reltuples, 0)) from pg_class where oid in "
        "('dora.incidents'::regclass, 'dora.deployment_outcomes'::regclass))"
    ).fetchone()
    assert row is not None
    touched, known = row
    return (
        "more than a quarter of the rows changed" if touched > max(_MANY_KEYS, known * _MANY_SHARE) else None
    )


def _record(
    connection: Connection,
    rules: Rules,
    *,
    is_full: bool,
    error: str | None = None,
    checks: dict[str, int] | None = None,
) -> int:
    """Note a refresh in dora.refreshes: one that begins or, with ``error``, one that failed."""
    # As seconds: a timedelta of a day becomes an interval of a day, which a session whose time zone has a
    # summer time, a user's for example, may take for 23 or 25 hours.
    row = connection.execute(
        "insert into dora.refreshes (is_full, window_before, window_after, direction, environments, "
        "repository_environments, error, checks) "
        "values (%s, %s * interval '1 second', %s * interval '1 second', %s, %s, %s, %s, %s) "
        "returning refresh_id",
        (
            is_full,
            rules.window_before.total_seconds(),
            rules.window_after.total_seconds(),
            rules.direction,
            rules.environments,
            Jsonb(rules.repository_environments),
            error,
            None if checks is None else Jsonb(checks),
        ),
    ).fetchone()
    assert row is not None
    return int(row[0])


def _vacuum(connection: Connection) -> None:
    """After the tables were filled: else the next to read them, a page say, has to mark each row as seen."""
    for table in TABLES:
        connection.execute(sql.SQL("vacuum {}").format(sql.Identifier("dora", table.name)))


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = perf_counter()
    yield
    seconds[step] = seconds.get(step, 0) + perf_counter() - started
