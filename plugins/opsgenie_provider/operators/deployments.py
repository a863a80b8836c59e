"""GitHub deployments into staging, with the pull requests that they brought out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from opsgenie_provider.compat import AirflowFailException
from opsgenie_provider.operators.provider import ProviderOperator
from opsgenie_provider.operators.retry import is_permanent
from opsgenie_provider.operators.warehouse import PrepareWarehouseOperator

if TYPE_CHECKING:
    from opsgenie_provider.operators.base import Outcome

# How many of the repositories that failed a message explains; the log has all.
_MOST_EXPLAINED = 5
# The settings of own_deployments. Each XCom is a request to the API server, so there are no others.
_HANDED_ON = ("deployments_relation", "deployments_columns", "postgres_conn_id")


class RepositoriesFailedError(Exception):
    """Some repositories could not be read; what was read of the others is stored."""


class PrepareDeploymentsOperator(PrepareWarehouseOperator):
    """What ``PrepareWarehouseOperator`` does; returns what the tasks that read GitHub are mapped over.

    The settings that ``own_deployments`` needs are under their own XCom keys.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"multiple_outputs": False, **kwargs})

    def perform(self, context: Context) -> Any:
        from opsgenie_provider.settings import Repository
        from opsgenie_provider.sync.repositories import shares

        settings = super().perform(context)
        for name in _HANDED_ON:
            # A value that is None would not be found further down.
            value = "" if settings[name] is None else settings[name]
            context["ti"].xcom_push(key=name, value=value)
        repositories = [Repository.model_validate(each) for each in settings["github_repositories"]]
        return [
            {
                "repositories": [each.model_dump(mode="json") for each in share],
                "max_requests_per_minute": requests,
                "github_conn_id": settings["github_conn_id"],
                "postgres_conn_id": settings["postgres_conn_id"],
            }
            for share, requests in shares(repositories)
        ]


class GithubDeploymentsToPostgresOperator(ProviderOperator):
    """Reads the deployments of repositories side by side, over one pool of HTTP connections.

    The first run reads 90 days of each, later ones what is new or unfinished. A repository that fails does
    not stop the others; the task fails at the end, and its next try finds little left to read of these.

    :param repositories: entries like those of the setting: ``{"repository": "owner/name"}``, and optionally
        the ``service`` that it deploys (else the repository's name) and which ``environments`` to read, case
        aside (else all).
    :param max_requests_per_minute: of github.com; an Enterprise server says itself what it allows.
    :param since: ISO 8601; read deployments triggered from here on instead.
    :param until: ISO 8601; ... and before this.
    """

    template_fields: Sequence[str] = (
        "repositories", "max_requests_per_minute", "since", "until", "github_conn_id", "postgres_conn_id",
    )  # fmt: skip
    ui_color = "#dbe7ff"

    def __init__(
        self,
        *,
        repositories: Sequence[Mapping[str, Any]],
        max_requests_per_minute: int | None = None,
        since: str | None = None,
        until: str | None = None,
        github_conn_id: str = "github_default",
        postgres_conn_id: str = "postgres_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.repositories = repositories
        self.max_requests_per_minute = max_requests_per_minute
        self.since = since
        self.until = until
        self.github_conn_id = github_conn_id
        self.postgres_conn_id = postgres_conn_id

    def perform(self, context: Context) -> Outcome:
        from opsgenie_provider.hooks.github import GithubHook
        from opsgenie_provider.hooks.warehouse import warehouse
        from opsgenie_provider.operators.base import Outcome
        from opsgenie_provider.planning import parse_instant
        from opsgenie_provider.settings import Repository
        from opsgenie_provider.sync.repositories import read_repositories
        from opsgenie_provider.warehouse.deployments import STREAM

        client = GithubHook(
            github_conn_id=self.github_conn_id, max_requests_per_minute=self.max_requests_per_minute
        ).client
        report = read_repositories(
            warehouse(self.postgres_conn_id),
            client,
            [Repository.model_validate(each) for each in self.repositories],
            account=self.github_conn_id,
            now=datetime.now(UTC),
            since=parse_instant(self.since, "since"),
            until=parse_instant(self.until, "until"),
        )
        requests = client.transport.requests_sent
        self.log.info(
            "%d repositories: %d requests, %d rows changed, %d payloads rejected.",
            len(self.repositories), requests, report.rows_changed, report.rejected,
        )  # fmt: skip
        if report.failed:
            raise self._failure(report.failed)
        return Outcome(
            account=self.github_conn_id,
            stream=STREAM,
            rows_changed=report.rows_changed,
            rejected=report.rejected,
            requests=requests,
        )

    def _failure(self, failed: Mapping[str, Exception]) -> Exception:
        """One error for all; it is permanent if each of them is."""
        explained = [f"{name}: {error}" for name, error in list(failed.items())[:_MOST_EXPLAINED]]
        if others := list(failed)[_MOST_EXPLAINED:]:
            explained.append(f"Also failed: {', '.join(others)}.")
        message = f"{len(failed)} of {len(self.repositories)} failed. {' '.join(explained)}"
        kind = AirflowFailException if all(map(is_permanent, failed.values())) else RepositoriesFailedError
        return kind(message)
