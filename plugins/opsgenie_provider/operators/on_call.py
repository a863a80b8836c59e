"""Who was, is and will be on call, into staging: schedules, rotations and on-call periods."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Context
from msgspec import Raw

from opsgenie_provider import absence
from opsgenie_provider.api.concurrency import THREADS, in_parallel
from opsgenie_provider.api.errors import PlanError
from opsgenie_provider.operators.base import Outcome
from opsgenie_provider.operators.catalogue import OpsgenieCatalogueToPostgresOperator
from opsgenie_provider.rows.fields import UnreadablePayloadError, decode, required_text
from opsgenie_provider.rows.on_call import Coverage, Period, clipped, continued, timeline_periods
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.snapshots import on_call_coverage, replace_periods, stored_periods
from opsgenie_provider.warehouse.state import keep_rejected, record_success

AHEAD = timedelta(days=15)
# Timelines reach at most a year back (JSM's reference names the limit; the backend is the same).
_FURTHEST_BACK = timedelta(days=364)
# A read starts somewhat before what is stored ends, so that no rounding leaves a gap.
_OVERLAP = timedelta(days=1)
# How far our clock may be ahead of the service's.
CLOCK_SKEW = timedelta(minutes=10)


class OpsgenieOnCallToPostgresOperator(OpsgenieCatalogueToPostgresOperator):
    """Reads schedules with their rotations, and each schedule's final timeline.

    The first read of a schedule goes ``history_days`` back; later ones continue from the last. All
    reach at least two weeks ahead.

    :param history_days: how far back the first read of a schedule goes.
    """

    template_fields: Sequence[str] = (*OpsgenieCatalogueToPostgresOperator.template_fields, "history_days")
    stream = "opsgenie_on_call_periods"

    def __init__(self, *, history_days: int = 90, **kwargs: Any) -> None:
        super().__init__(kinds=("schedules",), **kwargs)
        self.history_days = history_days

    def execute(self, context: Context) -> Outcome:
        with self.turn("on_call"):
            return self._read()

    def _read(self) -> Outcome:
        try:
            schedules = self.client.schedules()
        except (*absence.NOT_SEEN, PlanError) as error:
            return self.skipped(str(error))
        changed, unreadable = self.load("schedules", schedules)
        with (
            self.warehouse.connection() as connection,
            ThreadPoolExecutor(THREADS, thread_name_prefix="opsgenie") as executor,
        ):
            now = datetime.now(UTC)
            # What is past for us may be to come for a service whose clock is behind.
            passed = now - CLOCK_SKEW
            coverage = on_call_coverage(connection, self.account)
            rejected: list[tuple[bytes, str]] = []

            def read(schedule_id: str) -> tuple[str, datetime, Raw | None]:
                since = self._since(coverage.get(schedule_id), now)
                weeks = math.ceil((_horizon(now) - since) / timedelta(weeks=1))
                try:
                    return (
                        schedule_id,
                        since,
                        self.client.schedule_timeline(schedule_id, start=since, weeks=weeks),
                    )
                except absence.NOT_SEEN as error:
                    self.log.warning("%s: what is stored of a schedule stays. %s", self.account, error)
                    return schedule_id, since, None

            listed = _ids(schedules.items)
            for schedule_id, since, timeline in in_parallel(executor, read, listed):
                if timeline is None:
                    continue
                try:
                    periods = clipped(timeline_periods(timeline, rejected=rejected), until=_horizon(now))
                except UnreadablePayloadError as error:
                    rejected.append((bytes(timeline), str(error)))
                    continue
                changed += self._continue(connection, schedule_id, periods, coverage, Coverage(since, passed))
            complete = schedules.complete and len(listed) == len(schedules.items)
            if absence.is_fact(reach=self.access["reach"], complete=complete):
                # Of a schedule that is gone, the past up to the last read remains and nobody is to come.
                gone = {id_: coverage[id_] for id_ in coverage.keys() - set(listed)}
                gone = {id_: one._replace(read_at=one.read_at + CLOCK_SKEW) for id_, one in gone.items()}
                for schedule_id in gone:
                    changed += self._continue(connection, schedule_id, (), gone, Coverage(now, now))
            keep_rejected(connection, self.account, self.stream, rejected)
            record_success(connection, self.account, self.stream, rows_changed=changed)
        return self.outcome(
            schedules=len(schedules.items), rows_changed=changed, rejected=len(rejected) + unreadable
        )

    def _since(self, stored: Coverage | None, now: datetime) -> datetime:
        beginning = now - timedelta(days=min(int(self.history_days), _FURTHEST_BACK.days))
        # Also when history_days grew; a day's grace, for the beginning moves on with the clock.
        if stored is None or stored.read_from > beginning + _OVERLAP:
            return beginning
        return max(stored.read_at - _OVERLAP, now - _FURTHEST_BACK)

    def _continue(
        self,
        connection: Connection,
        schedule_id: str,
        periods: Iterable[Period],
        coverage: Mapping[str, Coverage],
        read: Coverage,
    ) -> int:
        stored = stored_periods(connection, self.account, schedule_id)
        periods = continued(stored, coverage.get(schedule_id), periods)
        return replace_periods(connection, self.account, schedule_id, periods, read)


def _horizon(now: datetime) -> datetime:
    """Where all reads of a day end, so that what did not change is not touched."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + AHEAD


def _ids(schedules: Sequence[Raw]) -> list[str]:
    """Ids of the schedules that could be read; the others are kept aside already."""
    ids = []
    for raw in schedules:
        try:
            ids.append(required_text(decode(raw), "id"))
        except UnreadablePayloadError:
            continue
    return ids
