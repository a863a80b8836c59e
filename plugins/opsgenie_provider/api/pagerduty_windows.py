"""Reads every item of a window of PagerDuty's incident or log entry list, once each.

A list reaches only 10,000 items and six months, so a range is split into windows of 90 days, and these
again by their totals. Whether the bounds are inclusive is not documented, so neighbouring windows
overlap by a second and duplicates are removed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Raw

from opsgenie_provider.api.errors import REPORT_REMEDY, CrowdedSecondError, InvalidResponseError
from opsgenie_provider.api.listing import identity
from opsgenie_provider.api.pagerduty import REACHABLE, PagerdutyPage

log = logging.getLogger(__name__)
Read = Callable[..., PagerdutyPage]

MAX_WINDOW = timedelta(days=90)
_SECOND = timedelta(seconds=1)
_MAX_READS = 3


@dataclass(frozen=True)
class ReadableWindow:
    """[since, until), from a whole second, with its first page."""

    since: datetime
    until: datetime
    first: PagerdutyPage

    @property
    def total(self) -> int:
        """How many items it held when its first page was read."""
        return self.first.total if self.first.total is not None else len(self.first.items)


class PagerdutyWindows:
    """Reads windows of one list.

    :param read: ``PagerdutyClient.incidents`` or ``.log_entries``.
    :param executor: runs the requests; its size bounds how many are sent at the same time.
    """

    def __init__(self, read: Read, executor: ThreadPoolExecutor) -> None:
        self._read = read
        self._executor = executor

    def parts(self, since: datetime, until: datetime) -> list[ReadableWindow]:
        """The range as windows that paging can reach completely, ascending; one request each.

        :raises CrowdedSecondError: one second holds more than paging can reach.
        """
        since = since.replace(microsecond=0)
        edges = [since]
        while until - edges[-1] > MAX_WINDOW:
            edges.append(edges[-1] + MAX_WINDOW)
        windows = list(zip(edges, [*edges[1:], until], strict=True))
        return self._reachable([window for window in windows if window[0] < window[1]])

    def _reachable(self, windows: list[tuple[datetime, datetime]]) -> list[ReadableWindow]:
        parts = []
        for part in self._executor.map(self._with_first_page, windows):
            if part.total <= REACHABLE:
                parts.append(part)
                continue
            seconds = int((part.until - part.since) / _SECOND)
            if seconds <= 1:
                raise CrowdedSecondError(
                    f"PagerDuty holds {part.total} items within one second, {part.since.isoformat()}; it "
                    f"lists at most {REACHABLE}. Nothing of it was stored. Leave that second out with since "
                    "and until."
                )
            pieces = min(seconds, part.total // (REACHABLE // 2) + 1)
            cuts = [part.since + _SECOND * (seconds * n // pieces) for n in range(pieces)]
            log.info("%d items from %s: read in %d parts.", part.total, part.since.isoformat(), pieces)
            parts += self._reachable(list(zip(cuts, [*cuts[1:], part.until], strict=True)))
        return parts

    def _with_first_page(self, window: tuple[datetime, datetime]) -> ReadableWindow:
        return ReadableWindow(*window, self._page(*window, 0))

    def _page(self, since: datetime, until: datetime, offset: int) -> PagerdutyPage:
        return self._read(since - _SECOND, until + _SECOND, offset=offset)

    def items(self, part: ReadableWindow) -> list[Raw]:
        """All items of a part, each once, even if the list changed while it was read.

        :raises InvalidResponseError: the list changed during every read.
        """
        for attempt in range(_MAX_READS):
            first = self._page(part.since, part.until, 0) if attempt else part.first
            if first.total is not None and first.total > REACHABLE:
                # Since it was split, it outgrew what paging can reach.
                grown = self._reachable([(part.since, part.until)])
                pieces = [item for piece in grown for item in self.items(piece)]
                return list({identity(item): item for item in pieces}.values())
            found: dict[str | bytes, Raw] = {}
            totals = [first.total]
            for page in self._pages(part, first):
                found |= {identity(item): item for item in page.items}
                totals.append(page.total)
            # More may arrive meanwhile; fewer than were counted means that paging skipped some.
            if len(found) >= max((total for total in totals if total is not None), default=0):
                return list(found.values())
            log.info(
                "The window from %s changed while it was read: reading it again.", part.since.isoformat()
            )
        raise InvalidResponseError(
            f"PagerDuty counted {max(filter(None, totals))} items from {part.since.isoformat()} to "
            f"{part.until.isoformat()} but listed {len(found)}, in each of {_MAX_READS} reads. "
            f"{REPORT_REMEDY}"
        )

    def _pages(self, part: ReadableWindow, first: PagerdutyPage) -> Iterator[PagerdutyPage]:
        yield first
        # A server may cap the page size, so the next offset follows from the items received.
        offset = step = len(first.items)
        last = first
        if first.total is not None and step:
            offsets = range(step, first.total, step)
            pages = self._executor.map(lambda at: self._page(part.since, part.until, at), offsets)
            for last in pages:
                offset += len(last.items)
                yield last
        # Where it outgrew the reach of paging, its total shows that some are missing.
        while last.more and last.items and (offset <= REACHABLE or last.total is None):
            last = self._page(part.since, part.until, offset)
            offset += len(last.items)
            yield last
