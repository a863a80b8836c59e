"""One address where all three services answer, tables, and what the DAGs do with both."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import tenacity.nap
from canned import NOW, Canned

from opsgenie_provider.api import limits
from opsgenie_provider.dora.refresh import refresh
from opsgenie_provider.hooks.warehouse import warehouse as open_warehouse
from opsgenie_provider.operators.deployments import GithubDeploymentsToPostgresOperator
from opsgenie_provider.operators.pagerduty import PagerdutyToPostgresOperator
from opsgenie_provider.settings import load_settings
from opsgenie_provider.warehouse.schema import upgrade
from sandbox.instants import Clock
from sandbox.opsgenie import Store
from sandbox.server import Slot
from sync_harness import Account, Accounts, Sync, Warehouse

Metrics = Callable[[], None]


class PassingTime:
    """The module ``time``, but for waits: they are over at once, and time has passed."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        self._skipped += max(0.0, seconds)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    passing = PassingTime()
    for module in (limits, tenacity.nap):
        monkeypatch.setattr(module, "time", passing)


@pytest.fixture
def tables(warehouse: Warehouse) -> Warehouse:
    upgrade(open_warehouse("postgres_default"))
    return warehouse


@pytest.fixture
def account(accounts: Accounts) -> Account:
    """``opsgenie_default``, of which only the clock and the address are used."""
    return accounts.add("opsgenie_default", Store(clock=Clock(NOW)))


@pytest.fixture
def services(
    account: Account, slots: list[tuple[Slot, str]], tables: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> Canned:
    """What the services answer."""
    slots[0][0].app = canned = Canned()
    for name, kind in (("GITHUB_DEFAULT", "http"), ("PAGERDUTY_DEFAULT", "pagerduty_api")):
        value = {"conn_type": kind, "host": account.url, "password": "key"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(value))
    return canned


@pytest.fixture
def sync(services: Canned, tables: Warehouse, account: Account, monkeypatch: pytest.MonkeyPatch) -> Sync:
    return Sync(tables, [account], monkeypatch)


@pytest.fixture
def deployments(services: Canned, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Reads GitHub, as deployments_sync does with these settings."""

    def read(*repositories: Any) -> None:
        monkeypatch.setenv("OPSGENIE_PROVIDER__GITHUB_REPOSITORIES", json.dumps(repositories))
        entries = [entry.model_dump() for entry in load_settings().github_repositories]
        GithubDeploymentsToPostgresOperator(task_id="github", repositories=entries).execute({})

    return read


@pytest.fixture
def pages(services: Canned) -> Callable[[], None]:
    """Reads PagerDuty, as pagerduty_migration does."""
    return lambda: PagerdutyToPostgresOperator(task_id="extract").execute({}) and None


@pytest.fixture
def metrics(tables: Warehouse) -> Metrics:
    def run() -> None:
        settings = load_settings()
        with open_warehouse("postgres_default").connection() as connection:
            refresh(connection, settings)

    return run
