"""Reads every incident of a closed createdAt window, once each, whatever its size.

A list reaches 20,000 rows only, and its offsets shift when rows come or go meanwhile. So a window
is closed at both ends, read in ascending createdAt, split until it fits, and read again when its
count changed on the way.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Protocol, TypeVar

from msgspec import Raw

from opsgenie_provider.api.errors import CrowdedSecondError
from opsgenie_provider.api.opsgenie import PAGE_SIZE, REACHABLE, OpsgenieClient, Page

log = logging.getLogger(__name__)
A = TypeVar("A")
R = TypeVar("R")

THREADS = 8
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
        """Cut into parts on whole seconds, each at least one second long."""
        first, last = -(-self.since // 1000), self.until // 1000
        step = max(1, (last - first) // parts)
        cuts = [second * 1000 for second in range(first, last + 1, step)]
        edges = [self.since, *(cut for cut in cuts if self.since < cut < self.until), self.until]
        return [Window(a, b) for a, b in pairwise(edges)]

    def __str__(self) -> str:
        return f"{_instant(self.since)} to {_instant(self.until)}"


class Sink(Protocol):
    """Takes what a window holds."""

    def add(self, items: list[Raw]) -> int:
        """Take a page; returns how many incidents it had not seen since ``restart``."""

    def restart(self) -> None:
        """Forget what was added: the window is read again from the start."""


class WindowReader:
    """Reads windows with several requests under way at once.

    :param executor: runs the requests; its size bounds how many are under way.
    :param on_page: called after each page with the number of incidents so far, for progress.
    """

    def __init__(
        self, client: OpsgenieClient, executor: ThreadPoolExecutor, on_page: Callable[[int], None]
    ) -> None:
        self._client = client
        self._executor = executor
        self._on_page = on_page

    def parts(self, window: Window) -> Iterator[tuple[Window, Page]]:
        """The window, or the windows it must be cut into to be reachable, each with its first page.

        :raises CrowdedSecondError: one second holds more than paging can reach.
        """
        first = self._client.incidents(query=window.query)
        if first.total is None or first.total <= REACHABLE:
            yield window, first
            return
        parts = window.split(-(-first.total // _SPLIT_TO))
        if len(parts) == 1:
            raise CrowdedSecondError(
                f"OpsGenie holds {first.total} incidents created within one second, {window}; it lists at "
                f"most {REACHABLE}. Delete or re-create some of them: nothing of this window was stored."
            )
        log.info("%d incidents in %s: read in %d parts.", first.total, window, len(parts))
        for part in parts:
            yield from self.parts(part)

    def read(self, window: Window, first: Page, sink: Sink) -> bool:
        """Put all incidents of a reachable window into ``sink``.

        :returns: whether the read is complete: every incident that the service counted, each once.
        """
        for attempt in range(_READS_OF_A_MOVING_WINDOW):
            if attempt:
                log.info("The incidents of %s changed while they were read: reading them again.", window)
                sink.restart()
                first = self._client.incidents(query=window.query)
            if self._read_once(window, first, sink):
                return True
        log.warning(
            "OpsGenie's count for %s never matched what it listed. All that it listed is stored; "
            "deletions in this window are left for the next full read.", window,
        )  # fmt: skip
        return False

    def _read_once(self, window: Window, first: Page, sink: Sink) -> bool:
        found = sink.add(first.items)
        self._on_page(len(first.items))
        totals = {first.total}
        for page in self._rest(window, first):
            found += sink.add(page.items)
            totals.add(page.total)
            self._on_page(len(page.items))
        # Without a count there is nothing to hold the read against.
        return totals in ({None}, {found})

    def _rest(self, window: Window, first: Page) -> Iterator[Page]:
        step = len(first.items)
        if first.total is None:
            yield from self._one_by_one(window, first)
        elif step:
            yield from in_parallel(
                self._executor,
                lambda offset: self._client.incidents(query=window.query, offset=offset),
                range(step, first.total, min(step, PAGE_SIZE)),
            )

    def _one_by_one(self, window: Window, page: Page) -> Iterator[Page]:
        offset = 0
        while not page.last:
            offset += len(page.items)
            page = self._client.incidents(query=window.query, offset=offset)
            yield page


def in_parallel(executor: ThreadPoolExecutor, do: Callable[[A], R], items: Iterable[A]) -> Iterator[R]:
    """``executor.map`` that runs only a little ahead of its reader, so memory stays flat."""
    ahead: deque[Future[R]] = deque()
    try:
        for item in items:
            ahead.append(executor.submit(do, item))
            if len(ahead) >= 2 * THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
