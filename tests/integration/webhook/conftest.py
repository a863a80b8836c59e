"""The webhook over HTTP, its secret, a warehouse with the tables, and Airflow's own database."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from fastapi.testclient import TestClient
from sqlalchemy import update

from tests.integration.webhook.webhook_harness import SECRET, Post, forget_assets, made_app
from tests.support import ROOT
from tests.support.postgres import Warehouse


@pytest.fixture(scope="module", autouse=True)
def airflow(airflow_database: None) -> None:
    """Airflow's own database, which knows dora_metrics."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(ROOT / "dags" / "dora_metrics.py", bundle_path=ROOT / "dags", bundle_name="dags-folder")
    assert bag.import_errors == {}
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == "dora_metrics").values(is_paused=False))


@pytest.fixture(autouse=True)
def quiet_assets(airflow: None) -> Iterator[None]:
    forget_assets()  # Other tests run whole DAGs in the same Airflow.
    yield
    forget_assets()


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    value = {"conn_type": "generic", "password": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_DEPLOYMENTS_WEBHOOK", json.dumps(value))
    return SECRET


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(made_app()) as found:
        yield found


@pytest.fixture
def post(client: TestClient, tables: Warehouse, secret: str) -> Post:
    return Post(client)
