"""The end of a sync: what was stored reaches the metrics, also in a run that fails.

Airflow emits the event of an asset only for a task that succeeds, so the task with the asset among its
outlets needs nothing that may fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow.sdk import Context

from opsgenie_provider.compat import AirflowSkipException
from opsgenie_provider.operators.provider import ProviderOperator

if TYPE_CHECKING:
    from opsgenie_provider.operators.base import Outcome


class PublishSyncOperator(ProviderOperator):
    """Logs what the tasks before it stored, and marks its outlets as updated, whichever of them failed.

    A task that failed or was killed may have stored something, too: a batch is committed at a time.
    Give it the trigger rule ``ALL_DONE``. It is skipped where none of the tasks before it was started, and
    where all of them failed and have said that they stored nothing.

    :param outcomes: the outputs of these tasks, mapped or not.
    """

    template_fields: Sequence[str] = ("outcomes",)
    ui_color = "#e2f0d9"

    def __init__(self, *, outcomes: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outcomes = outcomes

    def perform(self, context: Context) -> dict[str, int]:
        from opsgenie_provider.sync.run import counts_text

        states = _states(context, sorted(self.upstream_task_ids))
        started = [state for state in states.values() if state in ("success", "failed")]
        if states and not started:
            raise AirflowSkipException("No task that reads was started: nothing was stored.")
        outcomes = _all(self.outcomes)
        # A killed task says nothing.
        if "success" not in started and len(outcomes) == len(started) and not any(map(_stored, outcomes)):
            raise AirflowSkipException("All tasks that read failed before anything was stored.")
        totals = summary(outcomes)
        for outcome in outcomes:
            if why := outcome.get("skipped"):
                self.log.warning("%s: %s skipped. %s", outcome["account"], outcome["stream"], why)
        self.log.info("The run: %s.", counts_text(totals))
        return totals


def _states(context: Context, task_ids: list[str] | None = None) -> dict[str, str]:
    """The states of this run's tasks by name; those of mapped tasks with their index."""
    ti: Any = context["ti"]
    found = ti.get_task_states(dag_id=ti.dag_id, task_ids=task_ids, run_ids=[ti.run_id])
    states: dict[str, str] = found.get(ti.run_id, {})
    return states


def _stored(outcome: Outcome) -> bool:
    return outcome.get("stored", True)


def _all(outputs: Iterable[Any]) -> list[Outcome]:
    """The outcomes of several tasks, mapped or not, in one list."""
    from opsgenie_provider.operators.base import fetched

    found: list[Outcome] = []
    for output in outputs:
        found += [cast("Outcome", output)] if isinstance(output, dict) else fetched(output)
    return found


def summary(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """The counts of all tasks together."""
    names: tuple[Literal["requests", "rows_changed", "deleted", "rejected", "deferred"], ...] = (
        "requests", "rows_changed", "deleted", "rejected", "deferred",
    )  # fmt: skip
    return {name: sum(outcome.get(name) or 0 for outcome in outcomes) for name in names}
