"""What a refresh does, in order: every dora table with its scope and its checks.

A full refresh computes every row. An incremental one computes again, whole, what a change can affect:

1. Triggers put the keys of changed rows into queues; ``scope/touched.sql`` empties the queues.
2. A changed deployment adds each incident within its old and its new window (``deployment_times``,
   ``incidents_near_deployments``).
3. Each of these incidents adds the deployment that it was attributed to and the one that it is attributed to
   now (``attributed_deployments``).
4. The days on which all of these counted and count now give the periods to compute again (``days``,
   ``metrics_cells``).

"Old and new" is why some files run before a table is written and once more after it.
"""

from __future__ import annotations

from dataclasses import dataclass

# The temporary tables of include/sql/scope/begin.sql that restrict an incremental refresh of dora tables,
# and the columns by which they do.
TOUCHED_KEYS = {
    "touched_incidents": ("source", "account", "incident_id"),
    "touched_deployments": ("deployment_source", "deployment_id"),
    "touched_services": ("service",),
    "touched_cells": ("grain", "period_start", "service"),
}


@dataclass(frozen=True)
class KeyStep:
    """A file of include/sql/scope, which adds to the keys that are computed again.

    :param fills: the temporary tables that it adds to.
    :param full: a full refresh runs it.
    :param incremental: an incremental refresh runs it.
    """

    file: str
    fills: tuple[str, ...] = ()
    full: bool = False
    incremental: bool = True

    @property
    def name(self) -> str:
        return f"scope/{self.file}"


@dataclass(frozen=True)
class Table:
    """A table of dora: include/sql/transform has the SELECT of the same name that says what it is.

    :param order: the order in which a first load writes the rows, so that those that are read together are
        next to each other.
    :param scope: which of ``TOUCHED_KEYS`` restricts an incremental refresh; None where it computes all rows.
    :param checks: files of include/sql/checks to run once the table is written.
    """

    name: str
    order: tuple[str, ...]
    scope: str | None
    checks: tuple[str, ...] = ()


STEPS: tuple[KeyStep | Table, ...] = (
    KeyStep("begin", full=True),
    KeyStep(
        "full",
        fills=("touched_incidents", "touched_deployments", "touched_services"),
        full=True,
        incremental=False,
    ),
    KeyStep("touched", fills=("touched_incidents", "touched_deployments", "touched_services")),
    KeyStep("deployment_times", fills=("touched_deployment_times",)),
    Table(
        "eligible_deployments",
        order=("service", "triggered_at"),
        scope="touched_deployments",
    ),
    KeyStep("deployment_times", fills=("touched_deployment_times",)),
    KeyStep("incidents_near_deployments", fills=("touched_incidents",)),
    KeyStep("attributed_deployments", fills=("touched_deployments",)),
    KeyStep("days", fills=("touched_days",)),
    Table("deployed_services", order=("service",), scope="touched_services"),
    Table(
        "incidents",
        order=("opened_at",),
        scope="touched_incidents",
    ),
    Table(
        "incident_attribution",
        order=("opened_at",),
        scope="touched_incidents",
        checks=("incidents_accounted_for", "offset_within_window", "no_closer_deployment"),
    ),
    # Now of the deployments that incidents are attributed to from this refresh on.
    KeyStep("attributed_deployments", fills=("touched_deployments",)),
    KeyStep("days", fills=("touched_days",)),
    Table(
        "deployment_outcomes",
        order=("triggered_at",),
        scope="touched_deployments",
        checks=("matched_deployments_eligible",),
    ),
    KeyStep("days", fills=("touched_days",)),
    KeyStep("all_periods", fills=("touched_periods",), full=True, incremental=False),
    KeyStep("metrics_cells", fills=("touched_cells", "touched_periods")),
    Table(
        "metrics",
        order=("period_start",),
        scope="touched_cells",
        checks=("metrics_add_up", "change_failure_rate_in_bounds"),
    ),
    Table("deployment_coverage", order=("service",), scope="touched_services"),
    Table("match_quality", order=("service",), scope=None),
)
TABLES = tuple(step for step in STEPS if isinstance(step, Table))
