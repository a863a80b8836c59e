"""Runs ``opsgenie_sync`` over stand-ins, at the time of their clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from sandbox.instants import to_datetime
from sandbox.server import Slot
from sandbox.world import World
from tests.support import tasks
from tests.support.accounts import Account, Accounts, demo_store
from tests.support.clocks import set_clocks
from tests.support.dag_runs import DagRun, TaskRun, logged
from tests.support.postgres import Warehouse, temporary_database

DAG = "opsgenie_sync"


class Sync:
    """Runs the DAG for these accounts."""

    def __init__(self, accounts: Iterable[Account], monkeypatch: pytest.MonkeyPatch) -> None:
        self.accounts = list(accounts)
        set_clocks(monkeypatch.setattr, lambda: to_datetime(self.accounts[0].store.clock()))
        names = json.dumps([account.name for account in self.accounts])
        monkeypatch.setenv("OPSGENIE_PROVIDER__ACCOUNTS", names)

    def __call__(self, *, fails: bool = False, **params: Any) -> DagRun:
        """One run. What a task fails with is raised, unless it ``fails``, as it then must.

        Task by task, without Airflow's bookkeeping, which takes longer than the tasks.
        """
        errors: list[Exception] = []
        with logged() as lines:
            if fails:
                outputs, errors = tasks.run_to_its_end(DAG, params)
                assert errors
            else:
                outputs = tasks.run(DAG, params)
        runs = [TaskRun(str(error), -1, "failed", error) for error in errors]
        return DagRun(
            DAG,
            "",
            "failed" if errors else "success",
            [*runs, TaskRun("all", -1, "done", None, "".join(lines))],
            list(outputs.values()),
        )


def total(run: DagRun, name: str) -> int:
    """A count of all accounts together."""
    return sum(int(outcome[name]) for outcome in run.found("parts"))


def part(run: DagRun, name: str) -> dict[str, int]:
    """The counts of a part of the only account."""
    [outcome] = run.found("parts")
    counts: dict[str, int] = outcome["parts"][name]
    return counts


def outcomes(run: DagRun, stream: str) -> list[dict[str, Any]]:
    """What the tasks that read a stream reported."""
    return [each for each in run.found("stream") if each["stream"] == stream]


@pytest.fixture
def sync(warehouse: Warehouse, account: Account, monkeypatch: pytest.MonkeyPatch) -> Sync:
    """Runs the DAG for ``account``."""
    return Sync([account], monkeypatch)


@pytest.fixture(scope="session")
def first_run(postgres: str, template: str, slots: list[tuple[Slot, str]], world: World) -> Iterator[str]:
    """Makes ``warehouse`` one that a first run for ``account`` has filled: the name of that database.

    To copy it takes a hundredth of the time of a run.
    """
    with temporary_database(postgres, template) as name:
        with Warehouse(postgres, name) as opened, pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(opened.connection))
            Sync([Accounts(slots, patch).add("opsgenie_default", demo_store(world))], patch)()
        yield name
