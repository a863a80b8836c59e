"""Many repositories in few tasks: what one of them meets is not the others' trouble."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from opsgenie_provider.api import transport
from opsgenie_provider.api.errors import AuthenticationError
from opsgenie_provider.compat import AirflowFailException
from opsgenie_provider.hooks.warehouse import open_warehouse
from opsgenie_provider.operators.deployments import (
    DeploymentsFailedError,
    DeploymentsToPostgresOperator,
)
from opsgenie_provider.settings import Repository
from opsgenie_provider.sync import repositories
from opsgenie_provider.sync.repositories import split_between_tasks
from opsgenie_provider.warehouse.schema import upgrade
from sandbox.gateway import Gateway
from sandbox.github.store import Store
from sandbox.server import Slot
from tests.integration.deployments import ago
from tests.support.accounts import Interceptor
from tests.support.dag_runs import run_dag
from tests.support.postgres import Warehouse

NAMES = [f"acme/app-{number:02}" for number in range(20)]
ReadAll = Callable[[], dict[str, Any]]


@pytest.fixture
def interceptor(app: Gateway, slots: list[tuple[Slot, str]], monkeypatch: pytest.MonkeyPatch) -> Interceptor:
    """Answers in place of GitHub where a test says so; retries are of a length to afford."""
    monkeypatch.setattr(transport, "_backoff", lambda state: 0.01)
    slots[0][0].app = made = Interceptor(app)
    return made


@pytest.fixture
def read_all(github: Store, interceptor: Interceptor, warehouse: Warehouse) -> ReadAll:
    """Reads twenty repositories with a deployment each, in one task."""
    upgrade(open_warehouse("postgres_default"))
    for name in NAMES:
        github.add_repository(name)
        github.add_deployment(name, "a" * 40, "production", ago(hours=2), [("success", ago(hours=1))])
    operator = DeploymentsToPostgresOperator(
        task_id="github", repositories=[{"repository": name} for name in NAMES]
    )
    return lambda: dict(operator.execute({}))


def repositories_in(warehouse: Warehouse) -> set[str]:
    return {row["repository"] for row in warehouse.table("deployments")}


def answer(interceptor: Interceptor, status: int, *names: str) -> None:
    interceptor.hook = lambda path, count: status if any(f"{name}/" in path for name in names) else None


def test_repositories_are_read_side_by_side_over_one_session(
    read_all: ReadAll, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from requests import Session

    made: list[Session] = []
    init = Session.__init__
    monkeypatch.setattr(Session, "__init__", lambda self: (made.append(self), init(self))[1])
    assert read_all()["rows_changed"] == len(NAMES)
    assert repositories_in(warehouse) == set(NAMES)
    assert len(made) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        # No other try of the task would find it.
        (404, AirflowFailException),
        # Another try may.
        (500, DeploymentsFailedError),
    ],
)
def test_a_repository_that_fails_is_named_and_does_not_stop_the_others(
    status: int, error: type[Exception], read_all: ReadAll, interceptor: Interceptor, warehouse: Warehouse
) -> None:
    answer(interceptor, status, NAMES[0], NAMES[7])
    with pytest.raises(error, match=r"2 of 20 failed.*") as caught:
        read_all()
    assert all(name in str(caught.value) for name in (NAMES[0], NAMES[7]))
    assert NAMES[1] not in str(caught.value)
    assert repositories_in(warehouse) == set(NAMES) - {NAMES[0], NAMES[7]}

    answer(interceptor, status)
    interceptor.count = 0
    assert read_all()["rows_changed"] == 2
    # The next try lists what it has, and reads nothing of it again.
    assert interceptor.count <= len(NAMES) + 2 * 2


def test_a_refused_token_is_not_shown_to_every_repository(
    read_all: ReadAll, interceptor: Interceptor
) -> None:
    interceptor.hook = lambda path, count: 401
    with pytest.raises(AuthenticationError):
        read_all()
    assert interceptor.count <= 2 * repositories.CONCURRENT_REPOSITORIES


def test_a_github_that_is_down_is_not_asked_for_every_repository(
    read_all: ReadAll, interceptor: Interceptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_ATTEMPTS", 2)
    interceptor.hook = lambda path, count: 503
    with pytest.raises(DeploymentsFailedError, match="20 of 20 failed"):
        read_all()
    assert interceptor.count <= 2 * (
        repositories._MOST_WITHOUT_ANSWER + 2 * repositories.CONCURRENT_REPOSITORIES
    )


@pytest.mark.parametrize(("count", "tasks"), [(0, 0), (1, 1), (8, 1), (50, 1), (51, 2), (300, 4), (3000, 4)])
def test_repositories_are_shared_out_to_few_tasks(count: int, tasks: int) -> None:
    entries = [Repository(repository=f"acme/app-{number}") for number in range(count)]
    made = split_between_tasks(entries)
    assert len(made) == tasks
    assert sorted(each.repository for share, _ in made for each in share) == sorted(
        each.repository for each in entries
    )
    # GitHub's secondary limit for a token, whatever the number of tasks that share it.
    assert sum(requests for _, requests in made) <= 900


@pytest.mark.parametrize("tasks", [1, 2])
def test_a_relation_that_fails_and_the_repositories_do_not_stop_each_other(
    tasks: int, read_all: ReadAll, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether one process reads everything or several do, what was stored reaches the metrics."""
    monkeypatch.setattr(repositories, "_REPOSITORIES_PER_TASK", len(NAMES) // tasks)
    monkeypatch.setenv("OPSGENIE_PROVIDER__GITHUB_REPOSITORIES", json.dumps(NAMES))
    monkeypatch.setenv("OPSGENIE_PROVIDER__DEPLOYMENTS_RELATION", "no.where")

    run = run_dag("deployments_sync")

    assert not run.succeeded
    assert "no such table or view" in str(run.error)
    assert repositories_in(warehouse) == set(NAMES)
    assert run.updated_assets == ["staging.deployments"]

    monkeypatch.delenv("OPSGENIE_PROVIDER__DEPLOYMENTS_RELATION")
    run = run_dag("deployments_sync")

    assert run.succeeded
    assert run.updated_assets == ["staging.deployments"]
    # A process of its own for the event only where several tasks read.
    assert run.states("publish") == ["skipped" if tasks == 1 else "success"]


def test_where_nothing_is_named_the_metrics_are_left_alone(warehouse: Warehouse) -> None:
    run = run_dag("deployments_sync")
    assert run.succeeded
    assert run.updated_assets == []
