"""A PagerDuty account, an empty OpsGenie account and a real PostgreSQL, for migrations between them."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from migration_harness import SETTLE, Migration

from opsgenie_provider.api import opsgenie, transport
from opsgenie_provider.api import pagerduty as pagerduty_api
from opsgenie_provider.api.dialect import Throttle
from opsgenie_provider.operators.migration_import import ImportOperator
from sandbox import pagerduty
from sandbox.opsgenie import Store
from sandbox.server import Slot
from sandbox.world import World
from sync_harness import Warehouse
from worlds import world_until

TESTS = Path(__file__).resolve().parents[1]
# The database of the syncs' tests.
_spec = importlib.util.spec_from_file_location("sync_fixtures", TESTS / "integration" / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
postgres, warehouse, slots = _fixtures.postgres, _fixtures.warehouse, _fixtures.slots

settings.register_profile(
    "migration",
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("migration")


@pytest.fixture(scope="session")
def world() -> World:
    return world_until(seed=11)


@pytest.fixture
def source(world: World) -> pagerduty.Store:
    """The demo company's account before it moved; its time zone is New York."""
    return pagerduty.load(world, days=100, count=30)


@pytest.fixture
def migration(
    warehouse: Warehouse,
    slots: list[tuple[Slot, str]],
    source: pagerduty.Store,
    monkeypatch: pytest.MonkeyPatch,
) -> Migration:
    """Runs what the DAG runs; an index that may lag is waited for a moment only."""
    monkeypatch.setattr(ImportOperator, "settle_seconds", SETTLE)
    return Migration(warehouse, slots, source, Store(), monkeypatch)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same retries, with waits that a test can afford."""
    monkeypatch.setattr(transport, "_backoff", lambda state: 0.01)
    for module in (opsgenie, pagerduty_api):
        quick = dataclasses.replace(
            module.DIALECT, throttle=lambda response: Throttle(wait=0.01), quota=lambda response: None
        )
        monkeypatch.setattr(module, "DIALECT", quick)
