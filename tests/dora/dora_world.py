"""Staging as plain Python dictionaries that are written to the database as they are edited."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from opsgenie_provider.settings import Repository, Settings
from opsgenie_provider.warehouse.connection import Connection

Row = dict[str, Any]

# Each table with its key and the columns that the tests fill; the others are never filled or have a default.
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "staging.opsgenie_incidents": (
        ("account", "incident_id"),
        ("message", "status", "priority", "created_at", "acknowledged_at", "resolved_at", "closed_at",
         "details",
         "web_url", "deleted_at"),
    ),
    "staging.opsgenie_alerts": (
        ("account", "alert_id"),
        ("message", "status", "priority", "service", "created_at", "acknowledged_at", "closed_at",
         "web_url", "deleted_at"),
    ),
    "staging.opsgenie_incident_services": (("account", "incident_id", "service_id"), ()),
    "staging.opsgenie_services": (("account", "service_id"), ("name", "team_id")),
    "staging.opsgenie_teams": (("account", "team_id"), ("name",)),
    "staging.opsgenie_schedules": (("account", "schedule_id"), ("name", "team_id", "enabled")),
    "staging.opsgenie_rotations": (("account", "schedule_id", "rotation_id"), ("name",)),
    "staging.opsgenie_on_call_periods": (
        ("account", "schedule_id", "rotation_id", "start_at", "recipient_id"), ("recipient_name", "end_at"),
    ),
    "staging.pagerduty_incidents": (
        ("account", "incident_id"),
        ("title", "status", "urgency", "priority", "service_id", "service_name",
         "created_at", "acknowledged_at",
         "resolved_at", "merged_into", "web_url"),
    ),
    "staging.deployments": (
        ("source", "deployment_id"),
        ("service", "environment", "status", "triggered_at", "commit_sha", "repository",
         "pr_number", "pr_url",
         "pr_title"),
    ),
    "dora.service_map": (("account", "service_id"), ("service",)),
    "dora.attribution_overrides": (
        ("source", "account", "incident_id", "service"), ("deployment_source", "deployment_id", "reason", "decided_at"),
    ),
    "dora.pagerduty_priorities": (("account", "pagerduty_priority"), ("priority",)),
}  # fmt: skip
# Those with a payload that has no default.
_WITH_RAW = {name for name in TABLES if name.startswith("staging.opsgenie_")}

# The tables of the contract, the columns that it names, in its order, and how many of them are the key.
CONTRACT: dict[str, tuple[int, str]] = {
    "incidents": (
        3,
        "source account incident_id title status priority opened_at acknowledged_at recovered_at closed_at "
        "seconds_to_recover web_url",
    ),
    "incident_attribution": (
        4,
        "source account incident_id service match_status deployment_source deployment_id offset_seconds "
        "candidate_count",
    ),
    "deployment_outcomes": (
        2,
        "deployment_source deployment_id service environment triggered_at is_change_failure incident_count "
        "mttr_seconds commit_sha repository pr_number pr_url pr_title",
    ),
    "service_metrics": (
        3,
        "grain period_start service deployments change_failures change_failure_rate incidents "
        "recovered_incidents "
        "open_incidents mttr_mean_seconds mttr_median_seconds mttr_p90_seconds mttr_all_mean_seconds "
        "mttr_all_median_seconds",
    ),
    "overall_metrics": (
        2,
        "grain period_start deployments change_failures change_failure_rate incidents recovered_incidents "
        "open_incidents mttr_mean_seconds mttr_median_seconds mttr_p90_seconds mttr_all_mean_seconds "
        "mttr_all_median_seconds",
    ),
    "match_quality": (
        1,
        "service deployments_per_day matched_share expected_chance_match_rate matched_following "
        "matched_preceding caused_share caused_share_low caused_share_high",
    ),
}


@dataclass
class Rules:
    """The settings of attribution."""

    before: timedelta = timedelta(hours=4)
    after: timedelta = timedelta(hours=4)
    direction: str = "both"
    environments: tuple[str, ...] = ("production", "prod")
    # (repository, the environments that its entry names)
    repositories: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def settings(self) -> Settings:
        return Settings().model_copy(
            update={
                "window_before_hours": self.before / timedelta(hours=1),
                "window_after_hours": self.after / timedelta(hours=1),
                "direction": self.direction,
                "environments": list(self.environments),
                "github_repositories": [
                    Repository(repository=name, environments=list(environments) or None)
                    for name, environments in self.repositories
                ],
            }
        )


@dataclass
class World:
    """What is in each table, by key; with a connection, the database holds the same."""

    connection: Connection | None = None
    tables: dict[str, dict[tuple[Any, ...], Row]] = field(
        default_factory=lambda: {name: {} for name in TABLES}
    )

    def rows(self, table: str) -> list[Row]:
        return list(self.tables[table].values())

    def put(self, table: str, **row: Any) -> None:
        """Insert the row, or make the one with its key like it."""
        key, values = TABLES[table]
        row = {name: row.pop(name, None) for name in key + values} | row
        self.tables[table][tuple(row[name] for name in key)] = row
        if self.connection is None:
            return
        columns = {n: Jsonb(v) if isinstance(v, dict) else v for n, v in row.items()}
        if table in _WITH_RAW:
            columns |= {"raw": Jsonb({}), "synced_at": datetime.fromisoformat("2025-01-01T00:00:00Z")}
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        assignments = sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(n)) for n in values
        )
        self.connection.execute(
            sql.SQL("insert into {} ({}) values ({}) on conflict ({}) do {}").format(
                sql.Identifier(*table.split(".")),
                names,
                sql.SQL(", ").join(map(sql.Placeholder, columns)),
                sql.SQL(", ").join(map(sql.Identifier, key)),
                sql.SQL("update set {}").format(assignments) if values else sql.SQL("nothing"),
            ),
            columns,
        )

    def drop(self, table: str, *key: Any) -> None:
        """Delete the row with this key, if there is one."""
        if self.tables[table].pop(key, None) is None or self.connection is None:
            return
        conditions = sql.SQL(" and ").join(
            sql.SQL("{} = %s").format(sql.Identifier(n)) for n in TABLES[table][0]
        )
        self.connection.execute(
            sql.SQL("delete from {} where {}").format(sql.Identifier(*table.split(".")), conditions), key
        )

    def clear(self, table: str) -> None:
        self.tables[table].clear()
        if self.connection is not None:
            self.connection.execute(sql.SQL("truncate {}").format(sql.Identifier(*table.split("."))))


def stored(connection: Connection) -> dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]:
    """The contract's dora tables as they are in the database, by key."""
    found = {}
    for table, (width, columns) in CONTRACT.items():
        query = sql.SQL("select {} from {}").format(
            sql.SQL(", ").join(map(sql.Identifier, columns.split())), sql.Identifier("dora", table)
        )
        found[table] = {row[:width]: row[width:] for row in connection.execute(query)}
    connection.commit()
    return found


def delete_all(connection: Connection) -> None:
    """Leave no rows in staging and dora, and no memory of earlier runs: quicker than many a truncate."""
    tables = connection.execute(
        "select schemaname, tablename from pg_tables where schemaname in ('staging', 'dora')"
    ).fetchall()
    # No triggers: they would note what was touched.
    connection.execute("set local session_replication_role = replica")
    connection.execute(
        sql.SQL("; ").join(sql.SQL("delete from {}").format(sql.Identifier(*table)) for table in tables)
    )
    connection.commit()
