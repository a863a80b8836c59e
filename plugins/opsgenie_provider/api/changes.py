"""Finds changes to older OpsGenie incidents or alerts without reading them all.

The service documents no search by updatedAt. It is a sort order of alerts, and newer documentation lists it
for incidents, too, so a feed of the latest changes is tried first and believed only while it comes in that
order. Besides, what is open is listed, and without such a feed also what is resolved.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise

import msgspec
from msgspec import Raw

from opsgenie_provider.api.concurrency import THREADS, in_parallel
from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import InvalidRequestError
from opsgenie_provider.api.opsgenie import REACHABLE, Page
from opsgenie_provider.api.opsgenie_windows import Window, offsets

log = logging.getLogger(__name__)

LISTED_STATUSES = ("open", "resolved")


class _Updated(msgspec.Struct):
    updatedAt: str

    @property
    def instant(self) -> datetime:
        instant = datetime.fromisoformat(self.updatedAt)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


class ChangeReader:
    """Lists what a window holds that is not closed, or changed since an instant.

    Its first requests leave when it is made.

    :param list_page: a page of the list, by its ``query``, ``offset``, ``sort`` and ``order``.
    :param executor: runs the requests.
    :param statuses: those that are listed in full where there is no feed.
    :param has_feed: False: the service is known not to sort by updatedAt.
    :ivar listed: after reading, the statuses of which every incident was listed. A stored incident with
        such a status that was not listed has changed status since.
    """

    def __init__(
        self,
        list_page: Callable[..., Page],
        executor: ThreadPoolExecutor,
        *,
        among: Window,
        since: datetime,
        statuses: Sequence[str] = LISTED_STATUSES,
        has_feed: bool = True,
    ) -> None:
        self._list_page = list_page
        self._executor = executor
        self._statuses = statuses
        self._among = among.query
        self._since = since
        self._latest = executor.submit(self._feed_page, 0) if has_feed else None
        self._open = executor.submit(self._list_page, query=self._query_of("open"))
        self.listed: set[str] = set()

    def pages(self) -> Generator[list[Raw]]:
        """Pages of incidents; an incident may be listed more than once."""
        fed = yield from self._feed()
        # Whatever happened to a resolved incident is in the feed.
        for status in self._statuses[:1] if fed else self._statuses:
            first = self._open.result() if status == "open" else None
            if (yield from self._list(self._query_of(status), first)):
                self.listed.add(status)

    def _query_of(self, status: str) -> str:
        return f"status: {status} AND {self._among}"

    def _feed_page(self, offset: int) -> Page:
        return self._list_page(query=self._among, offset=offset, sort="updatedAt", order="desc")

    def _feed(self) -> Generator[list[Raw], None, bool]:
        """The latest changes, newest first; returns whether nothing since ``since`` can be missing."""
        if self._latest is None:
            return False
        newest = datetime.max.replace(tzinfo=UTC)
        offset, size = 0, 0
        try:
            pages: Iterator[Page] = iter([self._latest.result()])
            while True:
                for page in pages:
                    changed = [decode_into(item, _Updated).instant for item in page.items]
                    if any(a < b for a, b in pairwise([newest, *changed])):
                        log.info(
                            "The service does not sort by updatedAt: what is not closed is listed in full."
                        )
                        return False
                    yield page.items
                    offset += len(page.items)
                    if _is_last(page, offset) or changed[-1] < self._since:
                        return True
                    newest = changed[-1]
                    size = size or len(page.items)
                    if len(page.items) != size:
                        # The pages after it were asked for where it should have ended.
                        break
                if offset >= REACHABLE:
                    return False
                # Where a list of unknown length ends is not known either.
                ahead = 1 if page.total is None else self._pages_ahead(changed)
                starts = range(offset, min(REACHABLE, page.total or REACHABLE), size)[:ahead]
                pages = in_parallel(self._executor, self._feed_page, starts)
        except (InvalidRequestError, msgspec.DecodeError, ValueError) as error:
            log.info("OpsGenie does not list the latest changes (%s): listing all that is not closed.", error)
        return False

    def _pages_ahead(self, changed: list[datetime]) -> int:
        """How many more pages of the feed there are to ``since``, were all as busy as this one."""
        span = changed[0] - changed[-1]
        return min(THREADS, math.ceil((changed[-1] - self._since) / span)) if span else THREADS

    def _list(self, query: str, first: Page | None) -> Generator[list[Raw], None, bool]:
        """The incidents of a query; returns whether that was all of them."""
        first = first or self._list_page(query=query)
        yield first.items
        if first.total is not None:
            if first.total > REACHABLE:
                return False
            for page in in_parallel(
                self._executor,
                lambda offset: self._list_page(query=query, offset=offset),
                offsets(first)[1:],
            ):
                yield page.items
            return True
        page, offset = first, len(first.items)
        while not page.last:
            if offset >= REACHABLE:
                return False
            page = self._list_page(query=query, offset=offset)
            offset += len(page.items)
            yield page.items
        return True


def _is_last(page: Page, end: int) -> bool:
    return page.last if page.total is None else end >= page.total or not page.items
