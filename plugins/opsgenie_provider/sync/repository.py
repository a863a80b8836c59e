"""Reads the deployments of one entry of ``github_repositories`` into the warehouse; plain Python, no task."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Raw

from opsgenie_provider.api.concurrency import in_parallel
from opsgenie_provider.api.errors import (
    ApiStatusError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
)
from opsgenie_provider.api.github import GithubClient
from opsgenie_provider.rows.deployments import (
    Deployment,
    Listed,
    PullRequest,
    deployment_row,
    newest_event_at,
    parse_listed,
    pull_of,
)
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.settings import Repository
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.deployments import (
    StoredDeployment,
    apply_entry,
    commit_without_pull,
    forget_refused_pulls,
    load_deployments,
    note_refused_pulls,
    oldest_deployment,
    refused_pulls_since,
    store_rename,
    stored_deployments,
    stored_pulls,
    stream_of,
    unfinished_deployments,
)
from opsgenie_provider.warehouse.state import begin_stream, keep_rejected, record_success, stream_state

log = logging.getLogger(__name__)

HISTORY = timedelta(days=90)
# What every run lists again: what an earlier one did not see, and what changed since.
TRAILING = timedelta(days=14)
_RECENT = timedelta(hours=48)
# A run that comes later than this may be the only one that lists what is new.
_GAP = TRAILING - timedelta(days=1)
_MOST_LISTINGS = 5
# GitHub's status for the commits of a repository that has none any more.
_EMPTY_REPOSITORY = 409
# Deployments that never get a status are unfinished for good, and must not use up the token's requests.
_UNFINISHED_AT_ONCE = 100


class Result(NamedTuple):
    """How many rows a read changed, and how many payloads it could not read."""

    rows_changed: int
    rejected: int


class _Due(NamedTuple):
    """A deployment to read on; ``pull`` is its pull request, where that needs no asking."""

    raw: Raw
    item: Listed
    pull: PullRequest | None = None
    is_pull_known: bool = False


class RepositorySync:
    """Reads the deployments of a repository; the first run 90 days, later ones what is new or unfinished.

    Each page of 100 is one transaction, and what is stored needs no second look once it succeeded:
    a run that was killed or ran out of requests goes on where it stopped.

    :param connection: in autocommit mode, held by nobody else.
    :param executor: runs the requests; may be shared by readers.
    :param account: the id of GitHub's connection.
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
    ) -> None:
        self._connection = connection
        self._client = client
        self._executor = executor
        self._entry = entry
        self._account = account
        self._now = now
        self._stream = stream_of(entry)
        self._changed = self._rejected = 0
        self._stored: dict[str, StoredDeployment] = {}
        # Ids of deployments, and payloads that are none, that need not be read on again.
        self._seen: set[str] = set()
        self._missing: set[str] = set()
        # That the token may not read pull requests.
        self._refusal: PermissionDeniedError | None = None
        self._brings_pulls = False

    def read(self, since: datetime | None = None, until: datetime | None = None) -> Result:
        """Bring the deployments up to date, or read those triggered from ``since`` on and before ``until``.

        :raises ValueError: ``since`` is not before ``until``.
        """
        start, end, is_last_look = self._begin(since, until)
        found, is_complete = self._read_listed(start, end, is_last_look=is_last_look)
        # A run from ``since`` on has not seen what changed before it, which the next one may still list.
        covered = start if since is None else start + TRAILING
        if since is None and until is None:
            self._read_unfinished(found)
        with self._connection.transaction():
            if self._refusal:
                note_refused_pulls(self._connection, self._account, self._entry, start)
                log.warning(
                    "%s: its deployments are stored without their pull requests. %s",
                    self._entry.repository,
                    self._refusal,
                )
            elif self._brings_pulls and is_complete:
                forget_refused_pulls(self._connection, self._account, self._entry)
            if name := self._client.renamed.get(self._entry.repository):
                store_rename(self._connection, self._entry.repository, name)
            record_success(
                self._connection,
                self._account,
                self._stream,
                rows_changed=self._changed,
                read=(covered, end) if is_complete and covered < end else None,
            )
        return Result(self._changed, self._rejected)

    def _begin(self, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime, bool]:
        """The range to read, and whether no later run lists all of it again."""
        # What is to come was not read.
        end = min(until or self._now, self._now)
        repository = self._entry.repository
        refused_since = refused_pulls_since(self._connection, self._account, self._entry)
        is_granted = refused_since is not None and self._may_read_pulls()
        with self._connection.transaction():
            self._changed = apply_entry(self._connection, self._entry)
            watermark = stream_state(self._connection, self._account, self._stream).watermark_at
            # As far back as the rest of the repository, where that was read for longer.
            history = min(self._now - HISTORY, oldest_deployment(self._connection, repository) or self._now)
            start = since or (watermark - TRAILING if watermark and not until else history)
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

    def _read_listed(self, start: datetime, end: datetime, *, is_last_look: bool) -> tuple[set[str], bool]:
        """Read what GitHub lists in the range; the ids, and whether none can have been missed.

        Its pages are cut by position, and a deployment that is deleted meanwhile moves those behind it
        to a page that was read already. So the list is read until two listings are the same, or two
        in a row showed nothing new. A run that will be followed by others over the same range need not.
        """
        all_found: set[str] = set()
        before: set[str] | None = None
        quiet = 0
        for _ in range(_MOST_LISTINGS):
            known = len(self._seen)
            found, pages = self._list_once(start, end)
            all_found |= found
            quiet = quiet + 1 if len(self._seen) == known else 0
            if not is_last_look or found == before or quiet == 2:
                return all_found, True
            if pages == 1 and not self._missing:
                return all_found, True
            before = found
        log.warning(
            "%s: the list of deployments changed during each of %d reads. All that it showed is stored; the "
            "next run reads it again.",
            self._entry.repository,
            _MOST_LISTINGS,
        )
        return all_found, False

    def _list_once(self, start: datetime, end: datetime) -> tuple[set[str], int]:
        """Go through the list once; the ids in the range, and how many pages it took."""
        found: set[str] = set()
        pages = 0
        for page in self._client.deployments(self._entry.repository):
            pages += 1
            items, unreadable = self._listed(page)
            inside = [(raw, item) for raw, item in items if start <= item.created_at < end]
            found |= {item.deployment_id for _, item in inside}
            self._load([_Due(raw, item) for raw, item in inside if self._is_due(item)], unreadable)
            self._seen |= {item.deployment_id for _, item in inside} - self._missing
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

    def _read_unfinished(self, found: set[str]) -> None:
        """Ask by its id for what is stored as unfinished and was not listed, however old it is."""
        unfinished = [
            each
            for each in unfinished_deployments(self._connection, self._entry.repository, found)
            if self._entry.counts(each.environment)
        ]
        # Every hour another share of them, where they are many.
        shares = math.ceil(len(unfinished) / _UNFINISHED_AT_ONCE) or 1
        hour = int(self._now.timestamp() // 3600)
        due = []
        for each in unfinished[hour % shares :: shares]:
            try:
                listed = parse_listed(each.raw, rejected=[])
                due.append(_Due(each.raw, listed, each.pull, is_pull_known=True))
            except UnreadablePayloadError as error:
                log.info(
                    "%s: skipped the unreadable stored deployment %s: %s.",
                    self._entry.repository,
                    each.deployment_id,
                    error,
                )
        self._load(due, [])

    def _load(self, due: Sequence[_Due], unreadable: Rejected) -> None:
        rows = self._rows(due, unreadable)
        with self._connection.transaction():
            self._changed += load_deployments(self._connection, rows)
            keep_rejected(self._connection, self._account, self._stream, unreadable)
        self._rejected += len(unreadable)

    def _rows(self, due: Sequence[_Due], unreadable: Rejected) -> list[tuple[Deployment, datetime]]:
        pulls = self._pulls(
            {each.item.sha for each in due if each.item.sha and not each.is_pull_known}, unreadable
        )
        rows = []
        for each, states in in_parallel(self._executor, self._statuses, due):
            if states is None:
                log.info(
                    "%s: deployment %s no longer exists on GitHub (404).",
                    self._entry.repository,
                    each.item.deployment_id,
                )
                self._missing.add(each.item.deployment_id)
                continue
            pull = each.pull if each.is_pull_known else pulls.get(each.item.sha or "")
            try:
                row = deployment_row(
                    each.raw,
                    states,
                    pull,
                    repository=self._entry.repository,
                    service=self._entry.service,
                    rejected=unreadable,
                )
                rows.append((row, newest_event_at(each.raw, states)))
            except UnreadablePayloadError as error:
                unreadable.append((bytes(each.raw), str(error)))
        return rows

    def _statuses(self, due: _Due) -> tuple[_Due, list[Raw] | None]:
        """Its statuses; None where the deployment is gone, which says nothing of the others."""
        try:
            return due, self._client.deployment_statuses(self._entry.repository, due.item.deployment_id)
        except NotFoundError:
            return due, None

    def _may_read_pulls(self) -> bool:
        """Ask for one of the pull requests that the token was not allowed to read."""
        sha = commit_without_pull(self._connection, self._entry.repository)
        if sha is not None:
            self._pulls({sha}, [])
        return self._refusal is None

    def _pulls(self, shas: set[str], unreadable: Rejected) -> dict[str, PullRequest | None]:
        """The pull request of each commit, those that are known already without asking."""
        repository = self._entry.repository
        pulls: dict[str, PullRequest | None] = {**stored_pulls(self._connection, repository, shas)}

        def pull(sha: str) -> tuple[str, PullRequest | None]:
            if self._refusal:
                return sha, None
            try:
                found = self._client.pulls_of_commit(repository, sha)
            except (NotFoundError, InvalidRequestError):
                # A commit that the repository no longer has, after a forced push.
                return sha, None
            except PermissionDeniedError as error:
                # The deployment is one all the same.
                self._refusal = error
                return sha, None
            except ApiStatusError as error:
                if error.status == _EMPTY_REPOSITORY:
                    return sha, None
                raise
            try:
                return sha, pull_of(sha, found)
            except UnreadablePayloadError as error:
                # The deployment is one all the same.
                unreadable.append((b"[%b]" % b",".join(map(bytes, found)), f"pull requests: {error}"))
                return sha, None

        pulls.update(in_parallel(self._executor, pull, sorted(shas - pulls.keys())))
        return pulls
