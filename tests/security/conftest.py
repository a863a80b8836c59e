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
from hypothesis.configuration import set_hypothesis_home_dir

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

from documented_roles import Roles  # noqa: E402
from stand_ins import Services  # noqa: E402

set_hypothesis_home_dir(os.environ["AIRFLOW_HOME"])
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


@pytest.fixture
def services() -> Iterator[Services]:
    """Stand-ins of OpsGenie, PagerDuty and GitHub with one story, behind Airflow's connections."""
    with ExitStack() as stack:
        yield Services(stack)


@pytest.fixture
def connections(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's connections to the stand-ins; ``postgres_default`` comes with the fixture ``warehouse``."""
    services.connect(monkeypatch)


@pytest.fixture
def roles(postgres: str) -> Iterator[Roles]:
    """The README's database; no role yet."""
    made = Roles(postgres)
    try:
        yield made
    finally:
        made.remove()
