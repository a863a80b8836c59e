"""Runs ``opsgenie_sync`` over stand-ins, at the time of their clock."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from sandbox.instants import to_datetime
from tests.support.accounts import Account
from tests.support.clocks import set_clocks
from tests.support.dag_runs import DagRun, run_dag
from tests.support.postgres import Warehouse


class Sync:
    """Runs the DAG for these accounts."""

    def __init__(self, accounts: Iterable[Account], monkeypatch: pytest.MonkeyPatch) -> None:
        self.accounts = list(accounts)
        set_clocks(monkeypatch.setattr, lambda: to_datetime(self.accounts[0].store.clock()))
        names = json.dumps([account.name for account in self.accounts])
        monkeypatch.setenv("OPSGENIE_PROVIDER__ACCOUNTS", names)

    def __call__(self, *, fails: bool = False, **params: Any) -> DagRun:
        """One run. ``fails``: it must fail, else it must not."""
        run = run_dag("opsgenie_sync", **params)
        if run.errors and not fails:
            raise run.errors[0]
        assert run.succeeded != fails, run.tasks
        return run


def total(run: DagRun, name: str) -> int:
    """A count of the run's summary."""
    [summary] = [each for each in run.found("rows_changed", "deleted", "rejected") if "stream" not in each]
    return int(summary[name])


def outcomes(run: DagRun, stream: str) -> list[dict[str, Any]]:
    """What the tasks that read a stream reported."""
    return [each for each in run.found("stream") if each["stream"] == stream]


@pytest.fixture
def sync(warehouse: Warehouse, account: Account, monkeypatch: pytest.MonkeyPatch) -> Sync:
    """Runs the DAG for ``account``."""
    return Sync([account], monkeypatch)
