"""GitHub deployments into staging, with the pull requests that they brought out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator, Context

from opsgenie_provider.hooks.github import GithubHook
from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.operators.base import Outcome
from opsgenie_provider.planning import parse_instant
from opsgenie_provider.repository_reader import RepositoryReader
from opsgenie_provider.settings import Repository
from opsgenie_provider.warehouse.deployments import stream_of

# GitHub asks for few requests at once (docs, secondary rate limits).
_THREADS = 4


class GithubDeploymentsToPostgresOperator(BaseOperator):
    """Reads a repository's deployments; the first run reads 90 days, later ones what is new or unfinished.

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
        now = datetime.now(UTC)
        since, until = parse_instant(self.since, "since"), parse_instant(self.until, "until")
        entry = Repository(
            repository=self.repository,
            service=self.service,
            environments=list(self.environments) if self.environments else None,
        )
        client = GithubHook(github_conn_id=self.github_conn_id).client
        stream = stream_of(entry)
        store = warehouse(self.postgres_conn_id)
        with (
            store.lock(stream),
            store.connection(autocommit=True) as connection,
            ThreadPoolExecutor(_THREADS, thread_name_prefix="github") as executor,
        ):
            reader = RepositoryReader(
                connection, client, executor, entry, account=self.github_conn_id, now=now
            )
            result = reader.read(since, until)
        requests = client.transport.requests_sent
        self.log.info("%s: %d requests, %d rows changed.", stream, requests, result.rows_changed)
        return Outcome(
            account=self.github_conn_id,
            stream=stream,
            rows_changed=result.rows_changed,
            rejected=result.rejected,
            requests=requests,
        )
