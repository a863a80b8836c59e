"""GitHub deployments into staging, with the pull requests that they brought out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context
from msgspec import Raw

from opsgenie_provider.api.errors import InvalidRequestError, NotFoundError
from opsgenie_provider.api.github import GithubClient
from opsgenie_provider.api.windows import in_parallel
from opsgenie_provider.hooks.github import GithubHook
from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.operators.base import Outcome
from opsgenie_provider.planning import parse_instant
from opsgenie_provider.rows.deployments import Listed, PullRequest, deployment_row, listed, pull_of
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.deployments import (
    StoredDeployment,
    load_deployments,
    stored_deployments,
    stored_pulls,
)
from opsgenie_provider.warehouse.state import begin_stream, keep_rejected, record_success, stream_state

# GitHub asks for few requests at once (docs, secondary rate limits).
_THREADS = 4
_HISTORY = timedelta(days=90)
# How long after its start a deployment may still get its first success.
_TRAILING = timedelta(days=14)
_RECENT = timedelta(hours=48)


class GithubDeploymentsToPostgresOperator(BaseOperator):
    """Reads a repository's deployments; the first run reads 90 days, later ones what is new or unfinished.

    Each page of 100 is one transaction, and what is stored needs no second look once it succeeded:
    a run that was killed or ran out of requests goes on where it stopped.

    :param repository: "owner/name".
    :param service: what it deploys; the repository's name where not given.
    :param environments: which of its environments to read, case aside; all where not given.
    :param since: ISO 8601; read deployments triggered from here on instead.
    :param until: ISO 8601; ... and before this.
    """

    template_fields: Sequence[str] = (
        "repository", "service", "environments", "since", "until", "github_conn_id", "postgres_conn_id",
    )  # fmt: skip
    ui_color = "#dbe7ff"

    def __init__(
        self,
        *,
        repository: str,
        service: str | None = None,
        environments: Sequence[str] | None = None,
        since: str | None = None,
        until: str | None = None,
        github_conn_id: str = "github_default",
        postgres_conn_id: str = "postgres_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.repository = repository
        self.service = service
        self.environments = environments
        self.since = since
        self.until = until
        self.github_conn_id = github_conn_id
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> Outcome:
        client = GithubHook(github_conn_id=self.github_conn_id).client
        stream = f"deployments {self.repository}"
        now = datetime.now(UTC)
        since, until = parse_instant(self.since, "since"), parse_instant(self.until, "until") or now
        changed = rejected = 0
        store = warehouse(self.postgres_conn_id)
        with (
            store.lock(stream),
            store.connection(autocommit=True) as connection,
            ThreadPoolExecutor(_THREADS, thread_name_prefix="github") as executor,
        ):
            with connection.transaction():
                watermark = stream_state(connection, self.github_conn_id, stream).watermark_at
                start = since or (watermark - _TRAILING if watermark else now - _HISTORY)
                if since is None:
                    begin_stream(connection, self.github_conn_id, stream, start)
                if start >= until:
                    raise ValueError(
                        f"since ({start.isoformat()}) is not before until ({until.isoformat()})."
                    )
                stored = stored_deployments(connection, self.repository, start)
            for page in client.deployments(self.repository):
                due, unreadable, oldest = self._due(page, start, until, stored, now)
                rows = self._rows(connection, client, executor, due, unreadable)
                with connection.transaction():
                    changed += load_deployments(connection, rows)
                    keep_rejected(connection, self.github_conn_id, stream, unreadable)
                rejected += len(unreadable)
                if oldest is not None and oldest < start:
                    break
            with connection.transaction():
                record_success(
                    connection, self.github_conn_id, stream, rows_changed=changed, read=(start, until)
                )
        requests = client.transport.requests_sent
        self.log.info("%s: %d requests, %d rows changed.", self.repository, requests, changed)
        return Outcome(
            account=self.github_conn_id,
            stream=stream,
            rows_changed=changed,
            rejected=rejected,
            requests=requests,
        )

    def _due(
        self,
        page: Sequence[Raw],
        start: datetime,
        until: datetime,
        stored: dict[str, StoredDeployment],
        now: datetime,
    ) -> tuple[list[tuple[Raw, Listed]], list[tuple[bytes, str]], datetime | None]:
        """What of a page must be read on, what could not be read, and the page's oldest start."""
        wanted = {name.lower() for name in self.environments} if self.environments else None
        due, unreadable, oldest = [], [], None
        for raw in page:
            try:
                item = listed(raw)
            except UnreadablePayloadError as error:
                unreadable.append((bytes(raw), str(error)))
                continue
            oldest = min(oldest or item.created_at, item.created_at)
            if not start <= item.created_at < until or (wanted and item.environment.lower() not in wanted):
                continue
            if self._is_due(raw, item, stored.get(item.deployment_id), now):
                due.append((raw, item))
        return due, unreadable, oldest

    def _is_due(self, raw: Raw, item: Listed, known: StoredDeployment | None, now: datetime) -> bool:
        service = self.service or self.repository.split("/")[1]
        if known is None or (known.environment, known.service) != (item.environment, service):
            return True
        if known.status == "success":
            return False
        changed = known.updated_at is None or item.updated_at != datetime.fromisoformat(known.updated_at)
        return changed or item.created_at > now - _RECENT

    def _rows(
        self,
        connection: Connection,
        client: GithubClient,
        executor: ThreadPoolExecutor,
        due: Sequence[tuple[Raw, Listed]],
        unreadable: list[tuple[bytes, str]],
    ) -> list[tuple[Any, ...]]:
        shas = {item.sha for _, item in due if item.sha}
        pulls: dict[str, PullRequest | None] = {**stored_pulls(connection, self.repository, shas)}

        def pull(sha: str) -> tuple[str, PullRequest | None]:
            try:
                found = client.pulls_of_commit(self.repository, sha)
            except (NotFoundError, InvalidRequestError):
                # A commit that the repository no longer has, after a forced push.
                return sha, None
            try:
                return sha, pull_of(sha, found)
            except UnreadablePayloadError as error:
                # The deployment is one all the same.
                unreadable.append((b"[%b]" % b",".join(map(bytes, found)), f"pull requests: {error}"))
                return sha, None

        pulls.update(in_parallel(executor, pull, sorted(shas - pulls.keys())))

        def statuses(item: tuple[Raw, Listed]) -> tuple[Raw, Listed, list[Raw]]:
            return *item, client.deployment_statuses(self.repository, item[1].deployment_id)

        rows = []
        for raw, item, states in in_parallel(executor, statuses, due):
            try:
                found = pulls.get(item.sha) if item.sha else None
                rows.append(
                    deployment_row(raw, states, found, repository=self.repository, service=self.service)
                )
            except UnreadablePayloadError as error:
                unreadable.append((bytes(raw), str(error)))
        return rows
