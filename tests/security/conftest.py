"""The database of the syncs' tests, Airflow's own, and stand-ins of all three services."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from sandbox import github, opsgenie, pagerduty
from sandbox.server import Slot, serve
from sandbox.world import build_world

TESTS = Path(__file__).resolve().parents[1]
sys.path.append(str(TESTS / "integration"))
_spec = importlib.util.spec_from_file_location("sync_fixtures", TESTS / "integration" / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
postgres, warehouse, slots = _fixtures.postgres, _fixtures.warehouse, _fixtures.slots
accounts, world, store = _fixtures.accounts, _fixtures.world, _fixtures.store
account, sync = _fixtures.account, _fixtures.sync

settings.register_profile(
    "security",
    database=None,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("security")


@pytest.fixture(scope="session")
def metadata_database() -> None:
    """Airflow's own database, in the home of the tests."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True,
        capture_output=True,
        timeout=90,
        env=os.environ,
    )


@pytest.fixture(scope="session")
def services() -> Iterator[dict[str, tuple[Slot, str]]]:
    """Stand-ins of OpsGenie, PagerDuty and GitHub with one story; each may be exchanged."""
    story = build_world(seed=5, days=30)
    apps = {
        "opsgenie": opsgenie.create_app(opsgenie.load(story)),
        "pagerduty": pagerduty.create_app(pagerduty.load(story)),
        "github": github.create_app(github.load(story)),
    }
    with ExitStack() as stack:
        slots = {name: Slot(app) for name, app in apps.items()}
        yield {name: (slot, stack.enter_context(serve(slot))) for name, slot in slots.items()}
