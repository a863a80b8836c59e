"""A PagerDuty account, an empty OpsGenie account and a real PostgreSQL, for migrations between them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from opsgenie_provider.operators.migration_import import ImportOperator
from sandbox import pagerduty
from sandbox.opsgenie import Store
from sandbox.server import Slot
from sandbox.world import World
from tests.migration.migration import SETTLE, Migration
from tests.support.postgres import Warehouse

settings.register_profile(
    "migration",
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("migration")


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
    """Runs the DAG; an index that may lag is waited for a moment only."""
    monkeypatch.setattr(ImportOperator, "settle_seconds", SETTLE)
    return Migration(warehouse, slots, source, Store(), monkeypatch)
