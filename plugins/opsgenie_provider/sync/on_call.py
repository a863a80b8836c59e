"""Who was, is and will be on call, into staging: schedules, rotations and on-call periods."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Raw

from opsgenie_provider.api.concurrency import in_parallel
from opsgenie_provider.api.errors import UNREADABLE_ERRORS, PlanError
from opsgenie_provider.api.listing import Listing
from opsgenie_provider.rows.fields import UnreadablePayloadError, decode, required_text
from opsgenie_provider.rows.on_call import Coverage, Period, clip, merge_history
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.sync.catalogue import skip, store_list
from opsgenie_provider.sync.failures import OBJECT_ERRORS, Failures
from opsgenie_provider.sync.reader import ReadTimeline
from opsgenie_provider.sync.run import AccountRun, Result
from opsgenie_provider.warehouse.snapshots import (
    on_call_coverage,
    replace_periods,
    schedules_on_call_after,
    stored_periods,
)
from opsgenie_provider.warehouse.state import keep_rejected, record_success

log = logging.getLogger(__name__)
SCHEDULES, PERIODS = "schedules", "on-call periods"
AHEAD = timedelta(days=15)
# Timelines reach at most a year back (JSM's reference names the limit; the backend is the same).
_FURTHEST_BACK = timedelta(days=364)
# A read starts somewhat before what is stored ends, so that no rounding leaves a gap.
_OVERLAP = timedelta(days=1)
# How far our clock may be ahead of the service's.
CLOCK_SKEW = timedelta(minutes=10)


def sync_on_call(run: AccountRun, result: Result) -> None:
    """Read schedules with their rotations, and each schedule's final timeline.

    The first read of a schedule goes ``history_days`` back; later ones continue from the last. All
    reach at least two weeks ahead.

    :raises ApiError: a timeline could not be read; the others are stored.
    """
    result.counts.update(schedules=0, rows_changed=0, rejected=0)
    if run.is_done(PERIODS):
        return
    try:
        schedules = run.listing(SCHEDULES)
    except (*UNREADABLE_ERRORS, PlanError) as error:
        return skip(run, result, SCHEDULES, error)
    if SCHEDULES not in run.progress.steps_done:
        store_list(run, result, SCHEDULES, schedules)
    periods = _Periods(run, schedules)
    changed, rejected = periods.store()
    result.counts.update(schedules=len(schedules.items), rows_changed=changed, rejected=rejected)
    periods.failures.raise_first()
    return None


class _Periods:
    """The on-call periods of all schedules, in one transaction.

    :ivar failures: the errors of schedules whose timeline could not be read; their periods are kept.
    """

    def __init__(self, run: AccountRun, schedules: Listing) -> None:
        self._run = run
        self._schedules = schedules
        self._now = run.now
        self._coverage = on_call_coverage(run.connection, run.account)
        self._rejected: Rejected = []
        self.failures = Failures()

    def store(self) -> tuple[int, int]:
        """Returns how many rows changed and how many payloads were rejected."""
        run, changed = self._run, 0
        stream = f"{run.reader.backend}_on_call_periods"
        listed = _ids(self._schedules.items)
        timelines = run.reader.resolve_names(in_parallel(run.executor, self._read, listed))
        with run.transaction() as connection:
            for schedule_id, since, periods in self._readable(timelines):
                # What is past for us may be to come for a service whose clock is behind.
                read = Coverage(since, self._now - CLOCK_SKEW)
                changed += self._continue(schedule_id, periods, self._coverage, read)
            changed += self._end_of_gone(listed)
            keep_rejected(connection, run.account, stream, self._rejected)
            if self.failures.first:
                run.progress.stored(changed)
            else:
                record_success(connection, run.account, stream, rows_changed=changed)
                run.progress.step_done(PERIODS, changed)
        return changed, len(self._rejected)

    def _read(self, schedule_id: str) -> ReadTimeline:
        since = self._since(self._coverage.get(schedule_id))
        try:
            timeline = self._run.reader.schedule_timeline(schedule_id, since=since, until=_horizon(self._now))
        except UNREADABLE_ERRORS as error:
            log.warning(
                "%s: cannot read schedule %s; its stored on-call periods are kept. %s",
                self._run.account,
                schedule_id,
                error,
            )
            return ReadTimeline(schedule_id, since, None)
        except OBJECT_ERRORS as error:
            self.failures.add(error)
            return ReadTimeline(schedule_id, since, None)
        self.failures.note_answer()
        return ReadTimeline(schedule_id, since, timeline)

    def _readable(
        self, timelines: Iterable[ReadTimeline]
    ) -> Iterator[tuple[str, datetime, Iterable[Period]]]:
        for schedule_id, asked_from, raw in timelines:
            if raw is None:
                continue
            try:
                timeline = self._run.reader.on_call(raw, rejected=self._rejected)
            except UnreadablePayloadError as error:
                self._rejected.append((bytes(raw), str(error)))
                continue
            # An answer may begin before what was asked for, at the beginning of a day or week, or after it.
            since = max(asked_from, timeline.start_at or asked_from)
            yield schedule_id, since, clip(timeline.periods, since=since, until=_horizon(self._now))

    def _end_of_gone(self, listed: Sequence[str]) -> int:
        """Of a schedule that is gone, the past up to the last read remains and nobody is to come."""
        run = self._run
        gone = schedules_on_call_after(run.connection, run.account, run.reader.backend, self._now)
        gone -= set(listed)
        complete = self._schedules.complete and len(listed) == len(self._schedules.items)
        if not gone or not run.key.absence_is_fact(complete=complete):
            return 0
        coverage = {
            id_: read._replace(read_at=read.read_at + CLOCK_SKEW) for id_, read in self._coverage.items()
        }
        return sum(self._continue(id_, (), coverage, Coverage(self._now, self._now)) for id_ in gone)

    def _since(self, stored: Coverage | None) -> datetime:
        # Requests have whole seconds.
        now = self._now.replace(microsecond=0)
        beginning = now - timedelta(days=min(self._run.params.history_days, _FURTHEST_BACK.days))
        # Also when history_days grew; a day's grace, for the beginning moves on with the clock.
        if stored is None or stored.read_from > beginning + _OVERLAP:
            return beginning
        return max(stored.read_at.replace(microsecond=0) - _OVERLAP, now - _FURTHEST_BACK)

    def _continue(
        self, schedule_id: str, periods: Iterable[Period], coverage: Mapping[str, Coverage], read: Coverage
    ) -> int:
        connection, account = self._run.connection, self._run.account
        stored = stored_periods(connection, account, schedule_id)
        periods = merge_history(stored, coverage.get(schedule_id), periods)
        return replace_periods(connection, account, schedule_id, periods, read)


def _horizon(now: datetime) -> datetime:
    """Where all reads of a day end, so that what did not change is not touched."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + AHEAD


def _ids(schedules: Sequence[Raw]) -> list[str]:
    """Ids of the schedules that could be read; the others are rejected already."""
    ids = []
    for raw in schedules:
        try:
            ids.append(required_text(decode(raw), "id"))
        except UnreadablePayloadError:
            continue
    return ids
