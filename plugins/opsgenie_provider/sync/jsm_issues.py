"""The issues of a site that are incidents, as windows, changes and a sweep of their ids."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

import msgspec

from opsgenie_provider.api.concurrency import in_parallel, prefetched
from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import NotFoundError, PermissionDeniedError
from opsgenie_provider.api.jsm import Issue, JsmIncidents
from opsgenie_provider.api.listing import Sink
from opsgenie_provider.progress import Watch
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.jsm_fields import as_instant
from opsgenie_provider.sync.jsm_names import LazyValue
from opsgenie_provider.sync.reader import IncidentWindows

log = logging.getLogger(__name__)
# A window ends after this many issues, at the next page: so many are one transaction.
WINDOW_SIZE = 10_000


class _Fields(msgspec.Struct):
    created: str | int | float | None = None


class _Dated(msgspec.Struct):
    fields: _Fields


class _Page(NamedTuple):
    """Issues with their whole changelogs; ``complete``: none of them disappeared meanwhile."""

    items: list[Issue]
    complete: bool


class IssueReader:
    """Reads the incidents of a site; a ``sync.reader.Sweeper``.

    :param check_credentials: raises an error where the credentials are valid no more: Jira then answers with
        shorter lists. It is asked after each read.
    """

    def __init__(
        self,
        incidents: LazyValue[JsmIncidents],
        executor: ThreadPoolExecutor,
        check_credentials: Callable[[], None],
    ) -> None:
        self._incidents = incidents
        self._executor = executor
        self._check_credentials = check_credentials

    def begin_windows(self, since: datetime, until: datetime) -> Callable[[], IncidentWindows]:
        """Ask for the incidents created in [since, until)."""
        pages = self._begin(lambda incidents: incidents.pages(created_since=since, created_until=until))
        return lambda: IncidentWindows(0, self._windows(_Pages(pages, since, until)))

    def begin_changes(self, created_since: datetime, since: datetime) -> IssueChanges:
        """Ask for the incidents created from ``created_since`` on that changed since ``since``."""
        pages = self._begin(
            lambda incidents: incidents.pages(created_since=created_since, updated_since=since)
        )
        return IssueChanges(self, pages, created_since)

    def ids(self, since: datetime, until: datetime) -> set[str]:
        found = set(self._incidents.get().ids(created_since=since, created_until=until))
        self._check_credentials()
        return found

    def incidents(self, ids: Iterable[str], since: datetime, until: datetime) -> Iterator[list[Issue]]:
        def read(issue_id: str) -> list[Issue]:
            try:
                return [self._incidents.get().incident(issue_id)]
            except (NotFoundError, PermissionDeniedError):
                return []

        for issues in in_parallel(self._executor, read, ids):
            yield created_between(issues, since, until)

    def checked(self, pages: Iterable[list[Issue]]) -> Iterator[_Page]:
        """Pages of issues with their whole changelogs, of which the longer ones are read separately."""
        for issues in pages:
            found: list[Issue | None] = [*issues]
            if any(issue.histories is None for issue in issues):
                found = list(in_parallel(self._executor, self._completed, issues))
            yield _Page([issue for issue in found if issue], complete=None not in found)
        self._check_credentials()

    def _completed(self, issue: Issue) -> Issue | None:
        try:
            return self._incidents.get().complete(issue)
        except UnreadablePayloadError:
            # Without an id: it is rejected for that.
            return Issue(issue.raw, [])
        except (NotFoundError, PermissionDeniedError) as error:
            log.info("An issue disappeared while it was read. %s", error)
            return None

    def _begin(self, pages: Callable[[JsmIncidents], Iterator[list[Issue]]]) -> Iterator[list[Issue]]:
        def read() -> Iterator[list[Issue]]:
            yield from pages(self._incidents.get())

        return prefetched(self._executor, read())

    def _windows(self, pages: _Pages) -> Iterator[IssueWindow]:
        since = pages.since
        while since < pages.until:
            window = IssueWindow(self, pages, since)
            yield window
            since = window.until


class _Pages:
    """Pages of the issues created in [since, until), in that order; the next one can be looked at."""

    def __init__(self, pages: Iterator[list[Issue]], since: datetime, until: datetime) -> None:
        self.since, self.until = since, until
        self._pages = pages
        self._next: list[Issue] | None = None

    def peek(self) -> list[Issue] | None:
        """The next page, which stays the next one; None after the last."""
        if self._next is None:
            self._next = next(self._pages, None)
        return self._next

    def up_to(self, size: int) -> Iterator[list[Issue]]:
        """Pages with at least ``size`` issues together, then up to one that begins later than they end."""
        count, latest = 0, None
        while (page := self.peek()) is not None:
            instants = [at for at in map(created_at, page) if at]
            if count >= size and instants and latest and min(instants) > latest:
                return
            self._next = None
            count += len(page)
            latest = max([*instants, latest] if latest else instants, default=None)
            yield page


class IssueWindow:
    """A ``sync.reader.IncidentWindow``."""

    def __init__(self, reader: IssueReader, pages: _Pages, since: datetime) -> None:
        self._reader, self._pages = reader, pages
        self.since, self.until = since, pages.until

    def read(self, sink: Sink, watch: Watch) -> bool:
        complete = True
        for page in watch(self._reader.checked(self._pages.up_to(WINDOW_SIZE))):
            sink.add(created_between(page.items, self._pages.since, self._pages.until))
            complete = complete and page.complete
        following = self._pages.peek()
        if following is not None:
            begins = min(at for at in map(created_at, following) if at)
            self.until = max(self.since, min(self.until, begins))
        return complete


class IssueChanges:
    """A ``sync.reader.Changes``: whatever changed, new incidents included."""

    def __init__(self, reader: IssueReader, pages: Iterator[list[Issue]], created_since: datetime) -> None:
        self._reader, self._pages, self._created_since = reader, pages, created_since
        # Of no status all are listed, but all that changed.
        self.listed: set[str] = set()

    def pages(self) -> Iterator[list[Issue]]:
        for page in self._reader.checked(self._pages):
            yield created_between(page.items, self._created_since, None)


def created_at(issue: Issue) -> datetime | None:
    """When an issue was created; None where that cannot be read."""
    try:
        return as_instant(decode_into(issue.raw, _Dated).fields.created, "created")
    except (msgspec.DecodeError, UnreadablePayloadError):
        return None


def created_between(issues: Iterable[Issue], since: datetime, until: datetime | None) -> list[Issue]:
    """The issues created in [since, until): a search takes whole minutes. Unreadable ones stay."""
    found = []
    for issue in issues:
        at = created_at(issue)
        if at is None or (at >= since and (until is None or at < until)):
            found.append(issue)
    return found
