"""What a report is about, read from the warehouse in one state of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import IsolationLevel
from psycopg.rows import dict_row

from opsgenie_provider.report.matches import Matches
from opsgenie_provider.report.period import Period
from opsgenie_provider.resources import sql_directory
from opsgenie_provider.warehouse.connection import Connection

Row = dict[str, Any]

WEEKS = 26
# More rows than these are no longer read, but counted.
SERVICES = 200
# Of how many matches, the latest, the pictures are.
MATCHES = 100_000
INCIDENTS = 500
_NOTHING: Row = {
    "deployments": 0,
    "change_failures": 0,
    "change_failure_rate": None,
    "decided": 0,
    "incidents": 0,
    "open_incidents": 0,
    "recovered_incidents": 0,
    "mttr_mean_seconds": None,
    "mttr_median_seconds": None,
    "mttr_all_mean_seconds": None,
}


@dataclass(frozen=True)
class Numbers:
    """The numbers of a report.

    :param now: when they were read.
    :param total: what counted in the period, of all services together.
    :param before: the same of the period before it.
    :param services: what counted, by service; with the most change failures first.
    :param trend: the latest weeks up to the period's end, the oldest first.
    :param incidents: those that opened in the period, the latest ``INCIDENTS`` of them.
    :param matches: how far the matches can be trusted, by service; '' is all together.
    :param offsets: the matches around their deployment, by service and bucket; '' is all together.
    :param rule: the windows that the tables were made with; None where they were never made.
    """

    period: Period
    now: datetime
    total: Row
    before: Row
    services: list[Row]
    trend: list[Row]
    incidents: list[Row]
    matches: dict[str, Matches]
    offsets: dict[str, dict[int, int]]
    rule: Row | None


def warehouse_now(connection: Connection) -> datetime:
    """The warehouse's time."""
    row = connection.execute("select now()").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


def read(connection: Connection, period: Period) -> Numbers:
    """Read the numbers of a period, in a transaction that only reads."""
    connection.rollback()
    connection.read_only = True
    connection.isolation_level = IsolationLevel.REPEATABLE_READ

    def rows(name: str, **values: Any) -> list[Row]:
        query = (sql_directory("queries") / f"{name}.sql").read_text(encoding="utf-8")
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values).fetchall()

    with connection.transaction():
        totals = {row["service"]: row for row in rows("report_totals", **period._asdict())}
        return Numbers(
            period=period,
            now=warehouse_now(connection),
            total=totals.pop("", _NOTHING),
            before=next(
                (row for row in rows("report_totals", **period.before._asdict()) if row["service"] == ""),
                _NOTHING,
            ),
            services=list(totals.values()),
            trend=rows("report_trend", until=period.until, weeks=WEEKS)[::-1],
            incidents=rows("report_incidents", **period._asdict(), limit=INCIDENTS),
            matches={row["service"]: Matches.of(row) for row in rows("match_quality", service=None)},
            offsets=by_service(rows("offsets", service=None, matches=MATCHES)),
            rule=next(iter(rows("rule")), None),
        )


def by_service(offsets: list[Row]) -> dict[str, dict[int, int]]:
    """Rows of offsets.sql as matches by service and bucket; '' is all services together."""
    found: dict[str, dict[int, int]] = {"": {}}
    for row in offsets:
        found.setdefault(row["service"], {})[row["bucket"]] = row["matches"]
        found[""][row["bucket"]] = found[""].get(row["bucket"], 0) + row["matches"]
    return found
