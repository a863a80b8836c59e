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

from opsgenie_provider.absence import NOT_SEEN
from opsgenie_provider.api.concurrency import THREADS, in_parallel
from opsgenie_provider.operators.base import OpsgenieToPostgresOperator, Outcome, Progress
from opsgenie_provider.warehouse.state import keep_rejected, record_success
from opsgenie_provider.warehouse.timelines import (
    DueTimeline,
    due_timelines,
    load_timelines,
    record_refusals,
)

_BATCH = 200


class OpsgenieTimelinesToPostgresOperator(OpsgenieToPostgresOperator):
    """Reads the timelines of incidents that changed since theirs was read.

    Ended incidents come first, the newest first; each 200 are one transaction. What does not fit
    into the time is left to the next run. A timeline that the key does not see leaves what is stored of
    it, and is due again for a key that sees something else, and once a day.

    :param budget: how long a run may go on starting new batches.
    """

    template_fields: Sequence[str] = OpsgenieToPostgresOperator.template_fields
    stream = "opsgenie_incident_timeline"

    def __init__(self, *, budget: timedelta = timedelta(minutes=30), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.budget = budget

    def execute(self, context: Context) -> Outcome:
        end = time.monotonic() + self.budget.total_seconds()
        done: Counter[str] = Counter(incidents=0, rows_changed=0, rejected=0, refused=0, left=0)
        with (
            self.turn("timelines"),
            ThreadPoolExecutor(THREADS, thread_name_prefix="opsgenie") as executor,
        ):
            with self.warehouse.connection() as connection:
                due = due_timelines(
                    connection, self.account, key_reach=self.access["reach"], key_sight=self.key_sight
                )
            progress = Progress(self.log, "timelines", total=len(due))
            for start in range(0, len(due), _BATCH):
                if time.monotonic() > end:
                    done["left"] = len(due) - start
                    self.log.warning("%d timelines are left to the next run.", done["left"])
                    break
                done.update(self._load(due[start : start + _BATCH], executor, progress))
                if not self.access["configuration"] and not done["incidents"]:
                    # Timelines take the right that this key was found to lack.
                    return self._refused(due[start + _BATCH :], done["refused"])
            with self.warehouse.connection() as connection:
                record_success(connection, self.account, self.stream, rows_changed=done["rows_changed"])
        if done["refused"]:
            self.log.warning(
                "%s: %d timelines are not for this key to see. What is stored of them stays.",
                self.account,
                done["refused"],
            )
        return self.outcome(**done)

    def _load(
        self, due: Sequence[DueTimeline], executor: ThreadPoolExecutor, progress: Progress
    ) -> dict[str, int]:
        timelines: list[tuple[DueTimeline, list[Raw]]] = []
        refused: list[DueTimeline] = []
        for incident, entries in in_parallel(executor, self._read, due):
            if entries is None:
                refused.append(incident)
            else:
                timelines.append((incident, entries))
            progress.advance(1)
        with self.warehouse.connection() as connection:
            changed, rejected = load_timelines(connection, self.account, timelines)
            keep_rejected(connection, self.account, self.stream, rejected)
        if refused:
            with self.warehouse.connection() as connection:
                record_refusals(connection, self.account, refused, self.key_sight)
        return {
            "incidents": len(timelines),
            "rows_changed": changed,
            "rejected": len(rejected),
            "refused": len(refused),
        }

    def _read(self, incident: DueTimeline) -> tuple[DueTimeline, list[Raw] | None]:
        """The timeline of an incident; None where this key does not see it: that says nothing about it."""
        try:
            return incident, self.client.timeline_entries(incident.incident_id)
        except NOT_SEEN:
            return incident, None

    def _refused(self, unasked: Sequence[DueTimeline], asked: int) -> Outcome:
        with self.warehouse.connection() as connection:
            record_refusals(connection, self.account, unasked, self.key_sight)
        return self.skipped(
            f"The key may not read timelines: all {asked} that were asked for were refused. Give it "
            "Configuration Access. Acknowledged and closed times stay unknown."
        )
