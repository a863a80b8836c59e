"""The staging tables as the loader needs them: key columns, and the other columns that a read fills.

The merge sets ``synced_at``; include/sql/schema defines the whole tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

Row = tuple[Any, ...]
# What the rows of an account are read from: the column ``backend``.
OPSGENIE, JSM = "opsgenie", "jsm"


@dataclass(frozen=True)
class Table:
    """A staging table: rows are tuples in the order of ``columns``, unique by ``key``."""

    name: str
    key: tuple[str, ...]
    values: tuple[str, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All columns that a read fills, the key first."""
        return self.key + self.values

    def row(self, **values: Any) -> Row:
        """A row from its columns by name.

        :raises TypeError: a column is missing, or there is none of that name.
        """
        if len(values) == len(self.columns):
            try:
                return self._in_order(values)
            except KeyError:
                pass
        differing = ", ".join(sorted(values.keys() ^ set(self.columns)))
        raise TypeError(f"a row of {self.name} has every column, and no other; these differ: {differing}")

    @cached_property
    def _in_order(self) -> Callable[[Mapping[str, Any]], Row]:
        return itemgetter(*self.columns)

    def key_of(self, row: Row) -> Row:
        """The values of a row's key columns."""
        return row[: len(self.key)]


# For OpsGenie, the warehouse computes these from the payload and the timeline together: a read leaves them
# empty.
DERIVED_INCIDENT_COLUMNS = ("acknowledged_at", "resolved_at", "resolved_at_source", "closed_at")
INCIDENTS = Table(
    "opsgenie_incidents",
    ("account", "incident_id"),
    (
        "tiny_id", "message", "description", "status", "priority", "created_at", "updated_at",
        "impact_start_at", "impact_end_at", "tags", "details", "web_url", "key_reach", "backend",
        "raw", *DERIVED_INCIDENT_COLUMNS, "deleted_at",
    ),
)  # fmt: skip
INCIDENT_SERVICES = Table("opsgenie_incident_services", ("account", "incident_id", "service_id"), ("raw",))
INCIDENT_RESPONDERS = Table(
    "opsgenie_incident_responders", ("account", "incident_id", "responder_type", "responder_id"), ("raw",)
)
INCIDENT_TIMELINE = Table(
    "opsgenie_incident_timeline",
    ("account", "incident_id", "entry_id"),
    ("entry_type", "event_at", "actor_name", "actor_type", "raw"),
)
TIMELINE_READS = Table(
    "opsgenie_timeline_reads",
    ("account", "incident_id"),
    ("incident_updated_at", "incident_status", "refused_to"),
)
# Computed in the warehouse, as what lists lack is: see ``warehouse.alerts``. A read leaves them empty.
COMPUTED_ALERT_COLUMNS = ("service", "deleted_at")
ALERTS = Table(
    "opsgenie_alerts",
    ("account", "alert_id"),
    (
        "tiny_id", "alias", "message", "description", "status", "priority", "source", "entity", "owner",
        "tags", "details", "service", "alert_count", "created_at", "updated_at", "last_occurred_at",
        "acknowledged_at", "closed_at", "web_url", "deleted_at", "backend", "key_reach", "needs_details",
        "details_of", "raw",
    ),
)  # fmt: skip
SERVICES = Table("opsgenie_services", ("account", "service_id"), ("name", "team_id", "backend", "raw"))
TEAMS = Table("opsgenie_teams", ("account", "team_id"), ("name", "backend", "raw"))
USERS = Table("opsgenie_users", ("account", "user_id"), ("username", "full_name", "backend", "raw"))
SCHEDULES = Table(
    "opsgenie_schedules",
    ("account", "schedule_id"),
    ("name", "timezone", "enabled", "team_id", "backend", "raw"),
)
ROTATIONS = Table(
    "opsgenie_rotations",
    ("account", "schedule_id", "rotation_id"),
    (
        "name", "rotation_type", "rotation_length", "start_at", "end_at", "participants", "time_restriction",
        "backend", "raw",
    ),
)  # fmt: skip
ON_CALL_PERIODS = Table(
    "opsgenie_on_call_periods",
    ("account", "schedule_id", "rotation_id", "start_at", "recipient_id"),
    ("recipient_type", "recipient_name", "end_at", "period_type", "backend", "raw"),
)
ESCALATIONS = Table(
    "opsgenie_escalations",
    ("account", "escalation_id"),
    ("name", "team_id", "repeat_count", "repeat_wait_seconds", "backend", "raw"),
)
ESCALATION_RULES = Table(
    "opsgenie_escalation_rules",
    ("account", "escalation_id", "step"),
    (
        "condition", "notify_type", "delay_seconds", "recipient_type", "recipient_id", "recipient_name",
        "backend", "raw",
    ),
)  # fmt: skip
DEPLOYMENTS = Table(
    "deployments",
    ("source", "deployment_id"),
    (
        "service", "environment", "status", "triggered_at", "finished_at", "commit_sha", "repository",
        "pr_number", "pr_url", "pr_title", "url", "raw",
    ),
)  # fmt: skip
# ``acknowledged_at`` is derived from the log entries; a read of incidents does not touch it.
PAGERDUTY_INCIDENTS = Table(
    "pagerduty_incidents",
    ("account", "incident_id"),
    (
        "incident_number", "title", "status", "urgency", "priority", "service_id", "service_name",
        "created_at", "resolved_at", "merged_into", "web_url", "raw",
    ),
)  # fmt: skip
PAGERDUTY_LOG_ENTRIES = Table(
    "pagerduty_log_entries", ("account", "incident_id", "entry_id"), ("entry_type", "event_at", "raw")
)
PAGERDUTY_NOTES = Table(
    "pagerduty_notes", ("account", "incident_id", "note_id"), ("author", "content", "created_at", "raw")
)
PAGERDUTY_DETAIL_READS = Table(
    "pagerduty_detail_reads", ("account", "incident_id"), ("version", "with_notes")
)
PAGERDUTY_SERVICES = Table("pagerduty_services", ("account", "service_id"), ("name", "raw"))
PAGERDUTY_TEAMS = Table("pagerduty_teams", ("account", "team_id"), ("name", "raw"))
PAGERDUTY_PRIORITIES = Table("pagerduty_priorities", ("account", "priority_id"), ("name", "position", "raw"))
