"""Stand-ins of all three services, and the page over a warehouse of hostile texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from fastapi.testclient import TestClient

from tests.security.deliveries import share_secret
from tests.security.hostile_page import fill_with_hostility
from tests.support.page_client import page_client
from tests.support.postgres import connection_fields, temporary_database, warehouse_of
from tests.support.stand_ins import Services


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
def page(request: pytest.FixtureRequest, postgres: str, airflow_database: None) -> Iterator[TestClient]:
    """The page over a warehouse of hostile texts, or over one without tables, as the parameter says."""
    with temporary_database(postgres) as name, pytest.MonkeyPatch.context() as monkeypatch:
        if request.param == "filled":
            fill_with_hostility(warehouse_of(postgres, name))
        connection = connection_fields(postgres, name)
        monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(connection))
        share_secret(monkeypatch)
        with page_client() as client:
            yield client
