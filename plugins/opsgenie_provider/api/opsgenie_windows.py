"""Reads every incident or alert of a createdAt window, once each, whatever the window's size.

A list reaches only 20,000 rows, and its offsets shift when rows are added or removed meanwhile. So a
window is bounded at both ends, read in ascending createdAt, split until paging can reach all of it,
and read again if its count changed during the read.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, groupby, islice, pairwise
from operator import itemgetter
from typing import NamedTuple

import msgspec
from msgspec import Raw

from opsgenie_provider.api.concurrency import LOOK_AHEAD, in_parallel
from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import CrowdedSecondError
from opsgenie_provider.api.listing import Sink
from opsgenie_provider.api.opsgenie import REACHABLE, Page

log = logging.getLogger(__name__)

_MAX_READS = 3
# The target size of the parts that a window is split into, assuming evenly spread incidents.
_PART_SIZE = REACHABLE // 2


@dataclass(frozen=True)
class Window:
    """[since, until) on createdAt, in Unix milliseconds, as the search syntax has it.

    :param among: a query that what is read matches, too.
    """

    since: int
    until: int
    among: str = ""

    @classmethod
    def between(cls, since: datetime, until: datetime, among: str = "") -> Window:
        """The window of whole milliseconds that covers [since, until)."""
        return cls(math.floor(since.timestamp() * 1000), math.ceil(until.timestamp() * 1000), among)

    @property
    def query(self) -> str:
        """The window in OpsGenie's search syntax (comparison operators, Unix milliseconds)."""
        created = f"createdAt >= {self.since} AND createdAt < {self.until}"
        return f"{self.among} AND {created}" if self.among else created

    def split(self, parts: int) -> list[Window]:
        """About ``parts`` windows of equal length, split at whole seconds; the outer ones may be shorter."""
        first, last = math.ceil(self.since / 1000), self.until // 1000
        step = max(1, (last - first) // parts)
        cuts = [second * 1000 for second in range(first, last + 1, step)]
        edges = [self.since, *(cut for cut in cuts if self.since < cut < self.until), self.until]
        return [replace(self, since=a, until=b) for a, b in pairwise(edges)]

    def __str__(self) -> str:
        return f"{_instant(self.since)} to {_instant(self.until)}"


class _Created(msgspec.Struct):
    createdAt: datetime


class ReadableWindow(NamedTuple):
    """A window that paging can reach completely, with its first page."""

    window: Window
    first: Page


class Begun(NamedTuple):
    """The first page of a window, and those behind it that were asked for as soon as it was there."""

    first: Page
    ahead: Sequence[Future[tuple[ReadableWindow, Page]]] = ()


class WindowReader:
    """Reads windows with several concurrent requests.

    :param list_page: a page of the list, by its ``query`` and ``offset``.
    :param executor: runs the requests; its size bounds how many are sent at the same time.
    :param what: what is listed, for messages.
    :param count: how many items a query matches, for a list that does not say; None where nobody knows.
    """

    def __init__(
        self,
        list_page: Callable[..., Page],
        executor: ThreadPoolExecutor,
        *,
        what: str = "incidents",
        count: Callable[[str], int | None] = lambda query: None,
    ) -> None:
        self._list_page = list_page
        self._executor = executor
        self._what = what
        self._count = count

    def begin(self, window: Window) -> Future[Begun]:
        """Ask for a window's pages; where paging cannot reach them all, only for the first."""
        return self._executor.submit(self._begin, window)

    def _begin(self, window: Window) -> Begun:
        first = self._first_page(window)
        if (first.total or 0) > REACHABLE:
            return Begun(first)
        requests = ((ReadableWindow(window, first), offset) for offset in offsets(first)[1:LOOK_AHEAD])
        return Begun(first, [self._executor.submit(self._request, request) for request in requests])

    def parts(self, window: Window, first: Page | None = None) -> list[ReadableWindow]:
        """The window, or the windows it must be cut into to be reachable, ascending.

        :param first: its first page, where that was read already.
        :raises CrowdedSecondError: one second holds more than paging can reach.
        """
        return self._reachable([ReadableWindow(window, first or self._first_page(window))])

    def _reachable(self, found: Iterable[ReadableWindow]) -> list[ReadableWindow]:
        parts: list[ReadableWindow] = []
        for part in found:
            total = part.first.total
            if total is None or total <= REACHABLE:
                parts.append(part)
                continue
            smaller = part.window.split(math.ceil(total / _PART_SIZE))
            if len(smaller) == 1:
                raise CrowdedSecondError(
                    f"The service holds {total} {self._what} created within one second, {part.window}; it "
                    f"lists at most {REACHABLE}. Delete or re-create some of them: nothing of it was stored."
                )
            log.info("%d %s in %s: read in %d parts.", total, self._what, part.window, len(smaller))
            parts += self._reachable(
                self._executor.map(lambda window: ReadableWindow(window, self._first_page(window)), smaller)
            )
        return parts

    def pages(
        self, parts: Sequence[ReadableWindow], ahead: Sequence[Future[tuple[ReadableWindow, Page]]] = ()
    ) -> Iterator[tuple[ReadableWindow, Iterator[Page]]]:
        """Each part with its pages; pages of the next parts are requested ahead.

        :param ahead: pages of the first part that were asked for already.
        """
        requests = ((part, offset) for part in parts for offset in offsets(part.first))
        unasked = islice(requests, 1 + len(ahead), None)
        others = in_parallel(self._executor, self._request, unasked, begun=ahead)
        for part, group in groupby(chain([(parts[0], parts[0].first)], others), key=itemgetter(0)):
            pages = map(itemgetter(1), group)
            yield part, pages if part.first.total is not None else self._sequentially(part)

    def read(self, part: ReadableWindow, pages: Iterator[Page], sink: Sink) -> bool:
        """Add everything in a part to ``sink``.

        :returns: whether the read is complete: everything that the service counted, each once.
        """
        reads: Iterable[tuple[ReadableWindow, Iterator[Page]]] = [(part, pages)]
        for attempt in range(_MAX_READS):
            if attempt:
                log.info(
                    "The %s of %s changed while they were read: reading them again.", self._what, part.window
                )
                sink.restart()
                # Since it was split, it may have outgrown what paging can reach.
                reads = self.pages(self.parts(part.window))
            # Every part is read, also after one whose count does not match.
            if all([_add_pages(part_pages, sink) for _, part_pages in reads]):
                return True
        log.warning(
            "%s: in %d reads the service's count never matched the %s that it listed. All of them are "
            "stored; deletions are checked by the next full read.",
            part.window,
            _MAX_READS,
            self._what,
        )
        return False

    def _page(self, window: Window, offset: int) -> Page:
        return self._list_page(query=window.query, offset=offset)

    def _first_page(self, window: Window) -> Page:
        page = self._page(window, 0)
        if page.total is None:
            # Where everything is on one page, its length is the count.
            total = len(page.items) if page.last else self._count(window.query)
            page = _with_total(page, total)
        return page

    def _request(self, request: tuple[ReadableWindow, int]) -> tuple[ReadableWindow, Page]:
        part, offset = request
        if not offset:
            return part, part.first
        page = self._page(part.window, offset)
        if page.total is None and page.last:
            # How long the list is at its end: another length than at its beginning, and it has changed.
            page = _with_total(page, offset + len(page.items))
        return part, page

    def _sequentially(self, part: ReadableWindow) -> Iterator[Page]:
        """The pages of a list of unknown length; beyond what paging reaches, from its last instant on.

        Each begins with the last item of the page before: one that is deleted meanwhile hides none. If more
        are, or some come in, the list does not end where it would after so many items.
        """
        window, page, offset = part.window, part.first, 0
        while not page.last:
            yield page
            offset += len(page.items) - 1 if len(page.items) > 1 else 1
            if offset >= REACHABLE:
                last = _created(page.items[-1])
                if last <= window.since:
                    raise CrowdedSecondError(
                        f"The service lists at most {REACHABLE} {self._what} of one instant, and holds more "
                        f"of {_instant(last)}. Delete or re-create some of them: nothing of it was stored."
                    )
                window, offset = replace(window, since=last), 0
            page = self._page(window, offset)
        yield _with_total(page, offset + len(page.items)) if window is part.window else page


def _with_total(page: Page, total: int | None) -> Page:
    """The same page with another total."""
    return Page(items=page.items, total=total, last=page.last)


def _created(item: Raw) -> int:
    """createdAt of an item, in Unix milliseconds."""
    return math.floor(decode_into(item, _Created).createdAt.timestamp() * 1000)


def _add_pages(pages: Iterable[Page], sink: Sink) -> bool:
    """Add pages to a sink; returns whether every total that was given is the number of items added."""
    found, totals = 0, set()
    for page in pages:
        found += sink.add(page.items)
        totals.add(page.total)
    # Without a count, nothing can contradict the read.
    return totals <= {None, found}


def offsets(first: Page) -> range:
    """The offsets of all pages of a list with a known total; only 0 where no total is known."""
    step = len(first.items)
    return range(0, first.total, step) if first.total and step else range(1)


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
