"""One address where all three services answer, tables, and what the DAGs do with both."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import tenacity.nap

from opsgenie_provider.api import limits
from opsgenie_provider.settings import load_settings
from sandbox.instants import Clock
from sandbox.opsgenie import Store
from sandbox.server import Slot
from tests.integration.reported.canned import NOW, Canned
from tests.support.accounts import Account, Accounts
from tests.support.postgres import Warehouse
from tests.support.readers import read_github_entries, read_pagerduty, refresh_metrics
from tests.support.sync import Sync


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
def sync(services: Canned, account: Account, monkeypatch: pytest.MonkeyPatch) -> Sync:
    return Sync([account], monkeypatch)


@pytest.fixture
def deployments(services: Canned, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Reads GitHub, as deployments_sync does with these settings."""

    def read(*repositories: Any) -> None:
        monkeypatch.setenv("OPSGENIE_PROVIDER__GITHUB_REPOSITORIES", json.dumps(repositories))
        read_github_entries([entry.model_dump() for entry in load_settings().github_repositories])

    return read


@pytest.fixture
def pages(services: Canned) -> Callable[[], object]:
    """Reads PagerDuty, as pagerduty_migration does."""
    return read_pagerduty


@pytest.fixture
def metrics(tables: Warehouse) -> Callable[[], object]:
    return refresh_metrics
