"""On-call periods over several reads: the past stays as it was read, the future follows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from opsgenie_provider.operators.on_call import CLOCK_SKEW
from sandbox.instants import DAY, HOUR, to_datetime
from sandbox.opsgenie import Store
from sandbox.opsgenie.store import user
from tests.support.accounts import Account, advance, covered, schedule_windows
from tests.support.expected_tables import catalogue_tables, differences, on_call_rows
from tests.support.postgres import Row, Warehouse
from tests.support.sync import Sync

TABLE = "opsgenie_on_call_periods"


class History:
    """What must be stored after each read: earlier reads up to when they were made, then the last."""

    def __init__(self, sync: Sync, account: Account, warehouse: Warehouse) -> None:
        self._sync, self._account, self._warehouse = sync, account, warehouse
        self._rows: list[Row] = []
        self._read_at: datetime | None = None

    def read(self) -> None:
        """Sync and compare."""
        self._account.app.log.clear()
        self._sync()
        store = self._account.store
        now = to_datetime(store.clock())
        rows = []
        for id_, (start, end) in covered(self._account, self._warehouse).items():
            known = [row for row in self._rows if row["schedule_id"] == id_]
            assert self._read_at is None or not known or start <= self._read_at, "a gap between two reads"
            since = self._read_at if known and self._read_at else start
            rows += [
                *_clipped(known, until=since),
                *_clipped(on_call_rows(store, id_, start, end), since=since),
            ]
        self._rows = _joined(rows)
        # The last minutes may be to come yet for a service whose clock is behind.
        self._read_at = now - CLOCK_SKEW
        assert differences(self._warehouse, {TABLE: self._rows}) == []
        assert self._touching() == []

    def _touching(self) -> list[Row]:
        """Rows that should be one."""
        return self._warehouse.rows(
            f"""
            select a.* from staging.{TABLE} as a join staging.{TABLE} as b
            using (account, schedule_id, rotation_id, recipient_id)
            where a.start_at < b.start_at and a.end_at >= b.start_at
            """
        )


def _clipped(
    rows: Iterable[Row], since: datetime | None = None, until: datetime | None = None
) -> Iterable[Row]:
    for row in rows:
        start = max(row["start_at"], since or row["start_at"])
        end = min(row["end_at"], until or row["end_at"])
        if start < end:
            yield row | {"start_at": start, "end_at": end}


def _joined(rows: Iterable[Row]) -> list[Row]:
    found: list[Row] = []
    for row in sorted(
        rows, key=lambda r: (r["schedule_id"], r["rotation_id"], r["recipient_id"], r["start_at"])
    ):
        whose = [row[name] for name in ("schedule_id", "rotation_id", "recipient_id")]
        last = found[-1] if found else {}
        same = last and whose == [last[name] for name in ("schedule_id", "rotation_id", "recipient_id")]
        if same and last["end_at"] >= row["start_at"]:
            found[-1] = row | {"start_at": last["start_at"], "end_at": max(row["end_at"], last["end_at"])}
        else:
            found.append(row)
    return found


@pytest.fixture
def history(sync: Sync, account: Account, warehouse: Warehouse) -> History:
    return History(sync, account, warehouse)


def test_reads_hours_and_days_apart(history: History, account: Account) -> None:
    history.read()
    for hours in (1, 1, 7, 24, 24 * 9, 24 * 40):
        advance(account, hours=hours, minutes=13)
        history.read()


def test_an_hour_later_only_what_passed_is_touched(
    history: History, account: Account, warehouse: Warehouse
) -> None:
    history.read()
    before = {row["ctid"] for row in warehouse.rows(f"select ctid::text from staging.{TABLE}")}
    now = to_datetime(account.store.clock())
    # To the end of the same day: no further than where what is read ahead moves on.
    step = min(timedelta(hours=1), now.replace(hour=23, minute=59, second=59) - now)
    advance(account, hours=step / timedelta(hours=1))
    history.read()
    now += step
    touched = [
        row
        for row in warehouse.rows(f"select ctid::text, * from staging.{TABLE}")
        if row["ctid"] not in before
    ]
    assert all(now - step <= row["end_at"] <= now or row["start_at"] <= now for row in touched)
    assert len(touched) < 20


def test_overrides_of_the_future_and_the_past(history: History, account: Account) -> None:
    store = account.store
    history.read()
    schedule = next(iter(store.schedules.values()))
    somebody = user(list(store.users.values())[-1])
    now = store.clock()
    store.add_override(schedule.id, somebody, now + 2 * DAY, now + 3 * DAY)
    store.add_override(schedule.id, somebody, now - 3 * DAY, now - 2 * DAY)
    across = store.add_override(schedule.id, somebody, now - 5 * HOUR, now + 5 * HOUR)
    advance(account, hours=1)
    history.read()
    store.drop_override(across.alias)
    advance(account, hours=1)
    history.read()
    advance(account, days=4)
    history.read()


def test_rotations_are_changed_and_forwarded(history: History, account: Account) -> None:
    store = account.store
    history.read()
    schedule = next(iter(store.schedules.values()))
    crew = list(schedule.rotations[0].participants)
    advance(account, hours=3)
    kept = schedule.rotations[1:]
    reversed_crew = store.rotation(
        "Primary", store.clock() - 20 * DAY, "daily", crew[::-1], id=schedule.rotations[0].id
    )
    added = store.rotation("Extra", store.clock() - 3 * DAY, "hourly", crew, length=5)
    store.change_rotations(schedule.id, [reversed_crew, *kept, added])
    store.add_forwarding(crew[0], crew[1], store.clock() + DAY, store.clock() + 4 * DAY)
    history.read()
    advance(account, days=2)
    store.change_rotations(schedule.id, kept)
    history.read()


def test_a_new_schedule_and_one_that_is_deleted(
    history: History, account: Account, warehouse: Warehouse
) -> None:
    store = account.store
    history.read()
    gone = next(iter(store.schedules))
    del store.schedules[gone]
    team = next(iter(store.teams.values()))
    somebody = user(next(iter(store.users.values())))
    rotation = store.rotation("Solo", store.clock() - 30 * DAY, "weekly", [somebody])
    store.add_schedule("New", "Pacific/Auckland", team, [rotation])
    past = warehouse.rows(
        f"select * from staging.{TABLE} where schedule_id = %s and end_at < %s",
        gone,
        to_datetime(store.clock()),
    )
    assert past
    advance(account, hours=2)
    account.app.log.clear()

    history._sync()

    assert differences(warehouse, catalogue_tables(store)) == []
    assert set(schedule_windows(account)) == set(store.schedules)
    # Who was on call remains known; nobody is on call from now on.
    now = to_datetime(store.clock())
    left = warehouse.rows(f"select * from staging.{TABLE} where schedule_id = %s", gone)
    assert {(row["rotation_id"], row["start_at"]) for row in past} <= {
        (row["rotation_id"], row["start_at"]) for row in left
    }
    assert all(row["end_at"] <= now for row in left)


def test_nobody_on_call_is_no_row(sync: Sync, account: Account, warehouse: Warehouse, store: Store) -> None:
    for schedule in store.schedules.values():
        schedule.rotations = []
    store.overrides.clear()
    sync()
    assert warehouse.table(TABLE) == []
