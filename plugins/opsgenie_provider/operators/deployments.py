"""Deployments into staging: GitHub's, with the pull requests that they brought out, and the user's own."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from opsgenie_provider.compat import AirflowFailException
from opsgenie_provider.operators.outcomes import before_reading, push_outcome
from opsgenie_provider.operators.provider import ProviderOperator
from opsgenie_provider.operators.retry import is_permanent
from opsgenie_provider.operators.warehouse import PrepareWarehouseOperator

if TYPE_CHECKING:
    from opsgenie_provider.operators.outcomes import Outcome
    from opsgenie_provider.settings import Repository
    from opsgenie_provider.sync.repositories import Report
    from opsgenie_provider.warehouse.connection import Warehouse

log = logging.getLogger(__name__)

# How many of the sources that failed a message explains; the log has all.
_MOST_EXPLAINED = 5
# The lock under which deployments of the user's own are written.
_RELATION = "deployments_relation"


class DeploymentsFailedError(Exception):
    """Some repositories, or the relation, could not be read; what was read of the others is stored."""


class SyncDeploymentsOperator(PrepareWarehouseOperator):
    """Makes the warehouse ready and reads all deployments: one process, for starting one takes as long as an
    hour's read. Many repositories are left to a few tasks, which run side by side.

    :param since: as ``DeploymentsToPostgresOperator`` has it.
    :param until: likewise.
    :returns: arguments for ``DeploymentsToPostgresOperator``, one dict for each task that is left.
    """

    template_fields: Sequence[str] = ("since", "until")
    ui_color = "#dbe7ff"

    def __init__(self, *, since: str | None = None, until: str | None = None, **kwargs: Any) -> None:
        super().__init__(**{"multiple_outputs": False, **kwargs})
        self.since = since
        self.until = until

    def perform(self, context: Context) -> Any:
        from opsgenie_provider.hooks.warehouse import open_warehouse
        from opsgenie_provider.warehouse.own_deployments import remove_imported

        with before_reading(context):
            settings = super().perform(context)
            tasks = _arguments(settings)
        forgotten = 0
        if not settings["deployments_relation"]:
            store = open_warehouse(settings["postgres_conn_id"])
            with store.lock(_RELATION), store.connection() as connection:
                forgotten = remove_imported(connection)
        if len(tasks) > 1:
            # Nothing was read yet: the event of the asset is the last task's.
            self.outlets = []
            return tasks
        for arguments in tasks:
            push_outcome(context, read_deployments(**arguments, since=self.since, until=self.until))
        if not (tasks or forgotten):
            self.log.info("The settings name neither github_repositories nor a deployments_relation.")
            self.outlets = []
        return []


def _arguments(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each task that reads; the relation of the settings is the first one's."""
    from opsgenie_provider.settings import Repository
    from opsgenie_provider.sync.repositories import split_between_tasks

    repositories = [Repository.model_validate(each) for each in settings["github_repositories"]]
    shares = split_between_tasks(repositories)
    tasks: list[dict[str, Any]] = [
        {
            "repositories": _as_json(share),
            "other_repositories": _as_json(
                each for other, _ in shares if other is not share for each in other
            ),
            "max_requests_per_minute": requests,
        }
        for share, requests in shares
    ]
    if settings["deployments_relation"]:
        tasks = tasks or [{"repositories": []}]
        tasks[0] |= {
            "relation": settings["deployments_relation"],
            "columns": settings["deployments_columns"],
        }
    connections = {name: settings[name] for name in ("github_conn_id", "postgres_conn_id")}
    return [arguments | connections for arguments in tasks]


def _as_json(entries: Iterable[Repository]) -> list[dict[str, Any]]:
    return [entry.model_dump(mode="json") for entry in entries]


class DeploymentsToPostgresOperator(ProviderOperator):
    """Reads the deployments of repositories side by side, over one pool of HTTP connections, and takes over
    those of a table or view of the user's own.

    The first run reads 90 days of each repository, later ones what is new or unfinished. A repository that
    fails does not stop the others, nor does the relation; the task fails at the end, and its next try finds
    little left to read of these.

    :param repositories: entries like those of the setting: ``{"repository": "owner/name"}``, and optionally
        the ``service`` that it deploys (else the repository's name) and which ``environments`` to read, case
        aside (else all).
    :param other_repositories: the entries of the settings that other tasks read.
    :param max_requests_per_minute: of github.com; an Enterprise server says itself what it allows.
    :param relation: "table" or "schema.table", in the warehouse.
    :param columns: column of ``staging.deployments`` -> column of the relation, where the names differ.
    :param since: ISO 8601; read deployments of repositories triggered from here on instead.
    :param until: ISO 8601; ... and before this.
    """

    template_fields: Sequence[str] = (
        "repositories", "other_repositories", "max_requests_per_minute", "relation", "columns", "since",
        "until", "github_conn_id", "postgres_conn_id",
    )  # fmt: skip
    ui_color = "#dbe7ff"

    def __init__(
        self,
        *,
        repositories: Sequence[Mapping[str, Any]] = (),
        other_repositories: Sequence[Mapping[str, Any]] = (),
        max_requests_per_minute: int | None = None,
        relation: str | None = None,
        columns: Mapping[str, str] | None = None,
        since: str | None = None,
        until: str | None = None,
        github_conn_id: str = "github_default",
        postgres_conn_id: str = "postgres_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.repositories = repositories
        self.other_repositories = other_repositories
        self.max_requests_per_minute = max_requests_per_minute
        self.relation = relation
        self.columns = columns
        self.since = since
        self.until = until
        self.github_conn_id = github_conn_id
        self.postgres_conn_id = postgres_conn_id

    def perform(self, context: Context) -> Outcome:
        return read_deployments(
            self.repositories,
            other_repositories=self.other_repositories,
            max_requests_per_minute=self.max_requests_per_minute,
            relation=self.relation,
            columns=self.columns,
            since=self.since,
            until=self.until,
            github_conn_id=self.github_conn_id,
            postgres_conn_id=self.postgres_conn_id,
        )


def read_deployments(
    repositories: Sequence[Mapping[str, Any]],
    *,
    other_repositories: Sequence[Mapping[str, Any]] = (),
    max_requests_per_minute: int | None = None,
    relation: str | None = None,
    columns: Mapping[str, str] | None = None,
    since: str | None = None,
    until: str | None = None,
    github_conn_id: str,
    postgres_conn_id: str,
) -> Outcome:
    """What ``DeploymentsToPostgresOperator`` does."""
    from opsgenie_provider.hooks.warehouse import open_warehouse
    from opsgenie_provider.operators.outcomes import Outcome
    from opsgenie_provider.warehouse.deployments import STREAM

    store = open_warehouse(postgres_conn_id)
    outcome = Outcome(account=github_conn_id, stream=STREAM)
    changed = 0
    failed: dict[str, Exception] = {}
    if relation:
        try:
            changed = _import_relation(store, relation, columns or {})
        except Exception as error:
            if not repositories:
                raise
            log.error("%s failed: %s", relation, error)
            failed[relation] = error
    if repositories:
        try:
            report, requests = _read_github(
                store,
                repositories,
                other_repositories,
                github_conn_id,
                max_requests_per_minute,
                since,
                until,
            )
        except Exception as error:
            if not failed:
                raise
            failed["GitHub"] = error
        else:
            failed |= report.failed
            changed += report.rows_changed
            outcome |= Outcome(rejected=report.rejected, requests=requests)
    if failed:
        raise _failure(failed, len(repositories) + bool(relation))
    return outcome | Outcome(rows_changed=changed)


def _import_relation(store: Warehouse, relation: str, columns: Mapping[str, str]) -> int:
    from opsgenie_provider.warehouse.own_deployments import import_relation

    with store.lock(_RELATION), store.connection() as connection:
        changed = import_relation(connection, relation, columns)
    log.info("%s: %d rows changed.", relation, changed)
    return changed


def _read_github(
    store: Warehouse,
    repositories: Sequence[Mapping[str, Any]],
    other_repositories: Sequence[Mapping[str, Any]],
    github_conn_id: str,
    limit: int | None,
    since: str | None,
    until: str | None,
) -> tuple[Report, int]:
    """Read repositories; returns what that did, and how many requests it took."""
    from opsgenie_provider.hooks.github import GithubHook
    from opsgenie_provider.planning import parse_instant
    from opsgenie_provider.settings import Repository
    from opsgenie_provider.sync.repositories import read_repositories

    client = GithubHook(github_conn_id=github_conn_id, max_requests_per_minute=limit).client
    report = read_repositories(
        store,
        client,
        [Repository.model_validate(each) for each in repositories],
        account=github_conn_id,
        others=[Repository.model_validate(each) for each in other_repositories],
        now=datetime.now(UTC),
        since=parse_instant(since, "since"),
        until=parse_instant(until, "until"),
    )
    requests = client.transport.requests_sent
    log.info(
        "%d repositories: %d requests, %d rows changed, %d payloads rejected.",
        len(repositories), requests, report.rows_changed, report.rejected,
    )  # fmt: skip
    return report, requests


def _failure(failed: Mapping[str, Exception], sources: int) -> Exception:
    """One error for all; it is permanent if each of them is."""
    explained = [f"{name}: {error}" for name, error in list(failed.items())[:_MOST_EXPLAINED]]
    if others := list(failed)[_MOST_EXPLAINED:]:
        explained.append(f"Also failed: {', '.join(others)}.")
    message = f"{len(failed)} of {sources} failed. {' '.join(explained)}"
    kind = AirflowFailException if all(map(is_permanent, failed.values())) else DeploymentsFailedError
    return kind(message)
