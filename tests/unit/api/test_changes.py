from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from opsgenie_provider.api.changes import ChangeReader
from opsgenie_provider.api.errors import InvalidRequestError, ServerError
from opsgenie_provider.api.opsgenie import PAGE_SIZE, Page
from opsgenie_provider.api.opsgenie_windows import Window

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SINCE = NOW - timedelta(hours=2)
AMONG = Window.between(NOW - timedelta(days=90), NOW - timedelta(days=2))


def incident(number: int, status: str = "closed", *, hours_ago: float = 500, **fields: Any) -> dict[str, Any]:
    updated = NOW - timedelta(hours=hours_ago)
    return {"id": f"i{number}", "status": status, "updatedAt": f"{updated:%Y-%m-%dT%H:%M:%S}Z", **fields}


class Account:
    """Lists incidents by status, and sorts by updatedAt if it can."""

    def __init__(
        self,
        incidents: list[dict[str, Any]],
        *,
        sorts: bool = True,
        cap: int = PAGE_SIZE,
        counts: bool = True,
    ) -> None:
        self.all, self.sorts, self.cap, self.counts = incidents, sorts, cap, counts
        self.feed_error: Exception | None = None
        self.read: list[tuple[str, int]] = []
        self.asked = threading.Semaphore(0)
        # By how many pages of the feed were read: what is deleted before the next.
        self.deleted_after: dict[int, list[str]] = {}

    def incidents(self, *, query: str, offset: int = 0, sort: str = "createdAt", order: str = "asc") -> Page:
        assert query.endswith(AMONG.query)
        assert offset + PAGE_SIZE < 20_000
        status = re.match(r"status: (\w+) AND ", query)
        gone = [] if status else self.deleted_after.pop(len(reads_of(self, "feed")), [])
        self.all = [each for each in self.all if each["id"] not in gone]
        self.read.append((status[1] if status else "feed", offset))
        self.asked.release()
        found = [each for each in self.all if not status or each["status"] == status[1]]
        if sort == "updatedAt":
            if self.feed_error:
                raise self.feed_error
            if self.sorts:
                found.sort(key=lambda each: str(each.get("updatedAt")), reverse=order == "desc")
        page = found[offset : offset + self.cap]
        last = offset + len(page) >= len(found)
        items = [Raw(msgspec.json.encode(each)) for each in page]
        return Page(items, total=len(found) if self.counts else None, last=last)


def changes(account: Account) -> tuple[set[str], set[str]]:
    """The ids that were listed, and the statuses that were listed in full."""
    with ThreadPoolExecutor(4) as executor:
        reader = ChangeReader(account.incidents, executor, among=AMONG, since=SINCE)
        found = {msgspec.json.decode(item)["id"] for page in reader.pages() for item in page}
    return found, reader.listed


def reads_of(account: Account, kind: str) -> list[int]:
    return [offset for each, offset in account.read if each == kind]


def test_a_feed_in_order_is_read_up_to_what_is_known() -> None:
    account = Account([incident(n, hours_ago=n / 100) for n in range(1000)])
    found, listed = changes(account)
    assert {f"i{n}" for n in range(200)} <= found
    assert sorted(reads_of(account, "feed")) == [0, 99, 198]
    assert listed == {"open"}


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("gone", [["i5"], ["i5", "i6", "i99"]])
def test_a_change_that_moves_up_to_a_page_that_was_read_is_found(gone: list[str], counts: bool) -> None:
    """Each deletion moves what changed before it up by a place: it may be on neither of two pages."""
    account = Account([incident(n, hours_ago=n / 200) for n in range(800)], counts=counts)
    account.deleted_after = {1: gone, 3: ["i7"]}
    found, listed = changes(account)
    assert found >= {f"i{n}" for n in range(400)} - {*gone, "i7"}
    assert listed == {"open"}


def test_a_page_that_ends_at_the_very_instant_is_not_the_end() -> None:
    account = Account([incident(n, hours_ago=2 * min(n, 99) / 99) for n in range(250)])
    assert {f"i{n}" for n in range(250)} <= changes(account)[0]


def test_a_feed_that_never_holds_still_is_not_believed() -> None:
    account = Account([incident(n, "resolved", hours_ago=n / 200) for n in range(800)])
    account.deleted_after = {read: [f"i{2 * read}", f"i{2 * read + 1}"] for read in range(1, 40)}
    assert changes(account)[1] == {"open", "resolved"}


def test_all_pages_are_asked_for_before_any_is_needed_and_once() -> None:
    """While the other parts of an account are stored, these are on their way."""
    account = Account([incident(n, "open", hours_ago=n / 100) for n in range(730)])
    expected = [*(("feed", offset) for offset in (0, 99, 198)), *(("open", n * 100) for n in range(8))]
    with ThreadPoolExecutor(4) as executor:
        reader = ChangeReader(account.incidents, executor, among=AMONG, since=SINCE)
        for _ in expected:
            assert account.asked.acquire(timeout=60)
        assert len(list(reader.pages())) == len(expected)
    assert sorted(account.read) == expected


def test_an_old_incident_that_changed_is_found_whatever_its_status() -> None:
    account = Account([*(incident(n) for n in range(500)), incident(777, hours_ago=1)])
    assert "i777" in changes(account)[0]


def test_what_is_open_is_always_listed_in_full() -> None:
    account = Account([incident(n, "open") for n in range(730)])
    found, listed = changes(account)
    assert len(found) == 730
    assert "open" in listed


def test_with_a_feed_resolved_incidents_are_not_listed_besides() -> None:
    """An hour in which nothing happened takes two requests: the feed, and what is open."""
    account = Account([incident(n, "resolved") for n in range(50)])
    _, listed = changes(account)
    assert listed == {"open"}
    assert sorted(account.read) == [("feed", 0), ("open", 0)]


def test_pages_of_a_busy_feed_are_asked_for_at_once_and_hardly_beyond_it() -> None:
    account = Account([incident(n, hours_ago=n / 1000) for n in range(9000)])
    found, _ = changes(account)
    assert {f"i{n}" for n in range(2000)} <= found
    read = reads_of(account, "feed")
    assert len(read) == len(set(read))
    assert max(read) <= 2000 + PAGE_SIZE


@pytest.mark.parametrize("trouble", ["unsorted", "refused", "no instant", "no such instant"])
def test_without_a_feed_all_that_is_not_closed_is_listed(trouble: str) -> None:
    incidents = [incident(n, "resolved", hours_ago=1000 - n) for n in range(450)]
    account = Account(incidents, sorts=trouble != "unsorted")
    if trouble == "refused":
        account.feed_error = InvalidRequestError(
            status=422, message="sort", service="OpsGenie", request="GET /v1/incidents"
        )
    for each in incidents:
        if trouble == "no instant":
            del each["updatedAt"]
        elif trouble == "no such instant":
            each["updatedAt"] = "yesterday"
    found, listed = changes(account)
    assert len(found) == 450
    assert listed == {"open", "resolved"}
    assert reads_of(account, "feed") == [0]


def test_order_is_checked_across_pages_too() -> None:
    sorted_pages = [incident(n, hours_ago=0.001 * n) for n in range(100)]
    account = Account([*sorted_pages, incident(500, hours_ago=0.0)], sorts=False)
    account.all += [incident(n, "resolved") for n in range(1000, 1300)]
    found, _ = changes(account)
    assert {f"i{n}" for n in range(1000, 1300)} <= found


def test_instants_without_a_zone_are_utc() -> None:
    account = Account([incident(1, hours_ago=1), incident(2, hours_ago=1.5), *map(incident, range(3, 400))])
    for each in account.all:
        each["updatedAt"] = each["updatedAt"].removesuffix("Z")
    assert {"i1", "i2"} <= changes(account)[0]
    assert reads_of(account, "feed") == [0]


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("cap", [30, 99])
def test_pages_shorter_than_asked_for_leave_no_gap(cap: int, counts: bool) -> None:
    incidents = [incident(n, ("open", "resolved")[n % 2], hours_ago=n / 1000) for n in range(400)]
    account = Account(incidents, cap=cap, counts=counts)
    found, listed = changes(account)
    assert len(found) == 400
    assert listed == {"open"}
    assert sum(1 for kind, _ in account.read if kind == "feed") == -(-400 // cap)


def test_lists_longer_than_the_service_reaches_are_not_called_complete() -> None:
    account = Account([incident(n, "open", hours_ago=0.5) for n in range(20_500)], counts=False)
    _, listed = changes(account)
    assert "open" not in listed
    assert max(reads_of(account, "open")) + PAGE_SIZE == 19_900
    assert max(reads_of(account, "feed")) + PAGE_SIZE < 20_000


def test_an_empty_account() -> None:
    assert changes(Account([])) == (set(), {"open"})


def test_a_service_that_fails_is_not_taken_for_one_without_feed() -> None:
    account = Account([incident(1)])
    account.feed_error = ServerError(status=500, message="x", service="OpsGenie", request="GET /v1/incidents")
    with pytest.raises(ServerError):
        changes(account)
