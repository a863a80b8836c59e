"""Keys, accounts and settings that are wrong or see little: short errors that name the remedy."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from opsgenie_provider.api.errors import AuthenticationError, PlanError
from opsgenie_provider.hooks.base import ConnectionSettingsError
from opsgenie_provider.warehouse.connection import WarehouseUnavailableError
from sandbox.instants import Clock
from sandbox.opsgenie import Store, load
from sandbox.opsgenie.store import CONFIG, READ, Key
from sandbox.world import World
from tests.support.accounts import Account, Accounts
from tests.support.dag_runs import DagRun
from tests.support.expected_tables import catalogue_tables, differences, incident_tables
from tests.support.postgres import Warehouse
from tests.support.sync import Sync

OTHER_KEY = "77777777-7777-4777-8777-777777777777"
CANARY = "cafebabe-dead-4bee-8fee-000000c0ffee"


def notes(warehouse: Warehouse) -> str:
    """What the account's key will not see."""
    [row] = warehouse.table("opsgenie_keys")
    return " ".join(row["notes"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _short(error: BaseException) -> str:
    text = str(error)
    assert 20 < len(text) < 400
    assert "\n" not in text
    return text


def test_a_key_that_nobody_issued(sync: Sync, account: Account, warehouse: Warehouse) -> None:
    account.connect(key=OTHER_KEY)
    run = sync(fails=True)
    assert isinstance(run.error, AuthenticationError)
    text = _short(run.error)
    assert "401" in text
    assert "password" in text
    assert "region" in text
    assert OTHER_KEY not in text
    assert warehouse.table("opsgenie_incidents") == []


def test_a_key_of_the_wrong_shape(sync: Sync, account: Account) -> None:
    account.connect(key="not-a-key")
    run = sync(fails=True)
    text = _short(run.error)
    assert "password" in text
    assert "not-a-key" not in text


def test_a_key_of_the_other_region(sync: Sync, account: Account) -> None:
    account.store.region = "eu"
    run = sync(fails=True)
    assert "region" in _short(run.error)


def test_a_plan_without_incidents(sync: Sync, account: Account) -> None:
    account.store.plan = "Essentials"
    run = sync(fails=True)
    assert isinstance(run.error, PlanError)
    text = _short(run.error)
    assert "402" in text
    assert "Standard" in text


def test_a_missing_connection(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_OPSGENIE_DEFAULT")
    run = sync(fails=True)
    assert isinstance(run.error, ConnectionSettingsError)
    text = _short(run.error)
    assert "opsgenie_default" in text
    assert "AIRFLOW_CONN_OPSGENIE_DEFAULT" in text


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [({"password": ""}, "password"), ({"host": "", "extra": {"region": "mars"}}, "us, eu")],
)
def test_an_incomplete_connection(sync: Sync, account: Account, fields: dict[str, Any], remedy: str) -> None:
    account.connect(**fields)
    run = sync(fails=True)
    assert remedy in _short(run.error)


def test_a_host_that_does_not_answer(sync: Sync, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsgenie_provider.api.transport.MAX_ATTEMPTS", 2)
    account.connect(host=f"http://127.0.0.1:{_free_port()}")
    run = sync(fails=True)
    text = _short(run.error)
    assert "host of the connection" in text


def test_a_warehouse_that_is_down(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    down = {"conn_type": "postgres", "host": "127.0.0.1", "port": _free_port(), "login": "x", "schema": "x"}
    monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(down))
    run = sync(fails=True)
    assert isinstance(run.error, WarehouseUnavailableError)
    text = _short(run.error)
    assert "postgres_default" in text
    assert "Check that PostgreSQL runs" in text


def test_a_warehouse_without_a_connection(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_POSTGRES_DEFAULT")
    run = sync(fails=True)
    assert "AIRFLOW_CONN_POSTGRES_DEFAULT" in _short(run.error)


def test_a_setting_that_cannot_be(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSGENIE_PROVIDER__MAX_REQUESTS_PER_MINUTE", "many")
    run = sync(fails=True)
    text = _short(run.error)
    assert "max_requests_per_minute" in text
    assert "OPSGENIE_PROVIDER__" in text


@pytest.mark.parametrize(
    ("params", "remedy"),
    [
        ({"since": "2024-03-02", "until": "2024-03-01"}, "Swap"),
        ({"since": "2999-01-01"}, "at most now"),
        ({"since": "yesterday"}, "2026-01-31"),
        ({"until": "2024-02-31"}, "2026-01-31"),
        ({"until": "12:30"}, "2026-01-31"),
    ],
)
def test_bounds_that_cannot_be(sync: Sync, params: dict[str, str], remedy: str) -> None:
    run = sync(fails=True, **params)
    assert isinstance(run.error, ValueError)
    assert remedy in _short(run.error)


def test_a_team_key_brings_what_it_sees(sync: Sync, account: Account, warehouse: Warehouse) -> None:
    store = account.store
    team = next(item for item in store.teams.values() if item.name == "Payments")
    key = store.keys[OTHER_KEY] = Key("team", frozenset({READ, CONFIG}), team=team.id)
    account.connect(key=OTHER_KEY)

    sync()

    assert "team" in notes(warehouse)
    seen = [incident for incident in account.history() if store.sees(key, incident)]
    assert differences(warehouse, incident_tables(seen)) == []
    expected = catalogue_tables(store)
    for table in ("opsgenie_services", "opsgenie_schedules", "opsgenie_escalations"):
        of_team = [row for row in expected[table] if row["team_id"] == team.id]
        assert differences(warehouse, {table: of_team}) == []


def test_a_key_without_configuration_access(
    sync: Sync, account: Account, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    store = account.store
    store.keys[OTHER_KEY] = Key("reader", frozenset({READ}))
    account.connect(key=OTHER_KEY)

    run = sync()

    assert "Configuration Access" in notes(warehouse)
    [outcome] = run.found("skipped_parts")
    lists = {"services", "teams", "users", "escalations", "schedules"}
    assert {*lists, "timelines"} == set(outcome["skipped_parts"])
    assert differences(warehouse, incident_tables(account.history(), timelines=False)) == []
    assert not any(warehouse.table(name) for name in ("opsgenie_services", "opsgenie_schedules"))


def _two(world: World, accounts: Accounts, account: Account) -> Account:
    """A second account beside the first, with other ids."""
    store = load(world, Store(clock=Clock(account.store.clock()), seed=world.seed + 1))
    return accounts.add("opsgenie_eu", store)


def test_accounts_side_by_side(
    world: World,
    accounts: Accounts,
    account: Account,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both have the same incident ids: neither's rows are the other's."""
    other = _two(world, accounts, account)
    for incident in other.history()[:5]:
        other.store.incidents.edit(incident.id, message="of the other account")
    sync = Sync([account, other], monkeypatch)
    sync()
    for each in (account, other):
        expected = incident_tables(each.history(), account=each.name)
        expected |= catalogue_tables(each.store, account=each.name)
        assert differences(warehouse, expected, account=each.name) == []
    other.store.incidents.delete(other.history()[7].id)
    sync(full_refresh=True)
    deleted = warehouse.rows("select account from staging.opsgenie_incidents where deleted_at is not null")
    assert deleted == [{"account": "opsgenie_eu"}]


def test_one_wrong_key_does_not_harm_the_other_account(
    world: World,
    accounts: Accounts,
    account: Account,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = _two(world, accounts, account)
    account.connect(key=OTHER_KEY)
    sync = Sync([account, other], monkeypatch)

    run = sync(fails=True)

    assert isinstance(run.error, AuthenticationError)
    expected = incident_tables(other.history(), account=other.name)
    assert differences(warehouse, expected, account=other.name) == []
    assert {row["account"] for row in warehouse.table("opsgenie_incidents")} == {"opsgenie_eu"}


def _said(run: DagRun) -> str:
    errors = "".join(f"{error!r} {error.__cause__!r} {error.__context__!r}" for error in run.errors)
    return json.dumps(run.outputs) + errors + run.log


def test_the_key_is_nowhere_to_be_seen(
    sync: Sync,
    account: Account,
    warehouse: Warehouse,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not in logs, XCom, errors or tables, in runs that succeed and runs that fail.

    What Airflow itself keeps and says is tried in tests/security.
    """
    store = account.store
    caplog.set_level("DEBUG")
    account.connect(key=CANARY)
    spoken = _said(sync(fails=True))
    store.keys[CANARY] = Key("canary", frozenset({READ, CONFIG}))
    account.app.faults.configure(script=["500", "cut_json", "html", "drop"])
    spoken += _said(sync())
    store.keys[CANARY] = Key("canary", frozenset({READ}))
    spoken += _said(sync())
    output = capfd.readouterr()
    spoken += caplog.text + output.out + output.err
    spoken += "".join(str(warehouse.table(name)) for name in warehouse.tables())
    spoken += "".join(request.query + request.path for request in account.requests)
    assert "opsgenie_default" in spoken
    assert CANARY not in spoken
    assert CANARY.rpartition("-")[2] not in spoken
