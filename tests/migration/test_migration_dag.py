"""The DAG itself: when it runs, what it asks for, and where a refusal leads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import TriggerRule
from airflow.sdk.exceptions import DownstreamTasksSkipped

from opsgenie_provider.migration.options import Options
from opsgenie_provider.operators.migration_approval import ApprovePlanOperator
from tests.support import ROOT


@pytest.fixture(scope="module")
def dag() -> Any:
    bag = DagBag(str(ROOT / "dags" / "pagerduty_migration.py"))
    assert bag.import_errors == {}
    return bag.dags["pagerduty_migration"]


def test_it_runs_by_hand_only_and_carefully(dag: Any) -> None:
    assert dag.schedule is None
    assert dag.max_active_runs == 1
    params = {name: dag.params[name] for name in dag.params}
    assert params == {
        "since": None,
        "until": None,
        "dry_run": True,
        "require_approval": True,
        "import_notes": True,
        "include_open": False,
        "limit": None,
        "undo": False,
    }
    assert Options.from_params(params).as_json() == params


def test_nothing_writes_before_it_was_approved(dag: Any) -> None:
    def before(task_id: str) -> set[str]:
        return {task.task_id for task in dag.get_task(task_id).get_flat_relatives(upstream=True)}

    for task_id in ("canary", "import", "verify"):
        assert {"validate_keys", "extract", "plan", "go_on", "approve"} <= before(task_id)
    assert {"plan_undo", "go_on_undo", "approve_undo"} <= before("undo")
    assert not {"canary", "import"} & before("undo")


def test_what_extract_stored_reaches_the_metrics_even_if_it_failed(dag: Any) -> None:
    publish = dag.get_task("publish")
    assert [asset.name for asset in publish.outlets] == ["staging.pagerduty"]
    assert publish.trigger_rule == TriggerRule.ALL_DONE
    assert publish.upstream_task_ids == {"extract"}
    assert not dag.get_task("extract").outlets


@pytest.mark.parametrize(("task_id", "skipped"), [("approve", ["canary"]), ("approve_undo", ["undo"])])
def test_a_refusal_skips_what_follows_and_fails_nothing(dag: Any, task_id: str, skipped: list[str]) -> None:
    task = dag.get_task(task_id)
    answer = {
        "chosen_options": ["Reject"],
        "params_input": {},
        "responded_at": None,
        "responded_by_user": None,
    }
    answer["responded_at"] = SimpleNamespace(isoformat=lambda: "now")
    ti = SimpleNamespace(map_index=-1, xcom_push=lambda **anything: None)
    with pytest.raises(DownstreamTasksSkipped) as skip:
        task.execute_complete({"ti": ti, "task": task}, answer)
    assert [each if isinstance(each, str) else each[0] for each in skip.value.tasks] == skipped


def test_nobody_is_asked_where_no_approval_is_required() -> None:
    assert ApprovePlanOperator(task_id="a", subject="?", required=False).execute({}) is None
