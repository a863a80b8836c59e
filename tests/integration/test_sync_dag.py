"""The DAG itself, in process, with Airflow's own metadata database."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import pytest

from opsgenie_provider.api.errors import AuthenticationError
from sandbox.instants import Clock
from sandbox.opsgenie import Store, load
from sandbox.opsgenie.store import SYNC_KEY
from sandbox.world import World
from tests.support.accounts import Account, Accounts
from tests.support.dag_runs import run_dag
from tests.support.expected_tables import KEYS, catalogue_tables, differences, incident_tables
from tests.support.postgres import Warehouse

CANARY = "cafebabe-dead-4bee-8fee-000000c0ffee"


pytestmark = pytest.mark.usefixtures("warehouse")


@pytest.fixture
def live(world: World, accounts: Accounts) -> Account:
    """The demo company's account; its clock runs on, as the DAG's does."""
    store = load(world, Store(clock=Clock(), seed=world.seed))
    return accounts.add("opsgenie_default", store)


def test_first_and_second_run(live: Account, empty_warehouse: Warehouse) -> None:
    run = run_dag("opsgenie_sync")

    assert run.succeeded
    # One process read the account and reached the metrics; what is for several accounts, or for failures,
    # took none.
    assert run.states("sync") == ["success"]
    assert run.states("account") == run.states("publish") == ["skipped"]
    assert run.updated_assets == ["staging.opsgenie"]
    expected = incident_tables(live.history()) | catalogue_tables(live.store)
    assert differences(empty_warehouse, expected) == []
    assert empty_warehouse.value("select count(*) from staging.opsgenie_on_call_periods") > 100
    before = empty_warehouse.versions()
    live.app.log.clear()

    run = run_dag("opsgenie_sync", at=datetime.now(UTC))

    assert run.succeeded
    after = empty_warehouse.versions()
    assert {name for name in KEYS if after[name] != before[name]} <= {"opsgenie_on_call_periods"}
    assert len(live.requests) <= len(live.store.schedules) + 8
    assert {request.method for request in live.requests} == {"GET"}


def test_two_accounts_of_which_one_has_a_wrong_key(
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

    run = run_dag("opsgenie_sync")

    assert not run.succeeded
    assert isinstance(run.error, AuthenticationError)
    # The task that fails, and the one that fails the run for it.
    assert sorted(task.state for task in run.tasks if task.state != "success") == [
        "failed",
        "upstream_failed",
    ]
    assert run.states("publish") == ["success"]
    expected = incident_tables(other.history(), account=other.name)
    expected |= catalogue_tables(other.store, account=other.name)
    assert differences(warehouse, expected, account=other.name) == []
    # What the other account brought is there for the metrics.
    assert run.updated_assets == ["staging.opsgenie"]
    assert "check the password of the connection" in str(run.error)
    output = capfd.readouterr()
    said = "".join([caplog.text, output.out, output.err, str(run.outputs), run.log, str(run.errors)])
    assert other.name in said
    assert CANARY not in said
    assert SYNC_KEY not in said


def test_a_since_after_until_fails_the_run(live: Account) -> None:
    run = run_dag("opsgenie_sync", since="2024-03-02", until="2024-03-01")
    assert not run.succeeded
    assert "Swap them" in str(run.error)
    # What does not need the bounds was stored.
    assert run.updated_assets == ["staging.opsgenie"]


def test_a_run_that_stores_nothing_leaves_the_metrics_alone(
    live: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All accounts fail before anything was stored; then even the settings are wrong."""
    live.connect(key=CANARY)
    run = run_dag("opsgenie_sync")
    assert not run.succeeded
    assert isinstance(run.error, AuthenticationError)
    assert run.updated_assets == []

    monkeypatch.setenv("OPSGENIE_PROVIDER__DIRECTION", "sideways")
    run = run_dag("opsgenie_sync")
    assert not run.succeeded
    assert "direction" in str(run.error)
    assert run.updated_assets == []


def test_a_process_that_dies_fails_the_run_and_what_it_stored_reaches_the_metrics(
    live: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing about what it stored."""

    def die(*arguments: object, **more: object) -> None:
        raise SystemExit(1)

    monkeypatch.setattr("opsgenie_provider.sync.account.sync_timelines", die)

    run = run_dag("opsgenie_sync")

    assert not run.succeeded
    assert run.found("parts") == []
    assert run.updated_assets == ["staging.opsgenie"]
