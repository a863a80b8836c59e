"""What a refresh does, in order: every dora table with its key, its scope and its checks."""

from __future__ import annotations

from dataclasses import dataclass

# The temporary tables of include/sql/scope/begin.sql, and the columns by which each says what was touched.
SCOPES = {
    "touched_incidents": ("source", "account", "incident_id"),
    "touched_deployments": ("deployment_source", "deployment_id"),
    "touched_services": ("service",),
    "touched_places": ("service", "triggered_at"),
    "touched_days": ("service", "day"),
    "touched_cells": ("grain", "period_start", "service"),
}


@dataclass(frozen=True)
class Scope:
    """A file of include/sql/scope, which adds to what was touched.

    :param in_full: a full refresh runs it, too; the others are of what was touched only.
    """

    file: str
    in_full: bool = False

    @property
    def name(self) -> str:
        return f"scope/{self.file}"


@dataclass(frozen=True)
class Table:
    """A table of dora: include/sql/transform has the SELECT of the same name that says what it is.

    :param key: the columns that tell its rows apart.
    :param scope: which of ``SCOPES`` restricts an incremental refresh; None where it computes all rows.
    :param checks: files of include/sql/checks to run once the table is written.
    """

    name: str
    key: tuple[str, ...]
    scope: str | None
    checks: tuple[str, ...] = ()


STEPS: tuple[Scope | Table, ...] = (
    Scope("places"),
    Table("eligible_deployments", ("deployment_source", "deployment_id"), "touched_deployments"),
    Scope("places"),
    Scope("windows"),
    Scope("attributed"),
    Scope("days"),
    Table("deployed_services", ("service",), "touched_services"),
    Table("incidents", ("incident_id", "account", "source"), "touched_incidents"),
    Table(
        "incident_attribution",
        ("incident_id", "account", "source", "service"),
        "touched_incidents",
        checks=("incidents_accounted_for", "offset_within_window", "no_closer_deployment"),
    ),
    # Of deployments that incidents are attributed to only now, too, the day counts as it was and as it will be.
    Scope("attributed"),
    Scope("days"),
    Table(
        "deployment_outcomes",
        ("deployment_id", "deployment_source"),
        "touched_deployments",
        checks=("matched_deployments_eligible",),
    ),
    Scope("days", in_full=True),
    Scope("cells", in_full=True),
    Table(
        "metrics",
        ("grain", "period_start", "service"),
        "touched_cells",
        checks=("metrics_add_up", "change_failure_rate_in_bounds"),
    ),
    Table("deployment_coverage", ("service",), "touched_services"),
    Table("match_quality", ("service",), None),
)
TABLES = tuple(step for step in STEPS if isinstance(step, Table))
