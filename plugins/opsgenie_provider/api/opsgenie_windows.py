"""Reads every OpsGenie incident of a createdAt window, once each, whatever the window's size.

A list reaches only 20,000 rows, and its offsets shift when rows are added or removed meanwhile. So a
window is bounded at both ends, read in ascending createdAt, split until paging can reach all of it,
and read again if its count changed during the read.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, groupby, islice, pairwise
from operator import itemgetter
from typing import NamedTuple

from opsgenie_provider.api.concurrency import LOOK_AHEAD, in_parallel
from opsgenie_provider.api.errors import CrowdedSecondError
from opsgenie_provider.api.listing import Sink
from opsgenie_provider.api.opsgenie import REACHABLE, OpsgenieClient, Page

log = logging.getLogger(__name__)

_MAX_READS = 3
# The target size of the parts that a window is split into, assuming evenly spread incidents.
_PART_SIZE = REACHABLE // 2


@dataclass(frozen=True)
class Window:
    """[since, until) on createdAt, in Unix milliseconds, as the search syntax has it."""

    since: int
    until: int

    @classmethod
    def between(cls, since: datetime, until: datetime) -> Window:
        """The window of whole milliseconds that covers [since, until)."""
        return cls(math.floor(since.timestamp() * 1000), math.ceil(until.timestamp() * 1000))

    @property
    def query(self) -> str:
        """The window in OpsGenie's search syntax (comparison operators, Unix milliseconds)."""
        return f"createdAt >= {self.since} AND createdAt < {self.until}"

    def split(self, parts: int) -> list[Window]:
        """About ``parts`` windows of equal length, split at whole seconds; the outer ones may be shorter."""
        first, last = -(-self.since // 1000), self.until // 1000
        step = max(1, (last - first) // parts)
        cuts = [second * 1000 for second in range(first, last + 1, step)]
        edges = [self.since, *(cut for cut in cuts if self.since < cut < self.until), self.until]
        return [replace(self, since=a, until=b) for a, b in pairwise(edges)]

    def __str__(self) -> str:
        return f"{_instant(self.since)} to {_instant(self.until)}"


class Part(NamedTuple):
    """A window that paging can reach completely, with its first page."""

    window: Window
    first: Page


class Begun(NamedTuple):
    """The first page of a window, and those behind it that were asked for as soon as it was there."""

    first: Page
    ahead: Sequence[Future[tuple[Part, Page]]] = ()


class WindowReader:
    """Reads windows with several concurrent requests.

    :param executor: runs the requests; its size bounds how many are sent at the same time.
    """

    def __init__(self, client: OpsgenieClient, executor: ThreadPoolExecutor) -> None:
        self._client = client
        self._executor = executor

    def begin(self, window: Window) -> Future[Begun]:
        """Ask for a window's pages; where paging cannot reach them all, only for the first."""
        return self._executor.submit(self._begin, window)

    def _begin(self, window: Window) -> Begun:
        first = self._page(window, 0)
        if (first.total or 0) > REACHABLE:
            return Begun(first)
        requests = ((Part(window, first), offset) for offset in offsets(first)[1:LOOK_AHEAD])
        return Begun(first, [self._executor.submit(self._request, request) for request in requests])

    def parts(self, window: Window, first: Page | None = None) -> list[Part]:
        """The window, or the windows it must be cut into to be reachable, ascending.

        :param first: its first page, where that was read already.
        :raises CrowdedSecondError: one second holds more than paging can reach.
        """
        return self._reachable([Part(window, first or self._page(window, 0))])

    def _reachable(self, found: Iterable[Part]) -> list[Part]:
        parts: list[Part] = []
        for part in found:
            total = part.first.total
            if total is None or total <= REACHABLE:
                parts.append(part)
                continue
            smaller = part.window.split(-(-total // _PART_SIZE))
            if len(smaller) == 1:
                raise CrowdedSecondError(
                    f"OpsGenie holds {total} incidents created within one second, {part.window}; it lists "
                    f"at most {REACHABLE}. Delete or re-create some of them: nothing of it was stored."
                )
            log.info("%d incidents in %s: read in %d parts.", total, part.window, len(smaller))
            parts += self._reachable(
                self._executor.map(lambda window: Part(window, self._page(window, 0)), smaller)
            )
        return parts

    def pages(
        self, parts: Sequence[Part], ahead: Sequence[Future[tuple[Part, Page]]] = ()
    ) -> Iterator[tuple[Part, Iterator[Page]]]:
        """Each part with its pages; pages of the next parts are requested ahead.

        :param ahead: pages of the first part that were asked for already.
        """
        requests = ((part, offset) for part in parts for offset in offsets(part.first))
        unasked = islice(requests, 1 + len(ahead), None)
        others = in_parallel(self._executor, self._request, unasked, begun=ahead)
        for part, group in groupby(chain([(parts[0], parts[0].first)], others), key=itemgetter(0)):
            pages = map(itemgetter(1), group)
            yield part, pages if part.first.total is not None else self._sequentially(part)

    def read(self, part: Part, pages: Iterator[Page], sink: Sink) -> bool:
        """Add all incidents of a part to ``sink``.

        :returns: whether the read is complete: every incident that the service counted, each once.
        """
        reads: Iterable[tuple[Part, Iterator[Page]]] = [(part, pages)]
        for attempt in range(_MAX_READS):
            if attempt:
                log.info("The incidents of %s changed while they were read: reading them again.", part.window)
                sink.restart()
                # Since it was split, it may have outgrown what paging can reach.
                reads = self.pages(self.parts(part.window))
            if all([_add_pages(part_pages, sink) for _, part_pages in reads]):
                return True
        log.warning(
            "OpsGenie's count for %s never matched what it listed, in %d reads. Everything listed is "
            "stored; deletions in this window are detected by the next full read.",
            part.window,
            _MAX_READS,
        )
        return False

    def _page(self, window: Window, offset: int) -> Page:
        return self._client.incidents(query=window.query, offset=offset)

    def _request(self, request: tuple[Part, int]) -> tuple[Part, Page]:
        part, offset = request
        return part, self._page(part.window, offset) if offset else part.first

    def _sequentially(self, part: Part) -> Iterator[Page]:
        page, offset = part.first, 0
        yield page
        while not page.last:
            offset += len(page.items)
            page = self._page(part.window, offset)
            yield page


def _add_pages(pages: Iterable[Page], sink: Sink) -> bool:
    """Add pages to a sink; returns whether every page's total equals the number of incidents added."""
    found, totals = 0, set()
    for page in pages:
        found += sink.add(page.items)
        totals.add(page.total)
    # Without a count, nothing can contradict the read.
    return totals in ({None}, {found})


def offsets(first: Page) -> range:
    """The offsets of all pages of a list with a known total; only 0 where no total is known."""
    step = len(first.items)
    return range(0, first.total, step) if first.total and step else range(1)


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
