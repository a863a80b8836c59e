"""What a refresh did, as numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from psycopg import sql

from opsgenie_provider.warehouse.connection import Connection

_METRICS = ("service_metrics", "overall_metrics", "match_quality")


@dataclass(frozen=True)
class Summary:
    """What a refresh did.

    :param full: everything was computed again, not only what was touched.
    :param reason: why it was a full refresh; None where it was not.
    :param touched_incidents: how many incidents were computed again.
    :param touched_deployments: how many deployments were computed again.
    :param rows: how many rows each dora table has now.
    :param match_status: how many rows of incident_attribution have each match_status.
    :param unused_overrides: rows of dora.attribution_overrides whose incident and service do not exist.
    :param checks: the data checks that passed.
    :param seconds: how long each step took.
    """

    full: bool
    reason: str | None
    touched_incidents: int
    touched_deployments: int
    rows: dict[str, int]
    match_status: dict[str, int]
    unused_overrides: int
    checks: list[str]
    seconds: dict[str, float] = field(repr=False)

    def lines(self) -> list[str]:
        """The run in words, what is missing included."""
        kind = f"Full refresh ({self.reason})" if self.full else "Incremental refresh"
        lines = [
            f"{kind}: computed {self.touched_incidents} incident(s) and {self.touched_deployments} "
            f"deployment(s) in {sum(self.seconds.values()):.1f} s.",
            "Rows: " + ", ".join(f"{name} {count}" for name, count in self.rows.items()) + ".",
            f"Data checks passed: {', '.join(self.checks)}.",
        ]
        incidents, deployments = self.rows["incidents"], self.rows["deployment_outcomes"]
        if not incidents and not deployments:
            lines.append("The warehouse is empty: no incidents and no eligible deployments yet.")
        elif not incidents:
            lines.append("There are no incidents: nothing to attribute, and no recovery times.")
        elif not deployments:
            lines.append(
                "There are no eligible deployments: change failure rates are unknown. Are there rows in "
                "staging.deployments, and is their environment listed in the setting `environments`?"
            )
        if self.match_status:
            counts = ", ".join(f"{name} {count}" for name, count in self.match_status.items())
            lines.append(f"Attribution: {counts}.")
        if self.unused_overrides:
            lines.append(
                f"{self.unused_overrides} row(s) of dora.attribution_overrides name an incident or a service "
                "of it that does not exist."
            )
        return lines


def summarize(
    connection: Connection, reason: str | None, checks: list[str], seconds: dict[str, float]
) -> Summary:
    """The summary of the refresh whose transaction this is.

    :param reason: why the refresh was full; None where it was not.
    """
    match_status = connection.execute(
        "select match_status, count(*) from dora.incident_attribution group by 1 order by 2 desc, 1"
    ).fetchall()
    # The check metrics_add_up has just found these sums to be the numbers of rows.
    totals = connection.execute(
        "select coalesce(sum(incidents), 0)::bigint, coalesce(sum(deployments), 0)::bigint "
        "from dora.metrics where grain = 'month' and service = ''"
    ).fetchone()
    assert totals is not None
    return Summary(
        full=reason is not None,
        reason=reason,
        touched_incidents=_count(connection, sql.Identifier("touched_incidents")),
        touched_deployments=_count(connection, sql.Identifier("touched_deployments")),
        rows={
            "incidents": totals[0],
            "incident_attribution": sum(count for _, count in match_status),
            "deployment_outcomes": totals[1],
            **{table: _count(connection, sql.Identifier("dora", table)) for table in _METRICS},
        },
        match_status=dict(cast(list[tuple[str, int]], match_status)),
        unused_overrides=_count(
            connection,
            sql.SQL(
                "dora.attribution_overrides as override where not exists ("
                "select from dora.incident_attribution as attribution "
                "where (attribution.source, attribution.account, attribution.incident_id) "
                "= (override.source, override.account, override.incident_id) "
                "and dora.service_key(attribution.service) "
                "is not distinct from dora.service_key(override.service))"
            ),
        ),
        checks=checks,
        seconds=seconds,
    )


def _count(connection: Connection, relation: sql.Composable) -> int:
    row = connection.execute(sql.SQL("select count(*) from {}").format(relation)).fetchone()
    assert row is not None
    return int(row[0])
