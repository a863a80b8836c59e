from __future__ import annotations

import math
import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from opsgenie_provider.api.concurrency import LOOK_AHEAD, THREADS, in_parallel
from opsgenie_provider.api.errors import CrowdedSecondError
from opsgenie_provider.api.opsgenie import PAGE_SIZE, REACHABLE, Page
from opsgenie_provider.api.opsgenie_windows import Window, WindowReader

MOMENTS = st.datetimes(datetime(2012, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))


class Account:
    """Incidents by createdAt, listed the way the service lists them."""

    def __init__(self, created: list[int], *, cap: int = PAGE_SIZE, counts: bool = True) -> None:
        self.created = sorted(created)
        self.cap = cap
        self.counts = counts
        self.reads: list[tuple[str, int]] = []
        self.before_read: Callable[[int], None] = lambda number: None
        self._lock = threading.Lock()

    def incidents(self, *, query: str, offset: int = 0, limit: int = PAGE_SIZE) -> Page:
        with self._lock:
            self.reads.append((query, offset))
            self.before_read(len(self.reads))
            assert offset + limit < 20_000, "Sum of offset and limit should be lower than 20000"
            found = re.fullmatch(r"createdAt >= (-?\d+) AND createdAt < (-?\d+)", query)
            assert found
            first, end = (bisect_left(self.created, int(bound)) for bound in found.groups())
            start = min(first + offset, end)
            stop = min(start + self.cap, end)
            items = [Raw(msgspec.json.encode([n, self.created[n]])) for n in range(start, stop)]
            return Page(items, total=end - first if self.counts else None, last=stop == end)


class Kept:
    """A sink: the distinct payloads that it took."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self.restarts = 0

    def add(self, items: list[Raw]) -> int:
        before = len(self.seen)
        self.seen |= {bytes(item) for item in items}
        return len(self.seen) - before

    def restart(self) -> None:
        self.seen.clear()
        self.restarts += 1

    @property
    def created(self) -> list[int]:
        return sorted(msgspec.json.decode(item)[1] for item in self.seen)


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool


def read_all(account: Account, executor: ThreadPoolExecutor, window: Window) -> tuple[list[int], bool]:
    """When the incidents of a window were created, and whether all reads were complete."""
    reader = WindowReader(account.incidents, executor)
    found, complete = [], True
    for part, pages in reader.pages(reader.parts(window)):
        kept = Kept()
        complete &= reader.read(part, pages, kept)
        found += kept.created
    return sorted(found), complete


def read_one(account: Account, executor: ThreadPoolExecutor) -> tuple[Kept, bool]:
    """A window that fits: what its sink holds in the end, and whether the read is complete."""
    reader, kept = WindowReader(account.incidents, executor), Kept()
    part, pages = next(reader.pages(reader.parts(Window(0, 100_000))))
    return kept, reader.read(part, pages, kept)


@pytest.mark.parametrize("count", [0, 250, PAGE_SIZE * (LOOK_AHEAD + 3)])
def test_the_pages_of_a_window_are_asked_for_before_any_is_needed_and_once(
    count: int, executor: ThreadPoolExecutor
) -> None:
    account = Account(list(range(count)))
    asked = threading.Semaphore(0)
    account.before_read = lambda number: asked.release()
    reader, kept, window = WindowReader(account.incidents, executor), Kept(), Window(0, 100_000)
    begun = reader.begin(window)
    for _ in range(min(LOOK_AHEAD, max(1, math.ceil(count / PAGE_SIZE)))):
        assert asked.acquire(timeout=60)
    first, ahead = begun.result()
    for part, pages in reader.pages(reader.parts(window, first), ahead):
        assert reader.read(part, pages, kept)
    assert len(kept.created) == count
    assert len(account.reads) == len(set(account.reads)) == max(1, math.ceil(count / PAGE_SIZE))


@given(MOMENTS, MOMENTS)
def test_a_window_covers_its_instants_and_hardly_more(a: datetime, b: datetime) -> None:
    window = Window.between(a, b)
    epoch, millisecond = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
    since, until = epoch + window.since * millisecond, epoch + window.until * millisecond
    assert a - 2 * millisecond < since <= a
    assert b <= until < b + 2 * millisecond


@given(since=st.integers(0, 10**13), length=st.integers(1, 10**10), parts=st.integers(2, 60))
def test_parts_cover_a_window_exactly(since: int, length: int, parts: int) -> None:
    window = Window(since, since + length)
    cut = window.split(parts)
    assert (cut[0].since, cut[-1].until) == (window.since, window.until)
    assert all(a.until == b.since for a, b in pairwise(cut))
    assert all(part.since < part.until for part in cut)
    assert all(part.since % 1000 == 0 for part in cut[1:])
    assert all(part.until - part.since >= 1000 for part in cut[1:-1])
    # Longer than a second: always smaller parts, or splitting would not end.
    assert len(cut) > 1 or length <= 1000


def test_a_window_names_itself_in_the_search_syntax_and_in_words() -> None:
    window = Window.between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, 0, 0, 0, 500, tzinfo=UTC))
    assert window.query == "createdAt >= 1767225600000 AND createdAt < 1767312000001"
    assert str(window) == "2026-01-01T00:00:00.000+00:00 to 2026-01-02T00:00:00.001+00:00"


@pytest.mark.parametrize("cap", [100, 50, 7])
@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 350])
def test_reads_every_incident_once(executor: ThreadPoolExecutor, size: int, counts: bool, cap: int) -> None:
    account = Account([1000 + 3 * n for n in range(size)], cap=cap, counts=counts)
    found, complete = read_all(account, executor, Window(0, 10_000_000))
    assert found == account.created
    assert complete
    assert len(account.reads) == len(set(account.reads))


def test_reads_only_the_window(executor: ThreadPoolExecutor) -> None:
    found, _ = read_all(Account(list(range(1000, 2000))), executor, Window(1100, 1900))
    assert found == list(range(1100, 1900))


@pytest.mark.parametrize("size", [REACHABLE, REACHABLE + 1, 45_000])
def test_never_asks_beyond_reach(executor: ThreadPoolExecutor, size: int) -> None:
    account = Account([n * 700 for n in range(size)])
    found, complete = read_all(account, executor, Window(0, size * 700))
    assert found == account.created
    assert complete


def test_a_burst_is_split_as_long_as_it_takes(executor: ThreadPoolExecutor) -> None:
    day = 86_400_000
    account = Account([*range(0, 90 * day, day // 10), *(5 * day + n for n in range(0, 30_000, 1))])
    found, complete = read_all(account, executor, Window(0, 90 * day))
    assert found == account.created
    assert complete


def test_one_crowded_second_is_named(executor: ThreadPoolExecutor) -> None:
    account = Account([1_767_225_600_000] * (REACHABLE + 1))
    with pytest.raises(CrowdedSecondError, match=r"19901 incidents .* 2026-01-01T00:00:00"):
        read_all(account, executor, Window(1_767_225_590_000, 1_767_225_700_000))


def test_a_window_that_moves_is_read_again(executor: ThreadPoolExecutor) -> None:
    account = Account(list(range(250)))
    # While the first read is under way, the oldest incident is deleted: offsets shift by one.
    account.before_read = lambda number: account.created.remove(0) if number == 2 else None
    kept, complete = read_one(account, executor)
    assert complete
    assert kept.restarts == 1
    assert kept.created == list(range(1, 250))


def test_a_window_that_outgrows_what_is_listed_is_split(executor: ThreadPoolExecutor) -> None:
    account = Account([n * 700 for n in range(REACHABLE)])
    window = Window(0, REACHABLE * 700)

    def grow(number: int) -> None:
        if number == 5:
            account.created = sorted([*account.created, *(n * 700 + 1 for n in range(300))])

    account.before_read = grow
    found, complete = read_all(account, executor, window)
    assert found == account.created
    assert complete


def test_a_window_that_never_rests_is_kept_but_not_called_complete(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    account = Account(list(range(250)))
    account.before_read = lambda number: account.created.append(1000 + number)
    kept, complete = read_one(account, executor)
    assert not complete
    assert kept.restarts == 2
    assert kept.created[:250] == list(range(250))
    assert "never matched" in caplog.text


@pytest.mark.parametrize("moves", [False, True])
def test_a_list_without_totals_is_counted_once(executor: ThreadPoolExecutor, moves: bool) -> None:
    """As OpsGenie's alerts: its length at the end must be what was counted at the beginning."""
    account, counted = Account(list(range(250)), counts=False), []

    def count(query: str) -> int:
        counted.append(query)
        return len(account.created)

    if moves:
        account.before_read = lambda number: account.created.remove(0) if number == 2 else None
    reader, kept = WindowReader(account.incidents, executor, count=count), Kept()
    part, pages = next(reader.pages(reader.parts(Window(0, 100_000))))
    assert reader.read(part, pages, kept)
    assert kept.created == list(range(int(moves), 250))
    assert (kept.restarts, len(counted)) == (1, 2) if moves else (0, 1)


def test_a_list_that_nobody_counts_is_read_beyond_what_paging_reaches(executor: ThreadPoolExecutor) -> None:
    created = [1_767_225_600_000 + n // 3 for n in range(REACHABLE + 500)]
    asked = []

    def alerts(*, query: str, offset: int) -> Page:
        asked.append(offset)
        assert offset + PAGE_SIZE < 20_000
        first = bisect_left(created, int(query.split()[2])) + offset
        items = [
            Raw(msgspec.json.encode({"id": n, "createdAt": datetime.fromtimestamp(at / 1000, UTC)}))
            for n, at in enumerate(created[first : first + PAGE_SIZE], start=first)
        ]
        return Page(items, total=None, last=first + PAGE_SIZE >= len(created))

    reader, kept = WindowReader(alerts, executor), Kept()
    part, pages = next(reader.pages(reader.parts(Window(created[0], created[-1] + 1))))
    assert reader.read(part, pages, kept)
    assert len(kept.seen) == len(created)
    assert len(asked) <= len(created) // 99 + 2


@pytest.mark.parametrize("gone", [1, 3])
def test_a_list_that_nobody_counts_shows_that_it_moved(executor: ThreadPoolExecutor, gone: int) -> None:
    """What is deleted meanwhile moves the rest up: one item may be on neither of two pages."""
    account = Account(list(range(250)), counts=False)

    def delete(number: int) -> None:
        if number == 2:
            del account.created[:gone]

    account.before_read = delete
    reader, kept = WindowReader(account.incidents, executor), Kept()
    part, pages = next(reader.pages(reader.parts(Window(0, 100_000))))
    assert reader.read(part, pages, kept)
    assert set(kept.created) >= set(range(gone, 250))
    assert kept.restarts == 1


def test_a_count_without_incidents_is_not_believed(executor: ThreadPoolExecutor) -> None:
    class Hollow(Account):
        def incidents(self, **request: Any) -> Page:
            return Page([], total=5, last=True)

    kept, complete = read_one(Hollow([]), executor)
    assert not complete
    assert not kept.seen


def test_runs_only_a_little_ahead_of_its_reader(executor: ThreadPoolExecutor) -> None:
    started: list[int] = []
    results = in_parallel(executor, lambda n: started.append(n) or n, range(1000))
    assert [next(results) for _ in range(10)] == list(range(10))
    assert len(started) <= 10 + LOOK_AHEAD
    results.close()  # type: ignore[attr-defined]


def test_results_keep_their_order_and_errors_come_through(executor: ThreadPoolExecutor) -> None:
    def work(n: int) -> int:
        if n == 37:
            raise LookupError("37")
        return n * n

    results = in_parallel(executor, work, range(100))
    assert [next(results) for _ in range(37)] == [n * n for n in range(37)]
    with pytest.raises(LookupError, match="37"):
        next(results)
