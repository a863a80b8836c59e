"""The DAG itself, in process, with Airflow's own metadata database."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.xcom import XComModel
from airflow.sdk import DAG
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from sqlalchemy import select

from sandbox.instants import DAY, Clock
from sandbox.opsgenie import Store, load
from sandbox.opsgenie.store import SYNC_KEY
from sandbox.world import World
from sync_expected import KEYS, catalogue_tables, differences, incident_tables
from sync_harness import Account, Accounts, Warehouse

ROOT = Path(__file__).resolve().parents[2]
CANARY = "cafebabe-dead-4bee-8fee-000000c0ffee"


@pytest.fixture(scope="module", autouse=True)
def metadata_database() -> None:
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True,
        capture_output=True,
        timeout=600,
        env=os.environ,
    )


@pytest.fixture
def dag(warehouse: Warehouse) -> DAG:
    """``opsgenie_sync`` as the scheduler would find it, but for retries: nothing here waits."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(ROOT / "dags" / "opsgenie_sync.py")
    assert bag.import_errors == {}
    found: DAG = bag.dags["opsgenie_sync"]
    for task in found.tasks:
        if task.is_mapped:
            task.partial_kwargs["retries"] = 0
        else:
            task.retries = 0
    return found


def states(run: Any) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for instance in run.get_task_instances():
        found.setdefault(instance.task_id, Counter())[str(instance.state)] += 1
    return found


def asset_events(run: Any) -> list[str]:
    """The assets that a run has marked as updated."""
    with create_session() as session:
        query = select(AssetModel.name).join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
        return list(session.scalars(query.where(AssetEvent.source_run_id == run.run_id)))


def history(store: Store) -> list[Any]:
    return [one for one in store.incidents.all() if one.created_at >= store.clock() - 90 * DAY]


@pytest.fixture
def live(world: World, accounts: Accounts) -> Account:
    """The demo company's account; its clock runs on, as the DAG's does."""
    store = load(world, Store(clock=Clock(), seed=world.seed))
    return accounts.add("opsgenie_default", store)


def test_first_and_second_run(dag: DAG, live: Account, warehouse: Warehouse) -> None:
    run = dag.test()

    assert run.state == DagRunState.SUCCESS
    assert states(run) == {name: Counter(success=1) for name in ("prepare", "sync", "publish", "complete")}
    assert asset_events(run) == ["staging.opsgenie"]
    expected = incident_tables(history(live.store)) | catalogue_tables(live.store)
    assert differences(warehouse, expected) == []
    assert warehouse.value("select count(*) from staging.opsgenie_on_call_periods") > 100
    before = warehouse.versions()
    live.app.log.clear()

    run = dag.test(logical_date=None)

    assert run.state == DagRunState.SUCCESS
    assert run.logical_date is None
    after = warehouse.versions()
    assert {name for name in KEYS if after[name] != before[name]} <= {"opsgenie_on_call_periods"}
    assert len(live.requests) <= len(live.store.schedules) + 8
    assert {request.method for request in live.requests} == {"GET"}


def test_two_accounts_of_which_one_has_a_wrong_key(
    dag: DAG,
    live: Account,
    accounts: Accounts,
    world: World,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    other = accounts.add("opsgenie_eu", load(world, Store(clock=Clock(), seed=world.seed + 1)))
    live.connect(key=CANARY)
    monkeypatch.setenv("OPSGENIE_PROVIDER__ACCOUNTS", json.dumps(["opsgenie_default", "opsgenie_eu"]))
    caplog.set_level(logging.DEBUG)

    run = dag.test()

    assert run.state == DagRunState.FAILED
    found = states(run)
    assert found == {
        "prepare": Counter(success=1),
        "sync": Counter(success=1, failed=1),
        "publish": Counter(success=1),
        "complete": Counter(upstream_failed=1),
    }
    expected = incident_tables(history(other.store), account=other.name)
    expected |= catalogue_tables(other.store, account=other.name)
    assert differences(warehouse, expected, account=other.name) == []
    # What the other account brought is there for the metrics.
    assert asset_events(run) == ["staging.opsgenie"]
    output = capfd.readouterr()
    spoken = caplog.text + output.out + output.err
    assert "opsgenie_default: key failed" in spoken
    assert "check the password of the connection" in spoken
    with create_session() as session:
        spoken += str(session.execute(select(XComModel.value)).all())
    assert other.name in spoken
    assert CANARY not in spoken
    assert SYNC_KEY not in spoken


def test_a_since_after_until_fails_the_run(
    dag: DAG, live: Account, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    run = dag.test(run_conf={"since": "2024-03-02", "until": "2024-03-01"})
    assert run.state == DagRunState.FAILED
    assert states(run)["sync"] == Counter(failed=1)
    # What the bounds are not for was stored.
    assert asset_events(run) == ["staging.opsgenie"]
    output = capfd.readouterr()
    assert "Swap them" in caplog.text + output.out + output.err


def test_a_run_that_stores_nothing_leaves_the_metrics_alone(
    dag: DAG, live: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All accounts fail before anything was stored; then even the settings are wrong."""
    live.connect(key=CANARY)
    run = dag.test()
    assert run.state == DagRunState.FAILED
    assert states(run) == {
        "prepare": Counter(success=1),
        "sync": Counter(failed=1),
        "publish": Counter(skipped=1),
        "complete": Counter(upstream_failed=1),
    }
    assert asset_events(run) == []

    monkeypatch.setenv("OPSGENIE_PROVIDER__DIRECTION", "sideways")
    run = dag.test()
    assert run.state == DagRunState.FAILED
    assert states(run) == {
        "prepare": Counter(failed=1),
        "sync": Counter(upstream_failed=1),
        "publish": Counter(skipped=1),
        "complete": Counter(upstream_failed=1),
    }
    assert asset_events(run) == []


def test_a_process_that_dies_fails_the_run_and_what_it_stored_reaches_the_metrics(
    dag: DAG, live: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing about what it stored."""

    def die(*arguments: object, **more: object) -> None:
        raise SystemExit(1)

    monkeypatch.setattr("opsgenie_provider.sync.account.sync_timelines", die)

    run = dag.test()

    assert run.state == DagRunState.FAILED
    assert states(run)["sync"] == Counter(failed=1)
    assert states(run)["publish"] == Counter(success=1)
    assert asset_events(run) == ["staging.opsgenie"]
