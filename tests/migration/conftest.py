"""A PagerDuty account, an empty OpsGenie account and a real PostgreSQL, for migrations between them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from opsgenie_provider.operators.migration_import import ImportOperator
from sandbox import pagerduty
from sandbox.opsgenie import Store
from sandbox.server import Slot
from sandbox.world import World
from tests.migration.migration import SETTLE, Migration
from tests.support.postgres import Warehouse, temporary_database

settings.register_profile(
    "migration",
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("migration")


def _demo_source(world: World) -> pagerduty.Store:
    return pagerduty.load(world, days=100, count=30)


@pytest.fixture
def source(world: World) -> pagerduty.Store:
    """The demo company's account before it moved; its time zone is New York."""
    return _demo_source(world)


@pytest.fixture(scope="session")
def _migrated(
    postgres: str, template: str, slots: list[tuple[Slot, str]], world: World
) -> Iterator[tuple[str, Store]]:
    """A database after a migration of ``source``, and the account that it made."""
    with temporary_database(postgres, template) as name:
        with Warehouse(postgres, name) as opened, pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(opened.connection))
            patch.setattr(ImportOperator, "settle_seconds", SETTLE)
            migration = Migration(opened, slots, _demo_source(world), Store(), patch)
            migration()
        yield name, migration.target


@pytest.fixture(scope="session")
def first_run(_migrated: tuple[str, Store]) -> str:
    """Makes ``migration`` one that has run: the name of its database."""
    return _migrated[0]


@pytest.fixture
def migration(
    warehouse: Warehouse,
    slots: list[tuple[Slot, str]],
    source: pagerduty.Store,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Migration:
    """Runs the DAG; an index that may lag is waited for a moment only."""
    monkeypatch.setattr(ImportOperator, "settle_seconds", SETTLE)
    is_second = "first_run" in request.fixturenames
    target = copy.deepcopy(request.getfixturevalue("_migrated")[1]) if is_second else Store()
    return Migration(warehouse, slots, source, target, monkeypatch)
