"""The end of a sync: what was stored reaches the metrics, and a run in which a task failed fails.

Airflow emits the event of an asset only for a task that succeeds, and a run fails with its last task.
So these are two tasks, and the one with the asset among its outlets needs nothing that may fail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Context

from opsgenie_provider.compat import AirflowFailException, AirflowSkipException
from opsgenie_provider.operators.provider import ProviderOperator

if TYPE_CHECKING:
    from opsgenie_provider.operators.base import Outcome


class SyncFailedError(AirflowFailException):
    """Some tasks of the run failed; what the others read is stored. Another try would say the same."""


class PublishSyncOperator(ProviderOperator):
    """Logs what the tasks before it stored, and marks its outlets as updated, whichever of them failed.

    A task that failed or was killed may have stored something, too: a batch is committed at a time.
    Give it the trigger rule ``ALL_DONE``. It is skipped where none of the tasks before it was started.

    :param outcomes: the outputs of these tasks, mapped or not.
    """

    template_fields: Sequence[str] = ("outcomes",)
    ui_color = "#e2f0d9"

    def __init__(self, *, outcomes: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outcomes = outcomes

    def perform(self, context: Context) -> dict[str, int]:
        states = _states(context, sorted(self.upstream_task_ids))
        if states and not {"success", "failed"} & set(states.values()):
            raise AirflowSkipException("No task that reads was started: nothing was stored.")
        outcomes = _all(self.outcomes)
        totals = summary(outcomes)
        for outcome in outcomes:
            if why := outcome.get("skipped"):
                self.log.warning("%s: %s skipped. %s", outcome["account"], outcome["stream"], why)
        self.log.info("The run: %s.", ", ".join(f"{count} {name}" for name, count in totals.items()))
        return totals


class CompleteSyncOperator(ProviderOperator):
    """Records the full reads that are complete, and fails the run if any of its tasks failed.

    The last task of a DAG; give it the trigger rule ``ALL_DONE``.

    :param outcomes: the outputs of the tasks that read, mapped or not.
    :param postgres_conn_id: the warehouse.
    """

    template_fields: Sequence[str] = ("outcomes", "postgres_conn_id")
    ui_color = "#e2f0d9"

    def __init__(
        self,
        *,
        outcomes: Sequence[Any] = (),
        postgres_conn_id: str = "postgres_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.outcomes = outcomes
        self.postgres_conn_id = postgres_conn_id

    def perform(self, context: Context) -> None:
        self._record_full_reads(_all(self.outcomes))
        states = _states(context)
        failed = sorted(task for task, state in states.items() if state == "failed")
        # Where Airflow could not even expand a mapped task, no task has failed, but some were not run.
        failed = failed or sorted(task for task, state in states.items() if state == "upstream_failed")
        if failed:
            raise SyncFailedError(
                f"{len(failed)} task{'s' if len(failed) > 1 else ''} failed: {', '.join(failed)}. Their logs "
                "say why. What the others read is stored; the next run goes on from there."
            )

    def _record_full_reads(self, outcomes: Iterable[Outcome]) -> None:
        from opsgenie_provider.hooks.warehouse import warehouse
        from opsgenie_provider.operators.plan import FULL_READ
        from opsgenie_provider.warehouse.state import record_success

        parts = Counter((o["account"], o["part_of"]) for o in outcomes if o.get("part_of"))
        complete = [account for (account, part_of), count in parts.items() if count == part_of]
        if complete:
            with warehouse(self.postgres_conn_id).connection() as connection:
                for account in complete:
                    record_success(connection, account, FULL_READ, rows_changed=0)


def _states(context: Context, task_ids: list[str] | None = None) -> dict[str, str]:
    """The states of this run's tasks by name; those of mapped tasks with their index."""
    ti: Any = context["ti"]
    found = ti.get_task_states(dag_id=ti.dag_id, task_ids=task_ids, run_ids=[ti.run_id])
    states: dict[str, str] = found.get(ti.run_id, {})
    return states


def _all(outputs: Iterable[Any]) -> list[Outcome]:
    """The outcomes of several tasks, mapped or not, in one list."""
    from opsgenie_provider.operators.base import fetched

    found: list[Outcome] = []
    for output in outputs:
        found += [cast("Outcome", output)] if isinstance(output, dict) else fetched(output)
    return found


def summary(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """The counts of all tasks together."""
    names = ("requests", "rows_changed", "deleted", "rejected", "left")
    return {name: sum(int(str(outcome.get(name) or 0)) for outcome in outcomes) for name in names}
