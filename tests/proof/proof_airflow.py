"""Runs the tasks of the real DAGs, their arguments rendered by Airflow, without a scheduler.

What is left out is Airflow's own bookkeeping: outputs travel in a dictionary instead of XCom, and the
mapped instances of a task run one after the other.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.definitions import xcom_arg
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

from opsgenie_provider.api import github, opsgenie, pagerduty, transport
from opsgenie_provider.api.transport import Throttle
from opsgenie_provider.operators.migration_import import ImportOperator

ROOT = Path(__file__).resolve().parents[2]
DAGS = ("opsgenie_sync", "deployments_sync", "dora_metrics", "pagerduty_migration")
# Where the package asks what time it is; a test may give one of them another answer.
CLOCKS = {
    "sync": "opsgenie_provider.sync.account",
    "github": "opsgenie_provider.operators.deployments",
    "extract": "opsgenie_provider.operators.pagerduty",
    "imported": "opsgenie_provider.migration.search",
}
Outputs = dict[str, Any]
Patch = Callable[[Any, str, Any], None]


@cache
def dag(dag_id: str) -> DAG:
    """The DAG as the DAG processor finds it."""
    bag = DagBag(ROOT / "dags" / f"{dag_id}.py")
    assert bag.import_errors == {}
    found: DAG = bag.dags[dag_id]
    return found


def order(dag_id: str) -> list[str]:
    """Its tasks, each after those that it waits for."""
    return [task.task_id for task in dag(dag_id).topological_sort()]


def adapt(patch: Patch) -> None:
    """Let mapped outputs come from a dictionary; and make retries of a length to afford.

    :param patch: sets an attribute; ``setattr`` in a process that ends with its task.
    """
    # Airflow's own sequence asks its API for one output after the other.
    patch(xcom_arg, "LazyXComSequence", lambda xcom_arg, ti: ti.outputs[xcom_arg.operator.task_id])
    patch(transport, "_backoff", lambda state: 0.01)
    patch(transport, "MAX_ATTEMPTS", 2)
    patch(transport, "MAX_SECONDS_OF_429", 0.05)
    for module in (opsgenie, pagerduty, github):
        quick = copy.copy(module.DIALECT)
        object.__setattr__(quick, "throttle", lambda response: Throttle(wait=0.01))
        object.__setattr__(quick, "quota", lambda response: None)
        patch(module, "DIALECT", quick)
    patch(ImportOperator, "settle_seconds", 0.4)


def set_clocks(patch: Patch, now: datetime, skewed: str = "", skew: timedelta = timedelta()) -> None:
    """Let the package see ``now``, and one of ``CLOCKS``, where that is said, a ``skew`` more."""
    for name, module in CLOCKS.items():
        shown = now + skew if name == skewed else now
        patch(importlib.import_module(module), "datetime", _clock(shown))


def _clock(shown: datetime) -> type[datetime]:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return shown.astimezone(tz or UTC)

    return Clock


class _TaskInstance:
    """As much of a task instance as rendering and the operators ask for."""

    dag_id, run_id = "dag", "run"

    def __init__(self, outputs: Outputs, map_index: int = -1) -> None:
        self.outputs, self.map_index = outputs, map_index

    def xcom_push(self, *, key: str, value: Any) -> None:
        """What a task says before it fails is not asked for: a run here ends with a failure."""

    def xcom_pull(self, *, task_ids: str, key: str, **anything: Any) -> Any:
        output = self.outputs[task_ids]
        return output if key == "return_value" else output[key]

    def get_relevant_upstream_map_indexes(self, **anything: Any) -> None:
        return None

    def get_task_states(self, **which: Any) -> dict[str, dict[str, str]]:
        return {self.run_id: dict.fromkeys(self.outputs, "success")}


def execute(dag_id: str, task_id: str, outputs: Outputs, params: Mapping[str, Any]) -> Any:
    """Execute a task, all its mapped instances; returns its output, or the list of their outputs."""
    task = dag(dag_id).get_task(task_id)
    params = {name: dag(dag_id).params[name] for name in dag(dag_id).params} | dict(params)
    if not task.is_mapped:
        return _execute(copy.copy(task), _TaskInstance(outputs), params)
    count = _instances(task, outputs)
    return [_execute(task, _TaskInstance(outputs, index), params) for index in range(count)]


def _instances(task: Any, outputs: Outputs) -> int:
    value = task._get_specified_expand_input().value
    [source] = value.values() if isinstance(value, dict) else [value]
    return len(outputs[source.operator.task_id])


def _execute(task: Any, ti: _TaskInstance, params: Mapping[str, Any]) -> Any:
    context: Any = {
        "ti": ti,
        "params": params,
        "task": task,
        "dag": task.dag,
        "run_id": ti.run_id,
        "dag_run": SimpleNamespace(conf=dict(params)),
    }
    task.render_template_fields(context)
    task = context["task"]
    if hasattr(task, "python_callable"):
        # A function of the DAG file; what Airflow does around it is not ours to prove.
        named = inspect.signature(task.python_callable).parameters
        given = {"params": params} if "params" in named else {}
        output = task.python_callable(*task.op_args, **given | task.op_kwargs)
    else:
        try:
            output = task.execute(context)
        except (AirflowSkipException, DownstreamTasksSkipped):
            output = None
    # As XCom would carry it.
    return json.loads(json.dumps(output))


def run(
    dag_id: str, params: Mapping[str, Any], tasks: Iterable[str] = (), outputs: Outputs | None = None
) -> Outputs:
    """A whole run of a DAG, or some of its tasks; returns the outputs by task."""
    outputs = {} if outputs is None else outputs
    for task_id in tasks or order(dag_id):
        outputs[task_id] = execute(dag_id, task_id, outputs, params)
    return outputs
