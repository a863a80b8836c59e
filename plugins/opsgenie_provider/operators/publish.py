"""Sums up a sync, and fails it clearly where an account failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.operators.base import Outcome, fetched
from opsgenie_provider.operators.plan import FULL_READ
from opsgenie_provider.warehouse.state import record_success


class SyncFailedError(Exception):
    """Some tasks of the run failed; what the others brought is stored."""


class PublishSyncOperator(BaseOperator):
    """Logs what the run did, notes the full reads that are complete, and fails if any task failed.

    :param outcomes: the outputs of the tasks, mapped or not.
    :param postgres_conn_id: the warehouse.
    """

    template_fields: Sequence[str] = ("outcomes", "postgres_conn_id")
    ui_color = "#e2f0d9"

    def __init__(
        self,
        *,
        outcomes: Sequence[Any],
        postgres_conn_id: str = "postgres_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.outcomes = outcomes
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        outcomes: list[Outcome] = [outcome for mapped in self.outcomes for outcome in fetched(mapped)]
        totals = summary(outcomes)
        for outcome in outcomes:
            if why := outcome.get("skipped"):
                self.log.warning("%s: %s skipped. %s", outcome["account"], outcome["stream"], why)
        self.log.info("The run: %s.", ", ".join(f"{count} {name}" for name, count in totals.items()))
        self._note_full_reads(outcomes)
        if failed := self._failed(context):
            raise SyncFailedError(
                f"{len(failed)} task{'s' if len(failed) > 1 else ''} failed: {', '.join(failed)}. Their logs "
                "say why. What the others read is stored; the next run goes on from there."
            )
        return totals

    def _note_full_reads(self, outcomes: Iterable[Outcome]) -> None:
        parts = Counter((o["account"], o["part_of"]) for o in outcomes if o.get("part_of"))
        complete = [account for (account, part_of), count in parts.items() if count == part_of]
        if complete:
            with warehouse(self.postgres_conn_id).connection() as connection:
                for account in complete:
                    record_success(connection, account, FULL_READ, rows_changed=0)

    def _failed(self, context: Context) -> list[str]:
        """Tasks of this run that failed, by name; mapped ones with their index."""
        ti: Any = context["ti"]
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
        return sorted(task for task, state in states.items() if state == "failed")


def summary(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """The counts of all tasks together."""
    names = ("requests", "rows_changed", "deleted", "rejected", "left")
    return {name: sum(int(str(outcome.get(name) or 0)) for outcome in outcomes) for name in names}
