"""Finds what changed among older incidents, without reading them all.

The service documents no search by updatedAt. Newer documentation lists it as a sort order, so a
feed of the latest changes is tried first and believed only while it comes in that order. Besides,
what is not closed is listed by status: all of it where the feed is not to be had.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Raw

from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import InvalidRequestError
from opsgenie_provider.api.opsgenie import PAGE_SIZE, REACHABLE, OpsgenieClient, Page
from opsgenie_provider.api.windows import Window, in_parallel, offsets

log = logging.getLogger(__name__)

LISTED_STATUSES = ("open", "resolved")
# With the feed at hand, long lists of resolved incidents need not be read through every hour.
_FEW = 2 * PAGE_SIZE


class _Updated(msgspec.Struct):
    updatedAt: str

    @property
    def instant(self) -> datetime:
        instant = datetime.fromisoformat(self.updatedAt)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


class ChangeReader:
    """Lists the incidents of a window that are not closed, or changed since an instant.

    :param executor: runs the requests of a list whose length is known.
    :ivar listed: after reading, the statuses of which every incident was listed. One that is known
        with such a status and was not listed has left it.
    """

    def __init__(
        self, client: OpsgenieClient, executor: ThreadPoolExecutor, *, among: Window, since: datetime
    ) -> None:
        self._client = client
        self._executor = executor
        self._among = among.query
        self._since = since
        self.listed: set[str] = set()

    def pages(self) -> Generator[list[Raw]]:
        """Pages of incidents; one may be listed more than once."""
        fed = yield from self._feed()
        for status in LISTED_STATUSES:
            few_will_do = fed and status != "open"
            if (yield from self._list(status, _FEW if few_will_do else REACHABLE)):
                self.listed.add(status)

    def _feed(self) -> Generator[list[Raw], None, bool]:
        """The latest changes, newest first; returns whether nothing since ``since`` can be missing."""
        newest = datetime.max.replace(tzinfo=UTC)
        try:
            for page, last in self._read(query=self._among, sort="updatedAt", order="desc"):
                changed = [decode_into(item, _Updated).instant for item in page.items]
                if any(a < b for a, b in pairwise([newest, *changed])):
                    log.info("The service does not sort by updatedAt: what is not closed is listed in full.")
                    return False
                yield page.items
                if last or changed[-1] < self._since:
                    return True
                newest = changed[-1]
        except (InvalidRequestError, msgspec.DecodeError, ValueError) as error:
            log.info("No feed of the latest changes (%s): what is not closed is listed in full.", error)
        return False

    def _list(self, status: str, at_most: int) -> Generator[list[Raw], None, bool]:
        """Incidents of a status; returns whether that was all of them."""
        query = f"status: {status} AND {self._among}"
        first = self._client.incidents(query=query)
        if first.total is None:
            for page, last in self._read(query=query):
                yield page.items
                if last:
                    return True
            return False
        yield first.items
        if first.total > at_most:
            return False
        for page in in_parallel(
            self._executor,
            lambda offset: self._client.incidents(query=query, offset=offset),
            offsets(first)[1:],
        ):
            yield page.items
        return True

    def _read(self, **request: Any) -> Iterator[tuple[Page, bool]]:
        """Pages as far as a list reaches, each with whether it is the last."""
        offset = 0
        while offset < REACHABLE:
            page = self._client.incidents(offset=offset, **request)
            offset += len(page.items)
            last = page.last if page.total is None else offset >= page.total or not page.items
            yield page, last
            if last:
                return
