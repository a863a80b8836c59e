"""Incidents, or alerts that stand for them, into staging: a window of them, and what changed before it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from opsgenie_provider.api.concurrency import in_parallel
from opsgenie_provider.api.errors import NotFoundError, PermissionDeniedError
from opsgenie_provider.planning import Plan
from opsgenie_provider.progress import Progress
from opsgenie_provider.sync.reader import Changes, Incident, IncidentWindow, IncidentWindows, Sweeper
from opsgenie_provider.sync.run import AccountRun, Result
from opsgenie_provider.sync.subject import Subject
from opsgenie_provider.warehouse.batches import Batch
from opsgenie_provider.warehouse.incidents import IncidentBatch, deleted_by_id, payloads
from opsgenie_provider.warehouse.state import keep_rejected, record_success

log = logging.getLogger(__name__)
_CHANGES, _SWEEP = "changes", "sweep"


def incident_subject(run: AccountRun) -> Subject:
    """The incidents of an account, with their services and responders."""
    reader = run.reader

    def batch(plan: Plan) -> IncidentBatch:
        reach = run.key.access.reach
        return IncidentBatch(
            run.connection,
            run.account,
            reader.backend,
            reach,
            partial(reader.incident_rows, key_reach=reach),
            with_timelines=not reader.separate_timelines,
        )

    return Subject(
        name="incidents",
        stream=f"{reader.backend}_incidents",
        table="opsgenie_incidents",
        begin_windows=reader.begin_windows,
        begin_changes=reader.begin_changes,
        read_single=reader.incident,
        hidden_from_key=lambda gone: reader.hidden_from_key(payloads(run.connection, run.account, gone)),
        batch=batch,
        sweeper=reader.sweeper,
    )


class IncidentSync:
    """Reads the incidents of a plan, or the alerts that stand for them.

    Its first requests leave when it is made. Each 20,000 incidents or fewer are one transaction together
    with the watermark. Incidents that are stored, lie in the window and are gone at the source are marked
    deleted, only after a complete read with a key that sees the whole account. Incidents read from another
    backend are untouched.
    """

    def __init__(self, run: AccountRun, plan: Plan, subject: Subject) -> None:
        self._run = run
        self._plan = plan
        self._subject = subject
        self._changes: Changes | None = None
        if plan.changed_from and plan.changed_since and _CHANGES not in run.progress.steps_done:
            self._changes = subject.begin_changes(plan.changed_from, plan.since, plan.changed_since)
        # An empty window holds nothing: the changes are all that is read then.
        self._windows: list[Callable[[], IncidentWindows]] = [
            subject.begin_windows(since, until)
            for since, until in run.progress.incidents_left(plan.since, plan.until)
        ]

    def perform(self, result: Result) -> None:
        """Read and store; ``result`` counts what was stored, also where it fails on the way."""
        run, plan, subject = self._run, self._plan, self._subject
        result.counts.update({subject.name: 0}, rows_changed=0, rejected=0, deleted=0)
        # First, so that the watermark covers both.
        if self._changes is not None:
            result.counts.update(self._read_changes(self._changes))
        for begun in self._windows:
            windows = begun()
            progress = Progress(log, subject.name, total=windows.total)
            for window in windows.windows:
                result.counts.update(self._read_window(window, progress))
        if not plan.whole_history or run.progress.incidents_left(plan.since, plan.until):
            return
        if subject.sweeper and plan.since == plan.until and _SWEEP not in run.progress.steps_done:
            result.counts.update(self._sweep(subject.sweeper))
        record_success(run.connection, run.account, subject.full_read_stream, rows_changed=0)

    def _read_changes(self, changes: Changes) -> dict[str, int]:
        """What is not closed, or changed lately, among the incidents before the window."""
        run, plan = self._run, self._plan
        with run.transaction() as connection, self._batch() as batch:
            for page in changes.pages():
                batch.add(page)
            moved_on = batch.left_status(changes.listed, before=plan.since)
            for _, found in self._look_up(moved_on):
                batch.add(found or (), single=True)
            stored = self._write(batch)
            if plan.since == plan.until and plan.changed_since:
                # No window follows that would move the watermark.
                record_success(
                    connection,
                    run.account,
                    self._subject.stream,
                    rows_changed=stored["rows_changed"],
                    read=(plan.changed_since, plan.until),
                )
            run.progress.step_done(_CHANGES, stored["rows_changed"])
        return stored

    def _read_window(self, window: IncidentWindow, progress: Progress) -> dict[str, int]:
        run, plan = self._run, self._plan
        with run.transaction() as connection, self._batch() as batch:
            complete = window.read(batch, progress.watch)
            missing = batch.missing(window.since, window.until)
            deleted = self._mark_deleted(batch, missing, complete=complete)
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

    def _sweep(self, sweeper: Sweeper) -> dict[str, int]:
        """Compare the ids of all incidents with what is stored: find those that are gone, and those that no
        change announced, because they came into sight."""
        run, plan = self._run, self._plan
        since, until = plan.changed_from or plan.since, plan.until
        listed = sweeper.ids(since, until)
        with run.transaction() as connection, self._batch() as batch:
            stored = deleted_by_id(connection, run.account, run.reader.backend, since, until)
            for page in sweeper.incidents(
                sorted(id_ for id_ in listed if stored.get(id_, True)), since, until
            ):
                batch.add(page)
            missing = [id_ for id_, is_deleted in stored.items() if not is_deleted and id_ not in listed]
            deleted = self._mark_deleted(batch, missing, complete=True)
            counts = self._write(batch) | {"deleted": deleted}
            run.progress.step_done(_SWEEP, counts["rows_changed"] + deleted)
        return counts

    def _batch(self) -> Batch:
        return self._subject.batch(self._plan)

    def _write(self, batch: Batch) -> dict[str, int]:
        changed = batch.merge()
        keep_rejected(self._run.connection, self._run.account, self._subject.stream, batch.rejected.items())
        return {self._subject.name: len(batch.ids), "rows_changed": changed, "rejected": len(batch.rejected)}

    def _mark_deleted(self, batch: Batch, missing: list[str], *, complete: bool) -> int:
        """Mark what is missing from a complete read, once the service confirms that it is gone."""
        run = self._run
        if not missing or not run.key.absence_is_fact(complete=complete):
            return 0
        gone = []
        for incident_id, found in self._look_up(missing):
            if found is None:
                gone.append(incident_id)
            else:
                batch.add(found, single=True)
        hidden_from_key = self._subject.hidden_from_key(gone) if gone else set()
        if hidden_from_key:
            log.warning(
                "%s: %d %s are no longer listed, but may be hidden from this key: it does not see their "
                "project, or an issue security level may hide them. They are kept, not marked as deleted.",
                run.account,
                len(hidden_from_key),
                self._subject.name,
            )
        return batch.mark_deleted([incident_id for incident_id in gone if incident_id not in hidden_from_key])

    def _look_up(self, incident_ids: Iterable[str]) -> Iterator[tuple[str, list[Incident] | None]]:
        """Each id with the incident in a list: an empty one for a 403, None where it is gone."""

        def look_up(incident_id: str) -> tuple[str, list[Incident] | None]:
            try:
                found = self._subject.read_single(incident_id)
            except NotFoundError:
                return incident_id, None
            except PermissionDeniedError:
                return incident_id, []
            return incident_id, None if found is None else [found]

        return in_parallel(self._run.executor, look_up, incident_ids)
