"""From staging to the dora tables: the files of include/sql/transform, then include/sql/checks.

One run is one transaction. It sees one state of the staging tables, whoever writes to them meanwhile,
and if anything fails, a data check say, the tables are as the last good run left them and the next run
finds again what was touched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, cast

from psycopg import IsolationLevel, sql
from psycopg.rows import dict_row

from opsgenie_provider.settings import Settings
from opsgenie_provider.warehouse.connection import Connection

log = logging.getLogger(__name__)

_LOCK = "opsgenie_provider:dora"
# May have been loaded a moment ago, before autovacuum looked at them.
_STAGING = ("opsgenie_incidents", "opsgenie_incident_services", "pagerduty_incidents", "deployments")
_METRICS = ("service_metrics", "overall_metrics", "match_quality")
# What a full refresh fills.
_FILLED = (
    "incidents",
    "eligible_deployments",
    "deployed_services",
    "incident_attribution",
    "incident_facts",
    "deployment_outcomes",
    *_METRICS,
)
# Checks of each row by itself: after a refresh of what was touched, the rows that it looked at will do.
_ROW_CHECKS = {
    "attribution_unique",
    "incidents_accounted_for",
    "matched_deployments_eligible",
    "offset_within_window",
}
# From how many touched keys on, and from what share of all rows on, a full refresh is the shorter way.
_MANY_KEYS = 1_000
_MANY_SHARE = 0.25
_EXAMPLES = 5


class DataCheckError(Exception):
    """A data check found rows that should not be; the dora tables are as before the run.

    :param check: the name of the check's file.
    :param rows: how many rows it returned.
    :param examples: the first of them.
    """

    def __init__(self, check: str, rows: int, examples: list[dict[str, Any]]) -> None:
        self.check = check
        self.rows = rows
        self.examples = examples
        shown = "; ".join(str({k: str(v) for k, v in example.items()}) for example in examples)
        super().__init__(
            f"Data check {check!r} failed with {rows} row(s); the dora tables are as before this run. "
            f"For example: {shown}"
        )


@dataclass(frozen=True)
class Summary:
    """What a refresh did.

    :param full: everything was computed again, not only what was touched.
    :param reason: why it was a full refresh; None where it was not.
    :param touched_incidents: how many incidents were looked at.
    :param touched_deployments: how many deployments were looked at.
    :param rows: how many rows each dora table has now.
    :param unused_overrides: rows of dora.attribution_overrides that name no incident and service there is.
    :param seconds: how long each step took.
    """

    full: bool
    reason: str | None
    touched_incidents: int
    touched_deployments: int
    rows: dict[str, int]
    match_status: dict[str, int]
    unused_overrides: int
    seconds: dict[str, float] = field(repr=False)

    def lines(self) -> list[str]:
        """The run in words, what is missing included."""
        kind = f"Full refresh ({self.reason})" if self.full else "Refresh of what was touched"
        said = [
            f"{kind}: looked at {self.touched_incidents} incident(s) and {self.touched_deployments} "
            f"deployment(s) in {sum(self.seconds.values()):.1f} s.",
            "Rows: " + ", ".join(f"{name} {count}" for name, count in self.rows.items()) + ".",
        ]
        incidents, deployments = self.rows["incidents"], self.rows["deployment_outcomes"]
        if not incidents and not deployments:
            said.append("The warehouse is empty: no incidents and no eligible deployments yet.")
        elif not incidents:
            said.append("There are no incidents: nothing to attribute, and no recovery times.")
        elif not deployments:
            said.append(
                "There are no eligible deployments: change failure rates are unknown. Do deployments reach "
                "staging.deployments, and are their environments among the setting's?"
            )
        if self.match_status:
            said.append(
                "Attribution: "
                + ", ".join(f"{name} {count}" for name, count in self.match_status.items())
                + "."
            )
        if self.unused_overrides:
            said.append(
                f"{self.unused_overrides} row(s) of dora.attribution_overrides name no incident and service "
                "there is."
            )
        return said


def refresh(connection: Connection, sql_directory: Path, settings: Settings, full: bool = False) -> Summary:
    """Bring the dora tables up to date with staging, in a transaction of its own, one run at a time.

    Full where asked for, on the first run, when a setting of attribution changed, when a table was
    truncated, and when so much was touched that it is the shorter way; both ways make the same rows.

    :param connection: one that is not within a transaction.
    :param sql_directory: include/sql.
    :raises DataCheckError: a check of include/sql/checks failed; nothing was changed.
    """
    seconds: dict[str, float] = {}
    with _alone(connection):
        with _one_snapshot(connection), connection.transaction():
            summary = _refreshed(connection, sql_directory, settings, full, seconds)
        if summary.full:
            _vacuum(connection)
    for line in summary.lines():
        log.info(line)
    return summary


def _refreshed(
    connection: Connection, sql_directory: Path, settings: Settings, full: bool, seconds: dict[str, float]
) -> Summary:
    # A million rows are sorted sooner in pieces that the processor's cache holds than as a whole; and plans
    # of this size gain nothing from jit.
    connection.execute("set local work_mem = '16MB'")
    connection.execute("set local jit = off")
    # What a run touches was mostly read a moment ago: half of what PostgreSQL takes a random read to cost.
    connection.execute("set local random_page_cost = 2")
    reason = _reason_for_full(connection, settings, asked=full)
    if reason:
        for table in _STAGING:
            connection.execute(sql.SQL("analyze {}").format(sql.Identifier("staging", table)))
    # The temporary tables serve a few joins each: a fifth of the usual sample is enough to plan these.
    connection.execute("set local default_statistics_target = 20")
    _begin(connection, settings, is_full=reason is not None)
    for file in _files(sql_directory / "transform", "full" if reason else "changes"):
        with _timed(seconds, file.stem):
            _run(connection, file)
            if reason:
                _analyze(connection, file)
    with _timed(seconds, "checks"):
        for file in sorted((sql_directory / "checks").glob("*.sql")):
            _check(connection, file, whole=reason is not None or file.stem not in _ROW_CHECKS)
    with _timed(seconds, "summary"):
        summary = _summary(connection, reason, seconds)
    connection.execute(
        "update dora.refreshes set finished_at = clock_timestamp() "
        "where refresh_id = (select refresh_id from dora.current_refresh)"
    )
    return summary


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Hold the lock of refreshes, from before the snapshot is taken until after the commit."""
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (_LOCK,)).fetchone()
    if row != (True,):
        log.info("Another refresh of the dora tables is at work: waiting for it to end.")
        connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (_LOCK,))
    connection.commit()
    try:
        yield
    finally:
        # A connection that broke has let go of it.
        if not connection.broken:
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (_LOCK,))
            connection.commit()


@contextmanager
def _one_snapshot(connection: Connection) -> Iterator[None]:
    """Let all statements of the transaction see the same state.

    What is committed meanwhile is in neither the tables read nor the queues emptied: it is next time.
    """
    before = connection.isolation_level
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        yield
    finally:
        if not connection.broken:
            connection.isolation_level = before


def _reason_for_full(connection: Connection, settings: Settings, *, asked: bool) -> str | None:
    """Why everything is to be computed again, or None."""
    if asked:
        return "asked for"
    last = connection.execute(
        "select window_before, window_after, direction, environments from dora.refreshes "
        "order by refresh_id desc limit 1"
    ).fetchone()
    if last is None:
        return "first run"
    if tuple(last) != _attribution_settings(settings):
        return "a setting changed"
    row = connection.execute("select reason from dora.full_refresh_queue order by reason limit 1").fetchone()
    if row is not None:
        return str(row[0])
    row = connection.execute(
        "select (select count(*) from dora.touched_incidents_queue) "
        "+ (select count(*) from dora.touched_deployments_queue), "
        "(select sum(greatest(reltuples, 0)) from pg_class where oid in "
        "('dora.incidents'::regclass, 'dora.deployment_outcomes'::regclass))"
    ).fetchone()
    assert row is not None
    touched, known = row
    return "most rows were touched" if touched > max(_MANY_KEYS, known * _MANY_SHARE) else None


def _vacuum(connection: Connection) -> None:
    """After the tables were filled: else the next to read them, a page say, has to mark each row as seen.

    And analyzed with the usual sample, for whoever reads them.
    """
    connection.autocommit = True
    try:
        for table in _FILLED:
            connection.execute(sql.SQL("vacuum (analyze) {}").format(sql.Identifier("dora", table)))
    finally:
        if not connection.broken:
            connection.autocommit = False


def _attribution_settings(settings: Settings) -> tuple[timedelta, timedelta, str, list[str]]:
    """The settings that the tables depend on, as dora.refreshes keeps them."""
    return (
        timedelta(hours=settings.window_before_hours),
        timedelta(hours=settings.window_after_hours),
        settings.direction,
        sorted({environment.lower() for environment in settings.environments}),
    )


def _begin(connection: Connection, settings: Settings, *, is_full: bool) -> None:
    before, after, direction, environments = _attribution_settings(settings)
    # As seconds: a timedelta of a day becomes an interval of a day, which a session whose time zone has a
    # summer time, a user's or a check's, may take for 23 or 25 hours.
    connection.execute(
        "insert into dora.refreshes (is_full, window_before, window_after, direction, environments) "
        "values (%s, %s * interval '1 second', %s * interval '1 second', %s, %s)",
        (is_full, before.total_seconds(), after.total_seconds(), direction, environments),
    )


def _files(directory: Path, scope: str) -> list[Path]:
    """The files in order; of those with a scope in their name, the ones of ``scope``."""
    return [
        file
        for file in sorted(directory.glob("*.sql"))
        if file.suffixes == [".sql"] or f".{scope}" in file.suffixes
    ]


def _statements(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _run(connection: Connection, file: Path) -> None:
    connection.execute(_statements(file))


def _analyze(connection: Connection, file: Path) -> None:
    """Tell the planner what a file has just filled: autovacuum sees it only after the commit."""
    table = file.stem.partition("_")[2]
    if table in _FILLED:
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier("dora", table)))


def _check(connection: Connection, file: Path, *, whole: bool) -> None:
    statement = _statements(file)
    if not whole:
        # The tables that 90_looked_at.changes.sql made stand for the whole ones.
        statement = statement.replace("dora.incidents ", "looked_at_incidents ").replace(
            "dora.incident_attribution ", "looked_at_attribution "
        )
    query = sql.SQL(
        "select count(*) over () as rows_returned, found.* from (\n{}\n) as found limit {}"
    ).format(sql.SQL(statement), sql.Literal(_EXAMPLES))
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(query).fetchall()
    if found:
        rows = [row.pop("rows_returned") for row in found]
        raise DataCheckError(file.stem, rows[0], found)


def _summary(connection: Connection, reason: str | None, seconds: dict[str, float]) -> Summary:
    def count(relation: sql.Composable) -> int:
        row = connection.execute(sql.SQL("select count(*) from {}").format(relation)).fetchone()
        assert row is not None
        return int(row[0])

    match_status = connection.execute(
        "select match_status, sum(incidents)::bigint from dora.match_counts group by 1 order by 2 desc, 1"
    ).fetchall()
    # The check metrics_add_up has just found these sums to be the numbers of rows.
    counted = connection.execute(
        "select coalesce(sum(incidents), 0)::bigint, coalesce(sum(deployments), 0)::bigint "
        "from dora.overall_metrics where grain = 'month'"
    ).fetchone()
    assert counted is not None
    rows = {
        "incidents": counted[0],
        "incident_attribution": sum(number for _, number in match_status),
        "deployment_outcomes": counted[1],
        **{table: count(sql.Identifier("dora", table)) for table in _METRICS},
    }
    return Summary(
        full=reason is not None,
        reason=reason,
        touched_incidents=count(sql.Identifier("touched_incidents")),
        touched_deployments=count(sql.Identifier("touched_deployments")),
        rows=rows,
        match_status=dict(cast(list[tuple[str, int]], match_status)),
        unused_overrides=count(
            sql.SQL(
                "dora.attribution_overrides as override where not exists ("
                "select from dora.incident_attribution as attribution "
                "where (attribution.source, attribution.account, attribution.incident_id) "
                "= (override.source, override.account, override.incident_id) "
                "and attribution.service in "
                "(override.service, coalesce(dora.service_key(override.service), '')))"
            )
        ),
        seconds=seconds,
    )


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = perf_counter()
    yield
    seconds[step] = perf_counter() - started
