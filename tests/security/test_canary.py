"""Keys and passwords stand in their connections and nowhere else: canaries, and a search for them everywhere.

Every DAG runs as it should and then against services that refuse it and repeat its key; afterwards the
whole metadata database (XCom, rendered templates, audit log), the whole warehouse, all files of Airflow's
home and all that was printed are searched.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.state import DagRunState
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from sandbox.github.store import SYNC_KEY as GITHUB_KEY
from sandbox.opsgenie.store import IMPORT_KEY, SYNC_KEY
from sandbox.pagerduty.store import READ_KEY
from sync_harness import Warehouse

ROOT = Path(__file__).resolve().parents[2]
DAGS = ("opsgenie_sync", "deployments_sync", "dora_metrics", "pagerduty_migration")
PASSWORD = "canary-of-the-warehouse-5b1e"
CANARIES = (SYNC_KEY, IMPORT_KEY, READ_KEY, GITHUB_KEY, PASSWORD)


async def parrot(scope: Scope, receive: Receive, send: Send) -> None:
    """A service that refuses everything, and repeats the key wherever it can."""
    if scope["type"] != "http":
        return
    key = Request(scope).headers.get("authorization", "")
    body = {"message": f"Not with {key}", "error": {"message": key, "errors": [key]}, "requestId": key}
    await JSONResponse(body, status_code=401, headers={"X-Request-Id": key, "X-Key": key})(
        scope, receive, send
    )


@pytest.fixture
def dags(
    metadata_database: None,
    services: dict[str, Any],
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """The DAGs with connections that hold the canaries; retries wait for nobody here."""
    given = {
        "postgres_default": warehouse.connection | {"password": PASSWORD},
        "opsgenie_default": _connection("opsgenie_api", services["opsgenie"][1], SYNC_KEY),
        "opsgenie_import": _connection("opsgenie_api", services["opsgenie"][1], IMPORT_KEY),
        "pagerduty_default": _connection("pagerduty_api", services["pagerduty"][1], READ_KEY),
        "github_default": _connection("http", services["github"][1], GITHUB_KEY),
    }
    for name, connection in given.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    monkeypatch.setenv("OPSGENIE_PROVIDER__GITHUB_REPOSITORIES", '["acme/checkout"]')
    bag = DagBag(ROOT / "dags")
    assert bag.import_errors == {}
    for dag in bag.dags.values():
        for task in dag.tasks:
            if task.is_mapped:
                task.partial_kwargs["retries"] = 0
            else:
                task.retries = 0
    return dict(bag.dags)


def _connection(kind: str, host: str, password: str) -> dict[str, str]:
    return {"conn_type": kind, "host": host, "password": password}


def everything(warehouse: Warehouse) -> dict[str, str]:
    """All that is kept, by where it is."""
    home = Path(os.environ["AIRFLOW_HOME"])
    found = {
        str(file.relative_to(home)): file.read_bytes().decode("utf-8", "replace")
        for file in home.rglob("*")
        # Hypothesis keeps the constants of the tests' sources, these canaries among them.
        if file.is_file()
        and not file.name.startswith("airflow.db")
        and file.relative_to(home).parts[0] != "hypothesis"
    }
    # Through the database, not its file: a page that was freed may hold what another test stored.
    with sqlite3.connect(home / "airflow.db") as metadata:
        found["metadata database"] = "\n".join(metadata.iterdump())
    metadata.close()
    names = warehouse.rows(
        "select schemaname || '.' || tablename as name from pg_tables "
        "where schemaname in ('staging', 'dora', 'migration', 'schema_history', 'public')"
    )
    for name in (row["name"] for row in names):
        found[name] = str(warehouse.rows(f"select t::text from {name} as t"))
    return found


@pytest.mark.parametrize("fails", [False, True], ids=["succeeding", "failing"])
def test_no_key_is_kept_or_said(
    dags: dict[str, Any],
    services: dict[str, Any],
    warehouse: Warehouse,
    fails: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    if fails:
        for slot, _ in services.values():
            monkeypatch.setattr(slot, "app", parrot)

    states = {dag_id: dags[dag_id].test().state for dag_id in DAGS}

    asks_nobody = {"dora_metrics"}
    good = asks_nobody if fails else set(DAGS)
    assert {dag_id for dag_id, state in states.items() if state == DagRunState.SUCCESS} == good
    output = capfd.readouterr()
    found = everything(warehouse) | {"log": caplog.text, "printed": output.out + output.err}
    # The search finds what there is.
    assert "opsgenie_sync" in found["metadata database"]
    assert ("checkout" in found["staging.opsgenie_services"]) is not fails
    leaks = [(where, canary) for where, text in found.items() for canary in CANARIES if canary in text]
    assert leaks == []
