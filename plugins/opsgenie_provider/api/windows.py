"""Reads every incident of a closed createdAt window, once each, whatever its size.

A list reaches 20,000 rows only, and its offsets shift when rows come or go meanwhile. So a window
is closed at both ends, read in ascending createdAt, split until it fits, and read again when its
count changed on the way.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby, pairwise
from operator import itemgetter
from typing import NamedTuple, Protocol, TypeVar

from msgspec import Raw

from opsgenie_provider.api.errors import CrowdedSecondError
from opsgenie_provider.api.opsgenie import REACHABLE, OpsgenieClient, Page

log = logging.getLogger(__name__)
A = TypeVar("A")
R = TypeVar("R")

THREADS = 8
# Pages read before they are needed, so that requests go on while the warehouse is at work.
LOOK_AHEAD = 8 * THREADS
_READS_OF_A_MOVING_WINDOW = 3
# Windows that must be split are cut into parts of this size, were the incidents evenly spread.
_SPLIT_TO = REACHABLE // 2


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
        """Cut on whole seconds; only what lies before the first cut or after the last may be shorter."""
        first, last = -(-self.since // 1000), self.until // 1000
        step = max(1, (last - first) // parts)
        cuts = [second * 1000 for second in range(first, last + 1, step)]
        edges = [self.since, *(cut for cut in cuts if self.since < cut < self.until), self.until]
        return [replace(self, since=a, until=b) for a, b in pairwise(edges)]

    def __str__(self) -> str:
        return f"{_instant(self.since)} to {_instant(self.until)}"


class Sink(Protocol):
    """Takes what a window holds."""

    def add(self, items: list[Raw]) -> int:
        """Take a page; returns how many incidents it had not seen since ``restart``."""

    def restart(self) -> None:
        """Forget what was added: the window is read again from the start."""


class Part(NamedTuple):
    """A window that paging can reach, with its first page."""

    window: Window
    first: Page


class WindowReader:
    """Reads windows with several requests under way at once.

    :param executor: runs the requests; its size bounds how many are under way.
    """

    def __init__(self, client: OpsgenieClient, executor: ThreadPoolExecutor) -> None:
        self._client = client
        self._executor = executor

    def begin(self, window: Window) -> Future[Page]:
        """Ask for a window's first page, for ``parts``."""
        return self._executor.submit(self._page, window, 0)

    def parts(self, window: Window, first: Future[Page] | None = None) -> list[Part]:
        """The window, or the windows it must be cut into to be reachable, ascending.

        :param first: what ``begin`` returned for the window.
        :raises CrowdedSecondError: one second holds more than paging can reach.
        """
        first = first or self.begin(window)
        return self._reachable([Part(window, first.result())])

    def _reachable(self, found: Iterable[Part]) -> list[Part]:
        parts: list[Part] = []
        for part in found:
            total = part.first.total
            if total is None or total <= REACHABLE:
                parts.append(part)
                continue
            cut = part.window.split(-(-total // _SPLIT_TO))
            if len(cut) == 1:
                raise CrowdedSecondError(
                    f"OpsGenie holds {total} incidents created within one second, {part.window}; it lists "
                    f"at most {REACHABLE}. Delete or re-create some of them: nothing of it was stored."
                )
            log.info("%d incidents in %s: read in %d parts.", total, part.window, len(cut))
            parts += self._reachable(
                self._executor.map(lambda window: Part(window, self._page(window, 0)), cut)
            )
        return parts

    def pages(self, parts: Sequence[Part]) -> Iterator[tuple[Part, Iterator[Page]]]:
        """Each part with its pages; the pages of the next part are on their way already."""
        requests = ((part, offset) for part in parts for offset in offsets(part.first))
        answers = in_parallel(self._executor, lambda request: (request[0], self._answer(*request)), requests)
        for part, group in groupby(answers, key=itemgetter(0)):
            pages = map(itemgetter(1), group)
            yield part, pages if part.first.total is not None else self._one_by_one(part)

    def read(self, part: Part, pages: Iterator[Page], sink: Sink) -> bool:
        """Put all incidents of a part into ``sink``.

        :returns: whether the read is complete: every incident that the service counted, each once.
        """
        reads: Iterable[tuple[Part, Iterator[Page]]] = [(part, pages)]
        for attempt in range(_READS_OF_A_MOVING_WINDOW):
            if attempt:
                log.info("The incidents of %s changed while they were read: reading them again.", part.window)
                sink.restart()
                # It may have outgrown what paging can reach since it was cut.
                reads = self.pages(self.parts(part.window))
            if all([_counted(its_pages, sink) for _, its_pages in reads]):
                return True
        log.warning(
            "OpsGenie's count for %s never matched what it listed. All that it listed is stored; "
            "deletions in this window are left for the next full read.",
            part.window,
        )
        return False

    def _page(self, window: Window, offset: int) -> Page:
        return self._client.incidents(query=window.query, offset=offset)

    def _answer(self, part: Part, offset: int) -> Page:
        return self._page(part.window, offset) if offset else part.first

    def _one_by_one(self, part: Part) -> Iterator[Page]:
        page, offset = part.first, 0
        yield page
        while not page.last:
            offset += len(page.items)
            page = self._page(part.window, offset)
            yield page


def _counted(pages: Iterable[Page], sink: Sink) -> bool:
    """Put pages into a sink; returns whether the service's count is what they held, all the way."""
    found, totals = 0, set()
    for page in pages:
        found += sink.add(page.items)
        totals.add(page.total)
    # Without a count there is nothing to hold the read against.
    return totals in ({None}, {found})


def offsets(first: Page) -> range:
    """Where the pages of a counted list start; just the first where nothing more is known."""
    step = len(first.items)
    return range(0, first.total, step) if first.total and step else range(1)


def in_parallel(executor: ThreadPoolExecutor, do: Callable[[A], R], items: Iterable[A]) -> Iterator[R]:
    """``executor.map`` that runs only a little ahead of its reader, so memory stays flat."""
    ahead: deque[Future[R]] = deque()
    try:
        for item in items:
            ahead.append(executor.submit(do, item))
            if len(ahead) >= LOOK_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
