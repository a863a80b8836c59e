"""Incidents, or alerts that stand for them, into staging: a window of them, and what changed before it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from msgspec import Raw

from opsgenie_provider.api.concurrency import in_parallel
from opsgenie_provider.api.errors import NotFoundError, PermissionDeniedError
from opsgenie_provider.planning import Plan
from opsgenie_provider.progress import Progress
from opsgenie_provider.sync.plan import full_read
from opsgenie_provider.sync.reader import Changes, IncidentWindow, IncidentWindows
from opsgenie_provider.sync.run import AccountRun, Result
from opsgenie_provider.warehouse.batches import Batch
from opsgenie_provider.warehouse.incidents import IncidentBatch
from opsgenie_provider.warehouse.state import keep_rejected, record_success

log = logging.getLogger(__name__)
_CHANGES = "changes"


@dataclass(frozen=True)
class Subject:
    """What is read as the incidents of an account.

    :param name: what they are called, in the log and in counts.
    :param stream: the staging table that they fill.
    :param begin_windows: as ``Reader.begin_windows``.
    :param begin_changes: as ``Reader.begin_changes``.
    :param read_single: one of them by its id.
    :param batch: a batch of them, for a plan.
    """

    name: str
    stream: str
    begin_windows: Callable[[datetime, datetime], Callable[[], IncidentWindows]]
    begin_changes: Callable[[datetime, datetime, datetime], Changes]
    read_single: Callable[[str], Raw]
    batch: Callable[[Plan], Batch]


def incident_subject(run: AccountRun) -> Subject:
    """The incidents of an account, with their services and responders."""

    def batch(plan: Plan) -> Batch:
        reach = run.key.access.reach
        to_rows = partial(run.reader.incident_rows, key_reach=reach)
        return IncidentBatch(run.connection, run.account, reach, to_rows)

    reader = run.reader
    return Subject(
        "incidents",
        "opsgenie_incidents",
        reader.begin_windows,
        reader.begin_changes,
        reader.incident,
        batch,
    )


class IncidentSync:
    """Reads the incidents of a plan.

    Its first requests leave when it is made. Each 20,000 incidents or fewer are one transaction together
    with the watermark. Incidents that are stored, lie in the window and are gone at the source are marked
    deleted, only after a complete read with a key that sees the whole account.
    """

    def __init__(self, run: AccountRun, plan: Plan, subject: Subject) -> None:
        self._run = run
        self._plan = plan
        self._subject = subject
        self._changes: Changes | None = None
        if plan.changed_from and plan.changed_since and _CHANGES not in run.progress.steps_done:
            self._changes = subject.begin_changes(plan.changed_from, plan.since, plan.changed_since)
        self._windows: list[Callable[[], IncidentWindows]] = [
            subject.begin_windows(since, until)
            for since, until in run.progress.incidents_left(plan.since, plan.until)
        ]

    def perform(self, result: Result) -> None:
        """Read and store; ``result`` counts what was stored, also where it fails on the way."""
        run, plan = self._run, self._plan
        result.counts.update({self._subject.name: 0}, rows_changed=0, rejected=0, deleted=0)
        # First, so that the watermark covers both.
        if self._changes is not None:
            with run.transaction(), self._batch() as batch:
                self._read_changes(self._changes, batch)
                stored = self._write(batch)
                run.progress.step_done(_CHANGES, stored["rows_changed"])
            result.counts.update(stored)
        for begun in self._windows:
            windows = begun()
            progress = Progress(log, self._subject.name, total=windows.total)
            for window in windows.windows:
                result.counts.update(self._read_window(window, progress))
        if plan.whole_history and not run.progress.incidents_left(plan.since, plan.until):
            record_success(run.connection, run.account, full_read(self._subject.stream), rows_changed=0)

    def _read_window(self, window: IncidentWindow, progress: Progress) -> dict[str, int]:
        run, plan = self._run, self._plan
        with run.transaction() as connection, self._batch() as batch:
            complete = window.read(batch, progress.watch)
            deleted = self._mark_deleted(batch, window, complete)
            stored = self._write(batch) | {"deleted": deleted}
            # A part of the history moves no watermark: nobody has read what changed before it.
            moves_watermark = plan.whole_history or plan.changed_since is not None
            record_success(
                connection,
                run.account,
                self._subject.stream,
                rows_changed=stored["rows_changed"],
                # What may lack something is read again by the next run.
                read=(window.since, window.until) if complete and moves_watermark else None,
            )
            if complete:
                run.progress.incidents_read(window.since, window.until)
            run.progress.stored(stored["rows_changed"] + deleted)
        return stored

    def _batch(self) -> Batch:
        return self._subject.batch(self._plan)

    def _write(self, batch: Batch) -> dict[str, int]:
        changed = batch.merge()
        keep_rejected(self._run.connection, self._run.account, self._subject.stream, batch.rejected.items())
        return {self._subject.name: len(batch.ids), "rows_changed": changed, "rejected": len(batch.rejected)}

    def _read_changes(self, changes: Changes, batch: Batch) -> None:
        """What is not closed, or changed lately, among the incidents before the window."""
        for page in changes.pages():
            batch.add(page)
        left = batch.left_status(changes.listed, before=self._plan.since)
        for _, found in self._look_up(left):
            batch.add(found or (), single=True)

    def _mark_deleted(self, batch: Batch, window: IncidentWindow, complete: bool) -> int:
        """Mark what is missing from a complete read, once the service confirms that it is gone."""
        missing = batch.missing(window.since, window.until)
        if not missing or not self._run.key.absence_is_fact(complete=complete):
            return 0
        gone = []
        for incident_id, found in self._look_up(missing):
            if found is None:
                gone.append(incident_id)
            else:
                batch.add(found, single=True)
        return batch.mark_deleted(gone)

    def _look_up(self, incident_ids: Iterable[str]) -> Iterator[tuple[str, list[Raw] | None]]:
        """Each id with the incident in a list: an empty one for a 403, None for a 404."""

        def look_up(incident_id: str) -> tuple[str, list[Raw] | None]:
            try:
                return incident_id, [self._subject.read_single(incident_id)]
            except NotFoundError:
                return incident_id, None
            except PermissionDeniedError:
                return incident_id, []

        return in_parallel(self._run.executor, look_up, incident_ids)
