"""The DAGs as the scheduler would find them, run in process with Airflow's own metadata database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from opsgenie_provider.api import transport
from opsgenie_provider.operators.migration_import import ImportOperator

ROOT = Path(__file__).resolve().parents[2]
# In this order each finds what it needs; the migration really imports something.
RUNS: dict[str, dict[str, Any]] = {
    "opsgenie_sync": {},
    "deployments_sync": {},
    "pagerduty_migration": {"dry_run": False, "require_approval": False, "limit": 2},
    "dora_metrics": {},
    "dora_report": {},
}


def impatient_dags() -> dict[str, Any]:
    """All DAGs by id; their tasks are not tried again."""
    bag = DagBag(ROOT / "dags")
    assert bag.import_errors == {}
    for dag in bag.dags.values():
        for task in dag.tasks:
            if task.is_mapped:
                task.partial_kwargs["retries"] = 0
            else:
                task.retries = 0
    return dict(bag.dags)


def states_of_runs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Run every DAG once, and wait for nobody."""
    monkeypatch.setattr(transport, "_backoff", lambda state: 0.01)
    monkeypatch.setattr(ImportOperator, "settle_seconds", 0.4)
    dags = impatient_dags()
    assert set(dags) == set(RUNS)
    return {dag_id: str(dags[dag_id].test(run_conf=conf).state) for dag_id, conf in RUNS.items()}
