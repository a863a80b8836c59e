"""What a refresh does, in order: every dora table with its key, its scope and its checks."""

from __future__ import annotations

from dataclasses import dataclass

# The temporary tables of include/sql/scope/begin.sql that restrict an incremental refresh of dora tables,
# and the columns by which they do.
SCOPES = {
    "touched_incidents": ("source", "account", "incident_id"),
    "touched_deployments": ("deployment_source", "deployment_id"),
    "touched_services": ("service",),
    "touched_cells": ("grain", "period_start", "service"),
}


@dataclass(frozen=True)
class Scope:
    """A file of include/sql/scope, which adds to what was touched.

    :param fills: the temporary tables that it adds to.
    :param full: a full refresh runs it.
    :param touched: a refresh of what was touched runs it.
    """

    file: str
    fills: tuple[str, ...] = ()
    full: bool = False
    touched: bool = True

    @property
    def name(self) -> str:
        return f"scope/{self.file}"


@dataclass(frozen=True)
class Table:
    """A table of dora: include/sql/transform has the SELECT of the same name that says what it is.

    :param key: the columns that identify a row.
    :param order: the order in which a first load writes the rows, so that those that are read together are
        next to each other.
    :param scope: which of ``SCOPES`` restricts an incremental refresh; None where it computes all rows.
    :param checks: files of include/sql/checks to run once the table is written.
    """

    name: str
    key: tuple[str, ...]
    order: tuple[str, ...]
    scope: str | None
    checks: tuple[str, ...] = ()


STEPS: tuple[Scope | Table, ...] = (
    Scope("begin", full=True),
    Scope(
        "full",
        fills=("touched_incidents", "touched_deployments", "touched_services"),
        full=True,
        touched=False,
    ),
    Scope("touched", fills=("touched_incidents", "touched_deployments", "touched_services")),
    Scope("places", fills=("touched_places",)),
    Table(
        "eligible_deployments",
        key=("deployment_id", "deployment_source"),
        order=("service", "triggered_at"),
        scope="touched_deployments",
    ),
    Scope("places", fills=("touched_places",)),
    Scope("windows", fills=("touched_incidents",)),
    Scope("attributed", fills=("touched_deployments",)),
    Scope("days", fills=("touched_days",)),
    Table("deployed_services", key=("service",), order=("service",), scope="touched_services"),
    Table(
        "incidents",
        key=("incident_id", "account", "source"),
        order=("opened_at",),
        scope="touched_incidents",
    ),
    Table(
        "incident_attribution",
        key=("incident_id", "account", "source", "service"),
        order=("opened_at",),
        scope="touched_incidents",
        checks=("incidents_accounted_for", "offset_within_window", "no_closer_deployment"),
    ),
    # Of deployments that incidents are attributed to only now, too.
    Scope("attributed", fills=("touched_deployments",)),
    Scope("days", fills=("touched_days",)),
    Table(
        "deployment_outcomes",
        key=("deployment_id", "deployment_source"),
        order=("triggered_at",),
        scope="touched_deployments",
        checks=("matched_deployments_eligible",),
    ),
    Scope("days", fills=("touched_days",)),
    Scope("all_periods", fills=("touched_periods",), full=True, touched=False),
    Scope("cells", fills=("touched_cells", "touched_periods")),
    Table(
        "metrics",
        key=("grain", "period_start", "service"),
        order=("period_start",),
        scope="touched_cells",
        checks=("metrics_add_up", "change_failure_rate_in_bounds"),
    ),
    Table("deployment_coverage", key=("service",), order=("service",), scope="touched_services"),
    Table("match_quality", key=("service",), order=("service",), scope=None),
)
TABLES = tuple(step for step in STEPS if isinstance(step, Table))
