"""Executes single tasks of the real DAGs, their arguments rendered by Airflow.

For what ``dag.test()`` cannot do: to try one task again and again from the same state, and to run in a
process that is killed. What is left out is Airflow's own bookkeeping: outputs travel in a dictionary
instead of XCom, and the mapped instances of a task run one after the other.
"""

from __future__ import annotations

import copy
import inspect
import json
import uuid
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.python import BranchPythonOperator, ShortCircuitOperator
from airflow.sdk import TriggerRule
from airflow.sdk.definitions import xcom_arg
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

from opsgenie_provider.api import transport
from opsgenie_provider.operators.migration_import import ImportOperator
from opsgenie_provider.operators.outcomes import OUTCOME
from tests.support.clocks import Patch
from tests.support.dag_runs import dag
from tests.support.faults import shorten_waits

Outputs = dict[str, Any]
_RUNS_AFTER_FAILURES = (TriggerRule.ALL_DONE, TriggerRule.NONE_SKIPPED)


def order(dag_id: str) -> list[str]:
    """Its tasks, each after those that it waits for."""
    return [task.task_id for task in dag(dag_id).topological_sort()]


def adapt(patch: Patch) -> None:
    """Make retries and waits of a length to afford.

    :param patch: sets an attribute; ``setattr`` in a process that ends with its task.
    """
    patch(transport, "MAX_ATTEMPTS", 2)
    patch(transport, "MAX_SECONDS_OF_429", 0.05)
    patch(ImportOperator, "settle_seconds", 0.4)
    shorten_waits(patch, quota=lambda response: None)


class _TaskInstance:
    """As much of a task instance as rendering and the operators ask for."""

    dag_id, run_id, try_number = "dag", "run", 1
    failed: Collection[str] = ()

    def __init__(self, task_id: str, outputs: Outputs, map_index: int = -1) -> None:
        self.task_id, self.outputs, self.map_index = task_id, outputs, map_index

    def xcom_push(self, *, key: str, value: Any) -> None:
        self.outputs[f"{self.task_id}:{key}"] = value

    def xcom_pull(self, *, task_ids: str | list[str], key: str, **anything: Any) -> Any:
        if not isinstance(task_ids, str):
            return [self.xcom_pull(task_ids=each, key=key) for each in task_ids]
        if (pushed := f"{task_ids}:{key}") in self.outputs:
            return self.outputs[pushed]
        output = self.outputs.get(task_ids)
        return output if key == "return_value" or not isinstance(output, dict) else output.get(key)

    def get_relevant_upstream_map_indexes(self, **anything: Any) -> None:
        return None

    def get_task_states(self, **which: Any) -> dict[str, dict[str, str]]:
        names = [name for name in which["task_ids"] if name in self.outputs]
        states = {name: "failed" if name in self.failed else "success" for name in names}
        return {self.run_id: states}


@cache
def _defaults(dag_id: str) -> dict[str, Any]:
    """The DAG's params. Airflow checks each against its schema whenever it is asked for."""
    return {name: dag(dag_id).params[name] for name in dag(dag_id).params}


def execute(dag_id: str, task_id: str, outputs: Outputs, params: Mapping[str, Any]) -> Any:
    """Execute a task, all its mapped instances; returns its output, or the list of their outputs."""
    output, errors = _attempt(dag_id, task_id, outputs, params)
    if errors:
        raise errors[0]
    return output


def _attempt(
    dag_id: str, task_id: str, outputs: Outputs, params: Mapping[str, Any]
) -> tuple[Any, list[Exception]]:
    """The output, of mapped instances that of those that handed one on, and why some failed."""
    task = dag(dag_id).get_task(task_id)
    params = _defaults(dag_id) | dict(params)
    indexes = range(_instances(task, outputs)) if task.is_mapped else (-1,)
    found: list[Any] = []
    errors: list[Exception] = []
    for index in indexes:
        try:
            each = task if task.is_mapped else copy.copy(task)
            found.append(_execute(each, _TaskInstance(task_id, outputs, index), params))
        except Exception as error:
            errors.append(error)
            # What it handed on before it failed.
            if (handed_on := outputs.pop(f"{task_id}:{OUTCOME}", None)) is not None:
                found.append(handed_on)
    return found if task.is_mapped else next(iter(found), None), errors


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
    with pytest.MonkeyPatch.context() as patch:
        # Airflow's own sequence of mapped outputs asks its API for one after the other.
        patch.setattr(
            xcom_arg, "LazyXComSequence", lambda xcom_arg, ti: ti.outputs.get(xcom_arg.operator.task_id)
        )
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


def due(dag_id: str, outputs: Outputs, failed: Collection[str] = ()) -> Iterator[str]:
    """The tasks of a run in order, without those that its branches leave out or that need a failed task.

    :param outputs: of the tasks so far; the caller adds each before it asks for the next.
    :param failed: the tasks that failed so far.
    """
    skipped: set[str] = set()
    without_success: set[str] = set()
    for task in dag(dag_id).topological_sort():
        if task.upstream_task_ids & without_success and task.trigger_rule not in _RUNS_AFTER_FAILURES:
            without_success.add(task.task_id)
            continue
        if task.task_id in skipped or (
            task.trigger_rule == TriggerRule.ALL_SUCCESS and task.upstream_task_ids & skipped
        ):
            skipped.add(task.task_id)
            continue
        yield task.task_id
        output = outputs[task.task_id]
        if task.task_id in failed:
            without_success.add(task.task_id)
        elif isinstance(task, BranchPythonOperator):
            skipped |= task.downstream_task_ids - {output}
        elif isinstance(task, ShortCircuitOperator) and not output:
            skipped |= task.downstream_task_ids


def run(dag_id: str, params: Mapping[str, Any], start: Outputs | None = None) -> Outputs:
    """A whole run of a DAG; returns the outputs by task.

    :param start: outputs of tasks that are not executed.
    """
    outputs: Outputs = {} if start is None else start
    done = set(outputs)
    for task_id in due(dag_id, outputs):
        if task_id not in done:
            outputs[task_id] = execute(dag_id, task_id, outputs, params)
    return outputs


def run_to_its_end(dag_id: str, params: Mapping[str, Any]) -> tuple[Outputs, list[Exception]]:
    """A run of its own of which tasks may fail: the outputs of the others, and why these failed."""
    outputs: Outputs = {}
    failures: dict[str, list[Exception]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_TaskInstance, "run_id", uuid.uuid4().hex)
        patch.setattr(_TaskInstance, "failed", failures)
        for task_id in due(dag_id, outputs, failures):
            outputs[task_id], errors = _attempt(dag_id, task_id, outputs, params)
            if errors:
                failures[task_id] = errors
    return outputs, [error for errors in failures.values() for error in errors]
