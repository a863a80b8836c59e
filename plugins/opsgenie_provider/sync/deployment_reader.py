"""Reads the statuses and pull requests of single deployments of a repository; plain Python, no task."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from msgspec import Raw

from opsgenie_provider.api.concurrency import in_parallel
from opsgenie_provider.api.errors import (
    ApiError,
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
    pull_of,
)
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.settings import Repository
from opsgenie_provider.sync.failures import OBJECT_ERRORS, Failures
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.deployments import commit_without_pull, stored_pulls

log = logging.getLogger(__name__)

# GitHub's status for the commits of a repository that has none any more.
_EMPTY_REPOSITORY = 409


class Due(NamedTuple):
    """A deployment to read on; ``pull`` is its pull request, where that needs no asking."""

    raw: Raw
    item: Listed
    pull: PullRequest | None = None
    is_pull_known: bool = False


class DeploymentReader:
    """Reads deployments that are due; one that GitHub does not answer for is left out.

    :param executor: runs the requests; may be shared by readers.
    :ivar failures: the errors of those that were left out.
    :ivar missing: ids of listed deployments of which GitHub has no statuses any more.
    :ivar refusal: that the token may not read pull requests.
    """

    def __init__(
        self, connection: Connection, client: GithubClient, executor: ThreadPoolExecutor, entry: Repository
    ) -> None:
        self._connection = connection
        self._client = client
        self._executor = executor
        self._entry = entry
        self.failures = Failures()
        self.missing: set[str] = set()
        self.refusal: PermissionDeniedError | None = None

    def rows(self, due: Sequence[Due], unreadable: Rejected) -> list[tuple[Deployment, datetime]]:
        """Each deployment with the time of its newest event.

        :param unreadable: receives what cannot be read.
        """
        pulls = self._pulls(
            {each.item.sha for each in due if each.item.sha and not each.is_pull_known}, unreadable
        )
        rows = []
        for each, states in self.failures.answered(in_parallel(self._executor, self._statuses, due)):
            if states is None:
                log.info(
                    "%s: deployment %s no longer exists on GitHub (404).",
                    self._entry.repository,
                    each.item.deployment_id,
                )
                self.missing.add(each.item.deployment_id)
                continue
            sha = each.item.sha or ""
            if sha and not each.is_pull_known and sha not in pulls:
                # Stored without its pull request, a success would never be read again.
                continue
            pull = each.pull if each.is_pull_known else pulls.get(sha)
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

    def may_read_pulls(self) -> bool:
        """Ask for one of the pull requests that the token was not allowed to read."""
        sha = commit_without_pull(self._connection, self._entry.repository)
        if sha is not None:
            self._pulls({sha}, [])
        return self.refusal is None

    def _statuses(self, due: Due) -> tuple[Due, list[Raw] | ApiError | None]:
        """Its statuses; None where the deployment is gone, which says nothing of the others."""
        try:
            return due, self._client.deployment_statuses(self._entry.repository, due.item.deployment_id)
        except NotFoundError:
            return due, None
        except OBJECT_ERRORS as error:
            return due, error

    def _pulls(self, shas: set[str], unreadable: Rejected) -> dict[str, PullRequest | None]:
        """The pull request of each commit, those that are known already without asking.

        A commit that GitHub does not answer for is left out.
        """
        stored = stored_pulls(self._connection, self._entry.repository, shas)
        found = in_parallel(
            self._executor, lambda sha: (sha, self._pull(sha, unreadable)), sorted(shas - stored.keys())
        )
        return {**stored, **dict(self.failures.answered(found))}

    def _pull(self, sha: str, unreadable: Rejected) -> PullRequest | ApiError | None:
        """The pull request of a commit; a deployment counts without one, too."""
        if self.refusal:
            return None
        try:
            found = self._client.pulls_of_commit(self._entry.repository, sha)
        except (NotFoundError, InvalidRequestError):
            # A commit that the repository no longer has, after a forced push.
            return None
        except PermissionDeniedError as error:
            self.refusal = error
            return None
        except OBJECT_ERRORS as error:
            return error
        except ApiStatusError as error:
            if error.status == _EMPTY_REPOSITORY:
                return None
            raise
        try:
            return pull_of(sha, found)
        except UnreadablePayloadError as error:
            unreadable.append((b"[%b]" % b",".join(map(bytes, found)), f"pull requests: {error}"))
            return None
