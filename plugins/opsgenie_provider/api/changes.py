"""Finds changes to older OpsGenie incidents without reading them all.

The service documents no search by updatedAt. Newer documentation lists it as a sort order, so a list
sorted by it is tried first and trusted only while it really is in that order. In addition, incidents
that are not closed are listed by status: all of them where the sorted list is not available.
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

from opsgenie_provider.api.concurrency import in_parallel
from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import InvalidRequestError
from opsgenie_provider.api.opsgenie import PAGE_SIZE, REACHABLE, OpsgenieClient, Page
from opsgenie_provider.api.opsgenie_windows import Window, offsets

log = logging.getLogger(__name__)

LISTED_STATUSES = ("open", "resolved")
# Where the latest changes are known, longer lists of resolved incidents are not read every hour.
_SHORT_LIST = 2 * PAGE_SIZE


class _Updated(msgspec.Struct):
    updatedAt: str

    @property
    def instant(self) -> datetime:
        instant = datetime.fromisoformat(self.updatedAt)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


class ChangeReader:
    """Lists the incidents of a window that are not closed, or changed since an instant.

    :param executor: runs the requests of a list whose total is known.
    :param among: the window on createdAt.
    :param since: changes from this instant on are listed.
    :ivar listed: after reading, the statuses of which every incident was listed. A stored incident with
        such a status that was not listed has changed status since.
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
        """Pages of incidents; an incident may be listed more than once."""
        changes_known = yield from self._latest_changes()
        for status in LISTED_STATUSES:
            short_list_suffices = changes_known and status != "open"
            if (yield from self._list(status, _SHORT_LIST if short_list_suffices else REACHABLE)):
                self.listed.add(status)

    def _latest_changes(self) -> Generator[list[Raw], None, bool]:
        """The latest changes, newest first; returns whether every change from ``since`` on was listed."""
        previous = datetime.max.replace(tzinfo=UTC)
        try:
            for page, last in self._read(query=self._among, sort="updatedAt", order="desc"):
                changed = [decode_into(item, _Updated).instant for item in page.items]
                if any(earlier < later for earlier, later in pairwise([previous, *changed])):
                    log.info(
                        "OpsGenie does not sort by updatedAt: listing all incidents that are not closed."
                    )
                    return False
                yield page.items
                if last or changed[-1] < self._since:
                    return True
                previous = changed[-1]
        except (InvalidRequestError, msgspec.DecodeError, ValueError) as error:
            log.info(
                "OpsGenie does not list the latest changes (%s): listing all incidents not closed.", error
            )
        return False

    def _list(self, status: str, at_most: int) -> Generator[list[Raw], None, bool]:
        """Incidents of a status, only the first page if there are more than ``at_most``.

        Returns whether all of them were listed.
        """
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
        """Pages as far as paging reaches, each with whether it is the last."""
        offset = 0
        while offset < REACHABLE:
            page = self._client.incidents(offset=offset, **request)
            offset += len(page.items)
            last = page.last if page.total is None else offset >= page.total or not page.items
            yield page, last
            if last:
                return
