"""Timelines of incidents into staging: who acknowledged, when it was resolved and closed."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from msgspec import Raw

from opsgenie_provider.api.concurrency import in_parallel
from opsgenie_provider.api.errors import UNREADABLE_ERRORS, ApiError
from opsgenie_provider.planning import TRAILING
from opsgenie_provider.progress import Progress
from opsgenie_provider.sync.failures import OBJECT_ERRORS, Failures
from opsgenie_provider.sync.run import AccountRun, Result
from opsgenie_provider.warehouse.state import keep_rejected, record_success
from opsgenie_provider.warehouse.timelines import (
    DueTimeline,
    due_timelines,
    load_timelines,
    record_refusals,
)

log = logging.getLogger(__name__)
STREAM = "opsgenie_incident_timeline"
BATCH = 200
# How long a run goes on starting new batches.
BUDGET = timedelta(minutes=30)


def sync_timelines(run: AccountRun, result: Result) -> None:
    """Read the timelines of incidents that changed since theirs was read, or that somebody may acknowledge.

    Ended incidents come first, the newest first; each 200 are one transaction. What does not fit
    into the time is left to the next run. A timeline that the key does not see leaves what is stored of
    it, and is due again for a key that sees something else, and once a day.

    :raises ApiError: a timeline could not be read; the others are stored.
    """
    end = time.monotonic() + BUDGET.total_seconds()
    counts, access = result.counts, run.key.access
    counts.update(timelines=0, rows_changed=0, rejected=0, refused=0, deferred=0)
    due = due_timelines(
        run.connection,
        run.account,
        run.reader.backend,
        key_reach=access.reach,
        permissions_id=access.permissions_id,
        unacknowledged_since=run.now - TRAILING,
    )
    progress = Progress(log, "timelines", total=len(due))
    failures = Failures()
    for start in range(0, len(due), BATCH):
        if time.monotonic() > end:
            counts["deferred"] = len(due) - start
            log.warning("%s: %d timelines are deferred to the next run.", run.account, counts["deferred"])
            break
        counts.update(_load(run, due[start : start + BATCH], progress, failures))
        if not access.configuration and not counts["timelines"]:
            # Timelines take the right that this key was found to lack.
            with run.transaction() as connection:
                record_refusals(connection, run.account, due[start + BATCH :], access.permissions_id)
            result.skipped.append("timelines")
            log.warning(
                "%s: timelines skipped. The key may not read timelines: all %d that were asked for were "
                "refused. Give it Configuration Access. Acknowledged and closed times stay unknown.",
                run.account,
                counts["refused"],
            )
            return
    if counts["refused"]:
        log.warning(
            "%s: this key may not read %d timelines (403 or 404). What is stored of them is kept.",
            run.account,
            counts["refused"],
        )
    failures.raise_first()
    record_success(run.connection, run.account, STREAM, rows_changed=counts["rows_changed"])


def _load(
    run: AccountRun, due: Sequence[DueTimeline], progress: Progress, failures: Failures
) -> dict[str, int]:
    timelines: list[tuple[DueTimeline, list[Raw]]] = []
    refused: list[DueTimeline] = []

    def read(incident: DueTimeline) -> tuple[DueTimeline, list[Raw] | ApiError | None]:
        """A timeline; None where this key does not see it: that says nothing about the incident."""
        try:
            return incident, run.reader.timeline(incident.incident_id)
        except UNREADABLE_ERRORS:
            return incident, None
        except OBJECT_ERRORS as error:
            return incident, error

    for incident, entries in failures.answered(progress.each(in_parallel(run.executor, read, due))):
        if entries is None:
            refused.append(incident)
        else:
            timelines.append((incident, entries))
    with run.transaction() as connection:
        changed, rejected = load_timelines(connection, run.account, timelines)
        keep_rejected(connection, run.account, STREAM, rejected)
        run.progress.stored(changed)
    if refused:
        with run.transaction() as connection:
            record_refusals(connection, run.account, refused, run.key.access.permissions_id)
    return {
        "timelines": len(timelines),
        "rows_changed": changed,
        "rejected": len(rejected),
        "refused": len(refused),
    }
