"""Timelines of incidents into staging: who acknowledged, when it was resolved and closed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from airflow.sdk import Context
from msgspec import Raw

from opsgenie_provider.api.errors import NotFoundError, PermissionDeniedError
from opsgenie_provider.api.windows import THREADS, in_parallel
from opsgenie_provider.operators.base import OpsgenieToPostgresOperator, Outcome, Progress
from opsgenie_provider.warehouse.incidents import DueTimeline, due_timelines, load_timelines
from opsgenie_provider.warehouse.state import keep_rejected, record_success

_BATCH = 200


class OpsgenieTimelinesToPostgresOperator(OpsgenieToPostgresOperator):
    """Reads the timelines of incidents that changed since theirs was read.

    Ended incidents come first, the newest first; each 200 are one transaction. What does not fit
    into the time is left to the next run.

    :param budget: how long a run may go on starting new batches.
    """

    template_fields: Sequence[str] = OpsgenieToPostgresOperator.template_fields
    stream = "opsgenie_incident_timeline"

    def __init__(self, *, budget: timedelta = timedelta(minutes=30), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.budget = budget

    def execute(self, context: Context) -> Outcome:
        end = time.monotonic() + self.budget.total_seconds()
        done: Counter[str] = Counter(incidents=0, rows_changed=0, rejected=0, left=0)
        with (
            self.turn("timelines"),
            ThreadPoolExecutor(THREADS, thread_name_prefix="opsgenie") as executor,
        ):
            with self.warehouse.connection() as connection:
                due = due_timelines(connection, self.account)
            progress = Progress(self.log, "timelines", total=len(due))
            for start in range(0, len(due), _BATCH):
                if time.monotonic() > end:
                    done["left"] = len(due) - start
                    self.log.warning("%d timelines are left to the next run.", done["left"])
                    break
                try:
                    done.update(self._load(due[start : start + _BATCH], executor, progress))
                except PermissionDeniedError as error:
                    return self.skipped(f"{error} Acknowledged and closed times stay unknown.")
            with self.warehouse.connection() as connection:
                record_success(connection, self.account, self.stream, rows_changed=done["rows_changed"])
        return self.outcome(**done)

    def _load(
        self, due: Sequence[DueTimeline], executor: ThreadPoolExecutor, progress: Progress
    ) -> dict[str, int]:
        timelines = []
        for timeline in in_parallel(executor, self._read, due):
            timelines.append(timeline)
            progress.advance(1)
        with self.warehouse.connection() as connection:
            changed, rejected = load_timelines(connection, self.account, timelines)
            keep_rejected(connection, self.account, self.stream, rejected)
        return {"incidents": len(timelines), "rows_changed": changed, "rejected": len(rejected)}

    def _read(self, incident: DueTimeline) -> tuple[DueTimeline, list[Raw]]:
        try:
            return incident, self.client.timeline_entries(incident.incident_id)
        except NotFoundError:
            # Deleted since it was listed; the next full read of its window will say so.
            return incident, []
