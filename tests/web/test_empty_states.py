"""What the pages say where there is nothing to show, and where the warehouse cannot be read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

from opsgenie_provider.warehouse.schema import upgrade
from opsgenie_provider.web import reader
from tests.support.postgres import Warehouse, warehouse_of

PATHS = (
    "",
    "trust",
    "what-if",
    "services",
    "incidents",
    "incidents.csv",
    "on-call",
    "escalations",
    "sync",
    "migration",
)


def make_tables(warehouse: Warehouse) -> None:
    upgrade(warehouse_of(warehouse.connection["host"], warehouse.connection["schema"]))


def words(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(f"/{path}")
    assert answer.status_code == status
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", answer.text))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.usefixtures("empty_warehouse")
def test_without_tables_the_page_says_which_dag_makes_them(
    client: TestClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    assert "Run opsgenie_sync once" in words(client, path, 503)
    # A query that names what no version has would say the same, but for the log.
    assert "does not exist" in caplog.text


def test_without_rows_each_part_says_what_to_do_next(client: TestClient, empty_warehouse: Warehouse) -> None:
    make_tables(empty_warehouse)
    assert "Incidents come with the DAG opsgenie_sync" in words(client, "")
    assert "There is nothing to count yet for nobody" in words(client, "?service=nobody").replace(" .", ".")
    assert "There is nothing to match yet" in words(client, "trust")
    assert "There is nothing to evaluate" in words(client, "what-if")
    assert "There are no services yet" in words(client, "services")
    assert "Run opsgenie_sync , then dora_metrics" in words(client, "incidents")
    assert "No incidents match these filters" in words(client, "incidents?priority=P1")
    assert "the key needs Configuration Access" in words(client, "on-call")
    assert "the key needs Configuration Access" in words(client, "escalations")
    assert "its first task reports what is wrong with a key" in words(client, "sync")
    assert "it is a dry run by default" in words(client, "migration")
    assert words(client, "incidents.csv").startswith("source,account,incident_id")


@pytest.mark.parametrize("path", PATHS)
def test_a_warehouse_that_is_not_there(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    connection = {"conn_type": "postgres", "host": str(tmp_path), "login": "x", "password": "canary-password"}
    monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(connection))
    answer = client.get(f"/{path}")
    assert answer.status_code == 503
    assert "The warehouse cannot be read" in answer.text
    assert "canary" not in answer.text


def test_a_query_that_takes_too_long_is_ended(
    client: TestClient, empty_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tables(empty_warehouse)
    monkeypatch.setitem(reader.reading.__wrapped__.__kwdefaults__, "timeout", "1ms")
    host, name = (empty_warehouse.connection[field] for field in ("host", "schema"))
    with psycopg.connect(host=host, user="postgres", dbname=name) as holder:
        # Whoever reads now waits for this.
        holder.execute("lock table dora.match_quality in access exclusive mode")
        answer = client.get("/incidents")
    assert answer.status_code == 503
    assert "Narrow it down" in answer.text
