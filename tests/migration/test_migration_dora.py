"""The trend does not move: an incident is one row with its own times before, during and after."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from migration_harness import ACCOUNT, Migration

from opsgenie_provider.dora.refresh import refresh
from opsgenie_provider.operators.opsgenie import SyncAccountOperator
from opsgenie_provider.settings import load_settings
from sandbox.opsgenie.store import SYNC_KEY


def dora(migration: Migration, *, full: bool) -> list[dict[str, Any]]:
    fields = migration.warehouse.connection
    settings = load_settings()
    with psycopg.connect(host=fields["host"], user=fields["login"], dbname=fields["schema"]) as connection:
        refresh(connection, settings, full)
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
    SyncAccountOperator(task_id="sync").execute({})


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
    one = next(iter(migration.imported().values()))
    migration.target.incidents.edit(one.id, status="open", impact_end=None)
    sync()
    assert dora(migration, full=False) == before
    migration.target.incidents.resolve(one.id)

    migration()
    sync()
    assert dora(migration, full=False) == before
    assert dora(migration, full=True) == before
