"""The database of the syncs' tests, Airflow's own, and stand-ins of all three services."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

from deliveries import share_secret
from hostile_page import fill_with_hostility
from opsgenie_provider.warehouse.connection import Warehouse
from page_client import page_client
from stand_ins import Services

TESTS = Path(__file__).resolve().parents[1]
_spec = importlib.util.spec_from_file_location("sync_fixtures", TESTS / "integration" / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
postgres, warehouse, slots = _fixtures.postgres, _fixtures.warehouse, _fixtures.slots
accounts, world, store = _fixtures.accounts, _fixtures.world, _fixtures.store
account, sync = _fixtures.account, _fixtures.sync


@pytest.fixture(scope="session")
def metadata_database() -> None:
    """Airflow's own database, in the home of the tests."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True,
        capture_output=True,
        timeout=600,
        env=os.environ,
    )


@pytest.fixture(scope="session")
def _services() -> Iterator[Services]:
    with ExitStack() as stack:
        yield Services(stack)


@pytest.fixture
def services(_services: Services) -> Iterator[Services]:
    """Stand-ins of OpsGenie, PagerDuty and GitHub with one story; what a test puts there goes with it."""
    yield _services
    _services.restore()


@pytest.fixture
def connections(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's connections to them."""
    services.connect(monkeypatch)


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest, postgres: str, metadata_database: None) -> Iterator[TestClient]:
    """The page over a warehouse of hostile texts, or over one without tables, as the parameter says."""
    name = f"page_{uuid.uuid4().hex}"
    connect = partial(psycopg.connect, host=postgres, user="postgres")
    connection = {"conn_type": "postgres", "host": postgres, "login": "postgres", "schema": name}
    with connect(dbname="postgres", autocommit=True) as admin, pytest.MonkeyPatch.context() as monkeypatch:
        admin.execute(f"create database {name}")
        try:
            if request.param == "filled":
                fill_with_hostility(Warehouse(partial(connect, dbname=name), name))
            monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(connection))
            share_secret(monkeypatch)
            with page_client() as client:
                yield client
        finally:
            admin.execute(f"drop database {name} with (force)")
