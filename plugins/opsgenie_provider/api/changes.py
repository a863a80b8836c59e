"""Finds changes to older OpsGenie incidents or alerts without reading them all.

The service documents no search by updatedAt. It is a sort order of alerts, and newer documentation lists it
for incidents, too, so a feed of the latest changes is tried first and believed only while it comes in that
order. Besides, what is open is listed, and without such a feed also what is resolved.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain, pairwise

import msgspec
from msgspec import Raw

from opsgenie_provider.api.concurrency import LOOK_AHEAD, THREADS, in_parallel
from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import InvalidRequestError
from opsgenie_provider.api.listing import identity
from opsgenie_provider.api.opsgenie import REACHABLE, Page
from opsgenie_provider.api.opsgenie_windows import Window, offsets
from opsgenie_provider.instants import utc_instant

log = logging.getLogger(__name__)

LISTED_STATUSES = ("open", "resolved")
_MAX_READS = 3
# A list's first page, and those behind it that were asked for as soon as it was there.
Begun = tuple[Page, list[Future[Page]]]


class _Updated(msgspec.Struct):
    updatedAt: str

    @property
    def instant(self) -> datetime:
        return utc_instant(self.updatedAt)


class ChangeReader:
    """Lists what a window holds that is not closed, or changed since an instant.

    Its requests leave when it is made, and as soon as a first page says how many others there are.

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
        self._latest = executor.submit(self._begin_feed) if has_feed else None
        self._lists = {"open": self._begin("open")}
        self.listed: set[str] = set()

    def pages(self) -> Generator[list[Raw]]:
        """Pages of incidents; an incident may be listed more than once."""
        fed = yield from self._feed()
        # Whatever happened to a resolved incident is in the feed.
        for status in self._statuses[:1] if fed else self._statuses:
            begun = self._lists.get(status) or self._begin(status)
            if (yield from self._list(status, *begun.result())):
                self.listed.add(status)

    def _begin(self, status: str) -> Future[Begun]:
        def begin() -> Begun:
            first = self._listed_page(status, 0)
            if (first.total or 0) > REACHABLE:
                return first, []
            ahead = offsets(first)[1:LOOK_AHEAD]
            return first, [self._executor.submit(self._listed_page, status, offset) for offset in ahead]

        return self._executor.submit(begin)

    def _listed_page(self, status: str, offset: int) -> Page:
        return self._list_page(query=f"status: {status} AND {self._among}", offset=offset)

    def _begin_feed(self) -> Begun:
        first = self._feed_page(0)
        changed = _changed(first)
        if not _is_descending(changed):
            return first, []
        ahead = self._offsets_ahead(first, changed, len(first.items), len(first.items))
        return first, [self._executor.submit(self._feed_page, offset) for offset in ahead]

    def _feed_page(self, offset: int) -> Page:
        return self._list_page(query=self._among, offset=offset, sort="updatedAt", order="desc")

    def _feed(self) -> Generator[list[Raw], None, bool]:
        """The latest changes, newest first; returns whether nothing since ``since`` can be missing."""
        if self._latest is None:
            return False
        try:
            begun = self._latest.result()
            for _ in range(_MAX_READS):
                is_whole = yield from self._feed_once(*begun)
                if is_whole is not None:
                    return is_whole
                log.info("The latest changes moved up while they were read: reading them again.")
                begun = self._begin_feed()
        except (InvalidRequestError, msgspec.DecodeError, ValueError) as error:
            log.info("OpsGenie does not list the latest changes (%s): listing all that is not closed.", error)
        return False

    def _feed_once(
        self, first: Page, ahead: Sequence[Future[Page]]
    ) -> Generator[list[Raw], None, bool | None]:
        """As ``_feed``; None where something may have moved to a page that was read already.

        What is deleted moves all that changed before it up by a place. So each page begins with the last
        item of the page before, or with an earlier one where newer changes came in.
        """
        newest = datetime.max.replace(tzinfo=UTC)
        size = len(first.items)
        seen: set[str | bytes] = set()
        pages: Iterator[Page] = chain([first], (begun.result() for begun in ahead))
        offset = 0
        while True:
            for page in pages:
                changed, ids = _changed(page), [identity(item) for item in page.items]
                new = [at for at, id_ in zip(changed, ids, strict=True) if id_ not in seen]
                if not _is_descending(changed) or (new and new[0] > newest):
                    log.info("The service does not sort by updatedAt: what is not closed is listed in full.")
                    return False
                yield page.items
                if offset and size > 1 and not seen.intersection(ids[:1]):
                    return None
                end = offset + len(page.items)
                if _is_last(page, end) or changed[-1] < self._since:
                    return True
                newest = changed[-1]
                seen.update(ids)
                offset = _next_offset(end, size)
                if len(page.items) != size:
                    # The pages after it were asked for where it should have ended.
                    break
            if offset >= REACHABLE:
                return False
            ahead_of_page = self._offsets_ahead(page, changed, end, size)
            pages = in_parallel(self._executor, self._feed_page, ahead_of_page)

    def _offsets_ahead(self, page: Page, changed: Sequence[datetime], end: int, size: int) -> Sequence[int]:
        """Offsets of the next pages of the feed, to ``since``, were all as busy as this one.

        :param end: where the page ends.
        :param size: of a page.
        """
        if _is_last(page, end) or changed[-1] < self._since:
            return ()
        # Where a list of unknown length ends is not known either.
        ahead = 1 if page.total is None else THREADS
        if page.total is not None and (span := changed[0] - changed[-1]):
            ahead = min(THREADS, math.ceil((changed[-1] - self._since) / span) or 1)
        start = _next_offset(end, size)
        stop = min(REACHABLE, page.total - (end - start) if page.total else REACHABLE)
        return range(start, stop, _next_offset(size, size))[:ahead]

    def _list(
        self, status: str, first: Page, ahead: Sequence[Future[Page]]
    ) -> Generator[list[Raw], None, bool]:
        """The incidents of a status; returns whether that was all of them."""
        yield first.items
        if first.total is not None:
            if first.total > REACHABLE:
                return False
            others = offsets(first)[1 + len(ahead) :]
            for page in in_parallel(
                self._executor, lambda offset: self._listed_page(status, offset), others, begun=ahead
            ):
                yield page.items
            return True
        page, offset = first, len(first.items)
        while not page.last:
            if offset >= REACHABLE:
                return False
            page = self._listed_page(status, offset)
            offset += len(page.items)
            yield page.items
        return True


def _changed(page: Page) -> list[datetime]:
    return [decode_into(item, _Updated).instant for item in page.items]


def _is_descending(instants: Iterable[datetime]) -> bool:
    return all(a >= b for a, b in pairwise(instants))


def _next_offset(end: int, size: int) -> int:
    """Where the page after one that ends there begins, were it as long: with its last item again."""
    return end - 1 if size > 1 else end


def _is_last(page: Page, end: int) -> bool:
    return page.last if page.total is None else end >= page.total or not page.items
