from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec import Raw

from opsgenie_provider.api.listing import read_whole
from opsgenie_provider.api.opsgenie import Page
from opsgenie_provider.api.pagerduty import REACHABLE, PagerdutyPage
from opsgenie_provider.api.pagerduty_windows import PagerdutyWindows

DAY = datetime(2026, 3, 2, tzinfo=UTC)


class Listed:
    """A list of the service, ten a page, that may change before any page of it."""

    def __init__(self, size: int, *, counts: bool) -> None:
        self.ids = [f"id-{n:03}" for n in range(size)]
        self.counts = counts
        self.pages_read = 0
        self.before_page: Callable[[int], None] = lambda number: None

    def pages(self) -> Iterator[Page]:
        offset = 0
        while True:
            self.pages_read += 1
            self.before_page(self.pages_read)
            page = self.ids[offset : offset + 10]
            offset += len(page)
            last = offset >= len(self.ids)
            items = [Raw(msgspec.json.encode({"id": each})) for each in page]
            yield Page(items, total=len(self.ids) if self.counts else None, last=last)
            if last:
                return


def read(listed: Listed) -> tuple[list[str], bool]:
    listing = read_whole(listed.pages, "services")
    return sorted(msgspec.json.decode(item)["id"] for item in listing.items), listing.complete


@pytest.mark.parametrize(
    ("size", "counts", "pages"), [(0, False, 1), (10, False, 1), (25, False, 6), (0, True, 1), (25, True, 3)]
)
def test_a_list_that_holds_still_is_whole(size: int, counts: bool, pages: int) -> None:
    """Where nobody counts, a second read says so; a single page needs none."""
    listed = Listed(size, counts=counts)
    assert read(listed) == (listed.ids, True)
    assert listed.pages_read == pages


@pytest.mark.parametrize("counts", [True, False])
def test_a_list_that_shifts_is_read_again(counts: bool) -> None:
    """One is deleted between two pages: each later one moves up, and one would be on neither page."""
    listed = Listed(25, counts=counts)
    listed.before_page = lambda number: listed.ids.remove("id-000") if number == 2 else None
    found, complete = read(listed)
    assert complete
    assert found == listed.ids
    assert "id-010" in found


@pytest.mark.parametrize("counts", [True, False])
def test_a_list_that_never_holds_still_is_not_called_whole(
    counts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    listed = Listed(40, counts=counts)
    listed.before_page = lambda number: listed.ids.pop(0) if number % 4 == 2 else None  # type: ignore[func-returns-value]
    found, complete = read(listed)
    assert not complete
    assert set(found) >= set(listed.ids), "what lives on was on some page of some read"
    assert "changed during each of 4 reads" in caplog.text


@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("removed", ["", "id-000", "id-009", "id-024"])
def test_pages_that_overlap_show_by_one_read_that_a_list_held_still(removed: str, counts: bool) -> None:
    """The last item of a page is the first of the next, unless something before it came or went: where
    another one came in at the end, the count is the same."""
    ids = [f"id-{number:03}" for number in range(25)]
    read: list[int] = []

    def pages() -> Iterator[Page]:
        offset = 0
        while True:
            if len(read) == 1 and removed:
                ids.remove(removed)
                ids.append("id-new")
            read.append(offset)
            page = ids[offset : offset + 10]
            last = offset + 10 >= len(ids)
            items = [Raw(msgspec.json.encode({"id": each})) for each in page]
            yield Page(items, total=len(ids) if counts else None, last=last)
            if last:
                return
            offset += len(page) - 1

    listing = read_whole(pages, "services", overlapping=True)

    assert listing.complete
    found = {msgspec.json.decode(item)["id"] for item in listing.items}
    assert found >= set(ids)
    assert len(read) == (6 if removed in ("id-000", "id-009") else 3)


def test_a_count_without_items_is_not_believed() -> None:
    listing = read_whole(lambda: [Page([], total=3, last=True)], "users")
    assert not listing.complete


def test_a_window_of_pagerduty_that_outgrows_what_is_listed_is_split() -> None:
    """Between the cut of the range and the read of a window 200 incidents come in."""
    created = [DAY + timedelta(seconds=5 * n) for n in range(REACHABLE)]
    asked: list[int] = []

    def page(since: datetime, until: datetime, *, offset: int = 0) -> PagerdutyPage:
        asked.append(offset)
        assert offset + 100 <= 10_000, "Offset+limit exceeds maximum allowed value of 10000"
        if len(asked) == 20:
            created.extend(DAY + timedelta(seconds=7 * n + 1) for n in range(200))
        found = sorted(each for each in created if since <= each < until)
        items = [
            Raw(msgspec.json.encode({"id": f"{each}-{n}"}))
            for n, each in enumerate(found[offset : offset + 100], start=offset)
        ]
        return PagerdutyPage(items, total=len(found), more=offset + 100 < len(found))

    with ThreadPoolExecutor(1) as executor:
        windows = PagerdutyWindows(page, executor)
        parts = windows.parts(DAY, DAY + timedelta(days=1))
        items = [item for part in parts for item in windows.items(part)]
    assert len({bytes(item) for item in items}) >= len(set(created))
