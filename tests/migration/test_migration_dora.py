"""The trend does not move: an incident is one row with its own times before, during and after."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.opsgenie.store import SYNC_KEY
from tests.migration.migration import ACCOUNT, Migration
from tests.support.dag_runs import run_dag
from tests.support.readers import refresh_metrics


def dora(migration: Migration, *, full: bool) -> list[dict[str, Any]]:
    refresh_metrics(full=full)
    rows = migration.warehouse.rows(
        "select source, account, incident_id, status, priority, opened_at, acknowledged_at, recovered_at, "
        "seconds_to_recover from dora.incidents order by 1, 2, 3"
    )
    metrics = migration.warehouse.rows(
        "select grain, period_start, incidents, recovered_incidents, mttr_all_mean_seconds "
        "from dora.overall_metrics order by 1, 2"
    )
    return rows + metrics


def sync() -> None:
    assert run_dag("opsgenie_sync").succeeded


def test_the_trend_does_not_move(migration: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"conn_type": "opsgenie_api", "host": migration.target_url, "password": SYNC_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_OPSGENIE_DEFAULT", json.dumps(value))
    migration(dry_run=True)
    before = dora(migration, full=True)
    incidents = [row for row in before if "incident_id" in row]
    assert {row["incident_id"] for row in incidents} == set(migration.movable(include_open=True))
    assert {(row["source"], row["account"]) for row in incidents} == {("pagerduty", ACCOUNT)}

    # Some are there, one of them still open.
    migration(limit=9)
    incident = next(iter(migration.imported().values()))
    migration.target.incidents.edit(incident.id, status="open", impact_end=None)
    sync()
    assert dora(migration, full=False) == before
    migration.target.incidents.resolve(incident.id)

    migration()
    sync()
    assert dora(migration, full=False) == before
    assert dora(migration, full=True) == before
