"""The end of a sync: what was stored reaches the metrics, also in a run that fails.

Airflow emits the event of an asset only for a task that succeeds, so the task with the asset among its
outlets needs nothing that may fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow.sdk import Context

from opsgenie_provider.compat import AirflowSkipException
from opsgenie_provider.operators.outcomes import OUTCOME
from opsgenie_provider.operators.provider import ProviderOperator

if TYPE_CHECKING:
    from opsgenie_provider.operators.outcomes import Outcome


class PublishSyncOperator(ProviderOperator):
    """Logs what the tasks before it stored, and marks its outlets as updated, whichever of them failed.

    A task that failed or was killed may have stored something, too: a batch is committed at a time.
    Give it a trigger rule that waits for all of them, failed or not. It is skipped where none of them was
    started, and where all of them failed and have said that they stored nothing.

    What a task did is its return value or its XCom ``OUTCOME``. A task that succeeds with neither has only
    shared its work out to others.
    """

    ui_color = "#e2f0d9"

    def perform(self, context: Context) -> dict[str, int]:
        from opsgenie_provider.sync.run import counts_text

        by_task = {task_id: _outcomes(context, task_id) for task_id in sorted(self.upstream_task_ids)}
        started = [
            state
            for name, state in _states(context, list(by_task)).items()
            if state == "failed" or (state == "success" and by_task.get(name, True))
        ]
        if not started:
            raise AirflowSkipException("No task that reads was started: nothing was stored.")
        outcomes = list(chain.from_iterable(by_task.values()))
        # A killed task says nothing.
        if "success" not in started and len(outcomes) == len(started) and not any(map(_stored, outcomes)):
            raise AirflowSkipException("All tasks that read failed before anything was stored.")
        totals = summary(outcomes)
        self.log.info("The run: %s.", counts_text(totals))
        return totals


def _states(context: Context, task_ids: list[str]) -> dict[str, str]:
    """The states of this run's tasks by name; those of mapped tasks with their index."""
    ti: Any = context["ti"]
    found = ti.get_task_states(dag_id=ti.dag_id, task_ids=task_ids, run_ids=[ti.run_id])
    states: dict[str, str] = found.get(ti.run_id, {})
    return states


def _outcomes(context: Context, task_id: str) -> list[Outcome]:
    """What a task, or each of its mapped instances, has handed on."""
    ti: Any = context["ti"]
    found = [
        each for key in ("return_value", OUTCOME) for each in ti.xcom_pull(task_ids=[task_id], key=key) or ()
    ]
    return [cast("Outcome", each) for each in found if isinstance(each, dict)]


def _stored(outcome: Outcome) -> bool:
    return outcome.get("stored", True)


def summary(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """The counts of all tasks together."""
    names: tuple[Literal["requests", "rows_changed", "deleted", "rejected", "deferred"], ...] = (
        "requests", "rows_changed", "deleted", "rejected", "deferred",
    )  # fmt: skip
    return {name: sum(outcome.get(name) or 0 for outcome in outcomes) for name in names}
