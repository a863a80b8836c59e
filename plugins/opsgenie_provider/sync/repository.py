"""Reads the deployments of one entry of ``github_repositories`` into the warehouse; plain Python, no task."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import NamedTuple
from zlib import crc32

from msgspec import Raw

from opsgenie_provider.api.github import GithubClient
from opsgenie_provider.rows.deployments import Listed, parse_listed
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.settings import Repository
from opsgenie_provider.sync.deployment_reader import DeploymentReader, Due
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.deployments import (
    StoredDeployment,
    apply_entry,
    forget_refused_pulls,
    forget_rename,
    hand_over,
    load_deployments,
    note_refused_pulls,
    oldest_deployment,
    refused_pulls_since,
    renames,
    store_rename,
    stored_deployments,
    stream_of,
    unfinished_deployments,
)
from opsgenie_provider.warehouse.state import begin_stream, keep_rejected, record_success, stream_state

log = logging.getLogger(__name__)

HISTORY = timedelta(days=90)
# What every run lists again: what an earlier one did not see, and what changed since.
TRAILING = timedelta(days=14)
# What one run a day lists again, for a late success after a failure: GitHub lets a workflow be run again for
# 30 days, and ends each run, its approvals included, after 35.
_LATEST_CHANGE = timedelta(days=65)
_RECENT = timedelta(hours=48)
_DAY = timedelta(days=1).total_seconds()
# A run that comes later than this may be the only one that lists what is new.
_GAP = TRAILING - timedelta(days=1)
_MOST_LISTINGS = 5
# Deployments that never get a status are unfinished for good, and must not use up the token's requests.
_UNFINISHED_AT_ONCE = 100


class Result(NamedTuple):
    """How many rows a read changed, and how many payloads it could not read."""

    rows_changed: int
    rejected: int


def trailing(stream: str, watermark: datetime, now: datetime) -> timedelta:
    """How much is listed again; more in the first run of each of the stream's days.

    The days of streams begin at different times, so that not all of them list more at once.
    """
    beginning = crc32(stream.encode()) % _DAY
    days = {(at.timestamp() - beginning) // _DAY for at in (watermark, now)}
    return TRAILING if len(days) == 1 else _LATEST_CHANGE


class DoubleEntryError(ValueError):
    """Two entries of the settings name one repository by its old and its new name."""


class RepositorySync:
    """Reads the deployments of a repository; the first run 90 days, later ones what is new or unfinished.

    Each page of 100 is one transaction, and what is stored needs no second look once it succeeded:
    a run that was killed or ran out of requests goes on where it stopped.

    :param connection: in autocommit mode, held by nobody else.
    :param executor: runs the requests; may be shared by readers.
    :param account: the id of GitHub's connection.
    :param others: the other entries of the settings.
    """

    def __init__(
        self,
        connection: Connection,
        client: GithubClient,
        executor: ThreadPoolExecutor,
        entry: Repository,
        *,
        account: str,
        now: datetime,
        others: Iterable[Repository] = (),
    ) -> None:
        self._connection = connection
        self._client = client
        self._entry = entry
        self._others = others
        self._account = account
        self._now = now
        self._stream = stream_of(entry)
        self._changed = self._rejected = 0
        self._stored: dict[str, StoredDeployment] = {}
        # Ids of deployments, and payloads that are none, that need not be read on again.
        self._seen: set[str] = set()
        # Ids of the deployments whose statuses were asked for.
        self._asked: set[str] = set()
        self._is_name_checked = False
        self._reader = DeploymentReader(connection, client, executor, entry)
        self._brings_pulls = False

    def read(self, since: datetime | None = None, until: datetime | None = None) -> Result:
        """Bring the deployments up to date, or read those triggered from ``since`` on and before ``until``.

        A deployment that GitHub does not answer for does not stop the others.

        :raises ValueError: ``since`` is not before ``until``.
        :raises DoubleEntryError: another entry reads the same deployments under the repository's new name.
        :raises ApiError: a deployment could not be read; the others are stored.
        """
        start, end, is_last_look = self._begin(since, until)
        is_complete = self._read_listed(start, end, is_last_look=is_last_look)
        # A run from ``since`` on has not seen what changed before it, which the next one may still list.
        covered = start if since is None else start + TRAILING
        if since is None and until is None:
            self._read_unfinished()
        failures = self._reader.failures
        with self._connection.transaction():
            if self._reader.refusal:
                note_refused_pulls(self._connection, self._account, self._entry, start)
                log.warning(
                    "%s: its deployments are stored without their pull requests. %s",
                    self._entry.repository,
                    self._reader.refusal,
                )
            elif self._brings_pulls and is_complete and not failures.first:
                forget_refused_pulls(self._connection, self._account, self._entry)
            if not failures.first:
                record_success(
                    self._connection,
                    self._account,
                    self._stream,
                    rows_changed=self._changed,
                    read=(covered, end) if is_complete and covered < end else None,
                )
        failures.raise_first()
        return Result(self._changed, self._rejected)

    def _begin(self, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime, bool]:
        """The range to read, and whether no later run lists all of it again."""
        # What is to come was not read.
        end = min(until or self._now, self._now)
        repository = self._entry.repository
        refused_since = refused_pulls_since(self._connection, self._account, self._entry)
        is_granted = refused_since is not None and self._reader.may_read_pulls()
        with self._connection.transaction():
            self._changed = apply_entry(self._connection, self._entry)
            watermark = stream_state(self._connection, self._account, self._stream).watermark_at
            # As far back as the rest of the repository, where that was read for longer.
            history = min(self._now - HISTORY, oldest_deployment(self._connection, repository) or self._now)
            start = since or (
                watermark - trailing(self._stream, watermark, self._now)
                if watermark and not until
                else history
            )
            if start >= end:
                raise ValueError(f"since ({start.isoformat()}) is not before until ({end.isoformat()}).")
            if since is None:
                begin_stream(self._connection, self._account, self._stream, start)
            self._brings_pulls = refused_since is not None and is_granted and not (since or until)
            if refused_since is not None and self._brings_pulls:
                # What was stored without its pull request is read again.
                start = min(start, refused_since)
            else:
                self._stored = stored_deployments(self._connection, repository, start)
        is_routine = watermark is not None and self._now - watermark < _GAP and not (since or until)
        return start, end, not is_routine or self._brings_pulls

    def _check_name(self) -> None:
        """Store which name GitHub has for the repository, before any of its deployments are stored.

        :raises DoubleEntryError: another entry reads the same deployments: each run would give them the
            service of the one that was read last. The entry with the name of today is read.
        """
        repository = self._entry.repository
        if not self._client.has_moved(repository):
            # Another repository may have the name of one that was renamed.
            forget_rename(self._connection, repository)
            return
        name = self._client.renamed.get(repository)
        if name is None:
            return
        store_rename(self._connection, repository, name)
        new_names = renames(self._connection)
        for other in self._others:
            if other == self._entry or not other.overlaps(self._entry):
                continue
            # Where both have an old name, one of them is read.
            is_same = other.is_named(name) or (
                new_names.get(other.repository.lower(), "").lower() == name.lower()
                and stream_of(other) < self._stream
            )
            if is_same:
                hand_over(self._connection, self._entry, other)
                raise DoubleEntryError(
                    f"{repository} was renamed or transferred to {name}, and the entry {other.repository} of "
                    f"github_repositories reads the same deployments: remove the entry {repository} from the "
                    "settings."
                )

    def _read_listed(self, start: datetime, end: datetime, *, is_last_look: bool) -> bool:
        """Read what GitHub lists in the range; returns whether nothing can have been missed.

        Its pages are cut by position, and a deployment that is deleted meanwhile moves those behind it
        to a page that was read already. So the list is read until two listings are the same, or two
        in a row showed nothing new. A run that will be followed by others over the same range need not.
        """
        before: set[str] | None = None
        quiet = 0
        for _ in range(_MOST_LISTINGS):
            known = len(self._seen)
            found, pages = self._list_once(start, end)
            quiet = quiet + 1 if len(self._seen) == known else 0
            if not is_last_look or found == before or quiet == 2:
                return True
            if pages == 1 and not self._reader.missing:
                return True
            before = found
        log.warning(
            "%s: the list of deployments changed during each of %d reads. All that it showed is stored; the "
            "next run reads it again.",
            self._entry.repository,
            _MOST_LISTINGS,
        )
        return False

    def _list_once(self, start: datetime, end: datetime) -> tuple[set[str], int]:
        """Go through the list once; the ids in the range, and how many pages it took."""
        found: set[str] = set()
        pages = 0
        for page in self._client.deployments(self._entry.repository):
            pages += 1
            if not self._is_name_checked:
                self._check_name()
                self._is_name_checked = True
            items, unreadable = self._listed(page)
            inside = [(raw, item) for raw, item in items if start <= item.created_at < end]
            found |= {item.deployment_id for _, item in inside}
            self._load([Due(raw, item) for raw, item in inside if self._is_due(item)], unreadable)
            self._seen |= {item.deployment_id for _, item in inside} - self._reader.missing
            if items and min(item.created_at for _, item in items) < start:
                break
        return found, pages

    def _listed(self, page: Sequence[Raw]) -> tuple[list[tuple[Raw, Listed]], Rejected]:
        """The deployments of a page, and what could not be read as one, which is shown once."""
        items, unreadable = [], []
        for raw in page:
            try:
                # What of it cannot be read is rejected with the row.
                items.append((raw, parse_listed(raw, rejected=[])))
            except UnreadablePayloadError as error:
                payload = bytes(raw)
                if (shown := payload.decode(errors="replace")) not in self._seen:
                    self._seen.add(shown)
                    unreadable.append((payload, str(error)))
        return items, unreadable

    def _is_due(self, item: Listed) -> bool:
        if item.deployment_id in self._seen or not self._entry.counts(item.environment):
            return False
        known = self._stored.get(item.deployment_id)
        if known is None or known.environment != item.environment:
            return True
        if known.status == "success":
            return False
        is_changed = known.updated_at is None or item.updated_at != known.updated_at
        return is_changed or item.created_at > self._now - _RECENT

    def _read_unfinished(self) -> None:
        """Ask by its id for what is stored as unfinished and was not asked for, however old it is."""
        unfinished = [
            each
            for each in unfinished_deployments(self._connection, self._entry.repository, self._asked)
            if self._entry.counts(each.environment)
        ]
        # Every hour another share of them, where they are many.
        shares = math.ceil(len(unfinished) / _UNFINISHED_AT_ONCE) or 1
        hour = int(self._now.timestamp() // 3600)
        due = []
        for each in unfinished[hour % shares :: shares]:
            try:
                listed = parse_listed(each.raw, rejected=[])
                due.append(Due(each.raw, listed, each.pull, is_pull_known=True))
            except UnreadablePayloadError as error:
                log.info(
                    "%s: skipped the unreadable stored deployment %s: %s.",
                    self._entry.repository,
                    each.deployment_id,
                    error,
                )
        self._load(due, [])

    def _load(self, due: Sequence[Due], unreadable: Rejected) -> None:
        rows = self._reader.rows(due, unreadable)
        self._asked |= {each.item.deployment_id for each in due}
        with self._connection.transaction():
            self._changed += load_deployments(self._connection, rows)
            keep_rejected(self._connection, self._account, self._stream, unreadable)
        self._rejected += len(unreadable)
