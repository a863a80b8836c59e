"""The alerts of an account that are its incidents, as windows and changes: the same for both services."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from opsgenie_provider.api.changes import ChangeReader
from opsgenie_provider.api.listing import Sink
from opsgenie_provider.api.opsgenie import Page
from opsgenie_provider.api.opsgenie_windows import ReadableWindow, Window, WindowReader
from opsgenie_provider.progress import Watch
from opsgenie_provider.rows.alerts import AlertRules
from opsgenie_provider.sync.reader import IncidentWindows


class AlertLists:
    """Lists alerts of the priorities that are incidents.

    :param list_page: a page of alerts, by query, offset, sort and order.
    :param count: how many alerts a query matches, where the list does not say; None where nobody knows.
    :param has_feed: whether the service sorts by updatedAt.
    """

    def __init__(
        self,
        list_page: Callable[..., Page],
        executor: ThreadPoolExecutor,
        rules: AlertRules | None,
        *,
        count: Callable[[str], int | None] = lambda query: None,
        has_feed: bool = True,
    ) -> None:
        self._list_page = list_page
        self._executor = executor
        self._query = priority_query(rules.priorities if rules else ())
        self._windows = WindowReader(list_page, executor, what="alerts", count=count)
        self._has_feed = has_feed

    def begin_windows(self, since: datetime, until: datetime) -> Callable[[], IncidentWindows]:
        """As ``Reader.begin_windows``."""
        return begin_windows(self._windows, Window.between(since, until, among=self._query))

    def begin_changes(
        self, created_since: datetime, created_until: datetime, since: datetime
    ) -> ChangeReader:
        """As ``Reader.begin_changes``. Alerts are open or closed."""
        return ChangeReader(
            self._list_page,
            self._executor,
            among=Window.between(created_since, created_until, among=self._query),
            since=since,
            statuses=["open"],
            has_feed=self._has_feed,
        )


def priority_query(priorities: Sequence[str]) -> str:
    """What alerts of these priorities match, in the search syntax."""
    terms = " OR ".join(f"priority: {priority}" for priority in priorities)
    return f"({terms})" if len(priorities) > 1 else terms


def begin_windows(reader: WindowReader, window: Window) -> Callable[[], IncidentWindows]:
    """Ask for a window; returns what waits for the answer."""
    begun = reader.begin(window)

    def windows() -> IncidentWindows:
        first, ahead = begun.result()
        parts = reader.parts(window, first)
        totals = [part.first.total for part in parts]
        # Where one part is not counted, the sum of the others would be no total.
        total = 0 if None in totals else sum(filter(None, totals))
        return IncidentWindows(total, (PartWindow(reader, *part) for part in reader.pages(parts, ahead)))

    return windows


class PartWindow:
    """A part of a window that paging can reach, and its pages on their way; an ``IncidentWindow``."""

    def __init__(self, reader: WindowReader, part: ReadableWindow, pages: Iterator[Page]) -> None:
        self._reader, self._part, self._pages = reader, part, pages
        self.since, self.until = _instant(part.window.since), _instant(part.window.until)

    def read(self, sink: Sink, watch: Watch) -> bool:
        return self._reader.read(self._part, watch(self._pages), sink)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
