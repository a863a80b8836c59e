"""Keys and passwords are in their connections and nowhere else: canaries, and a search for them everywhere.

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

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from tests.support.dag_runs import DAGS, run_dag
from tests.support.postgres import Warehouse
from tests.support.stand_ins import CONNECTIONS, Services

PASSWORD = "canary-of-the-warehouse-5b1e"
CANARIES = (*(key for _, _, key in CONNECTIONS.values()), PASSWORD)


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
def canaries(
    connections: None,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connections that hold the canaries."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(warehouse.connection | {"password": PASSWORD})
    )


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
    canaries: None,
    services: Services,
    warehouse: Warehouse,
    fails: bool,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    if fails:
        services.replace(parrot)

    states = {dag_id: run_dag(dag_id).state for dag_id in DAGS}

    asks_nobody = {"dora_metrics", "dora_report"}
    good = asks_nobody if fails else set(DAGS)
    assert {dag_id for dag_id, state in states.items() if state == "success"} == good
    output = capfd.readouterr()
    found = everything(warehouse) | {"log": caplog.text, "printed": output.out + output.err}
    # The search finds what there is.
    assert "opsgenie_sync" in found["metadata database"]
    assert ("checkout" in found["staging.opsgenie_services"]) is not fails
    leaks = [(where, canary) for where, text in found.items() for canary in CANARIES if canary in text]
    assert leaks == []
