"""Accounts whose alerts are the incidents: the first sync, every change, and what reading them costs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from opsgenie_provider.api import transport
from opsgenie_provider.rows.alerts import AlertRules
from opsgenie_provider.sync import alerts as alert_sync
from opsgenie_provider.sync.account import PartsFailedError
from sandbox.instants import DAY, HOUR, MINUTE, Clock, Nanos, to_datetime
from sandbox.opsgenie import Store
from sandbox.opsgenie.alerts import Alert
from sandbox.opsgenie.store import CONFIG, READ, SYNC_KEY, Key
from sandbox.world import World
from tests.support.account_reads import DEFAULT_RULES, AccountReads
from tests.support.accounts import Account, advance
from tests.support.expected_alerts import PRIORITIES, alert_differences, service_of
from tests.support.jsm import Site
from tests.support.postgres import Warehouse
from tests.support.readers import refresh_metrics

DETAILS = r"/v2/alerts/.+-\d+"
# Longer than the trailing window of a run.
OLD = 20 * DAY


@pytest.fixture
def store(world: World) -> Store:
    """An account of a plan without incidents, on a frozen clock."""
    return Store(plan="Essentials", clock=Clock(world.end), seed=world.seed)


@pytest.fixture
def raised(store: Store) -> Callable[..., Alert]:
    """Raises an alert some time ago, and closes it where its end is given."""

    def add(ago: Nanos = OLD, ended: Nanos | None = None, **fields: Any) -> Alert:
        at = store.clock() - ago
        alert = store.alerts.add("Disk full", at, **{"priority": "P1", **fields})
        if ended is not None:
            store.alerts.close(alert.id, at + ended)
        return alert

    return add


def asked(account: Account, pattern: str) -> int:
    return sum(bool(re.fullmatch(pattern, request.path)) for request in account.requests)


def in_dora(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    refresh_metrics()
    rows = warehouse.rows(
        "select incidents.*, service from dora.incidents "
        "join dora.incident_attribution using (source, account, incident_id) where source = 'alert'"
    )
    return {row["incident_id"]: row for row in rows}


def test_every_change_is_found_and_costs_little(
    read_account: AccountReads, account: Account, warehouse: Warehouse, raised: Callable[..., Alert]
) -> None:
    store, alerts = account.store, account.store.alerts
    late, leaves, acked = raised(), raised(), raised(acked_at=None)
    repeated = raised(alias="cpu", tags=["service:b", "service:a"], details={"service": " "})
    reopened = raised(ended=HOUR, details={"service": "Checkout"})
    edited = raised(ended=90 * MINUTE, entity="checkout")
    leaves_closed, deleted = raised(ended=HOUR), raised(ended=HOUR)
    enters = raised(priority="P4", ended=HOUR, tags=["service:late"])
    raised(priority="P5")
    raised(ago=91 * DAY)

    read_account(DEFAULT_RULES)

    of_history = [alert for alert in alerts.all() if alert.created_at > store.clock() - 90 * DAY]
    assert alert_differences(warehouse, of_history) == []
    assert asked(account, DETAILS) == 8
    assert asked(account, "/v1/incidents.*") == 0
    found = in_dora(warehouse)
    assert found[reopened.id]["seconds_to_recover"] == 3600
    assert found[reopened.id]["closed_at"] == found[reopened.id]["recovered_at"]
    assert {id_: row["service"] for id_, row in found.items()} == {
        alert.id: (service_of(alert) or "").lower() for alert in of_history if alert.priority in PRIORITIES
    }
    assert (found[repeated.id]["service"], found[late.id]["status"]) == ("a", "open")

    before = warehouse.versions()
    account.app.log.clear()
    read_account(DEFAULT_RULES)
    assert warehouse.versions() == before
    assert len(account.requests) <= 10
    assert asked(account, DETAILS) == 0

    account.app.log.clear()
    advance(account, hours=1)
    alerts.close(late.id)
    alerts.edit(leaves.id, priority="P3")
    alerts.acknowledge(acked.id, by="ann@example.com")
    alerts.add("again", alias="cpu")
    alerts.reopen(reopened.id)
    alerts.edit(edited.id, details={"service": "Elsewhere"}, entity="")
    alerts.edit(enters.id, priority="P1")
    young = raised(ago=MINUTE, priority="P2", entity=" Checkout ")
    read_account(DEFAULT_RULES)

    assert alert_differences(warehouse, [*of_history, young]) == []
    assert repeated.count == 2
    # The seven that changed and are incidents, and one more look at each of the open that was not listed.
    assert asked(account, DETAILS) == 7 + 1
    found = in_dora(warehouse)
    assert found.keys() == {alert.id for alert in [*of_history, young] if alert.priority in PRIORITIES}
    assert found[late.id]["status"] == "closed"
    assert (found[reopened.id]["status"], found[reopened.id]["recovered_at"]) == ("open", None)
    assert found[acked.id]["acknowledged_at"] is not None
    services = {id_: found[id_]["service"] for id_ in (edited.id, enters.id, young.id)}
    assert services == {edited.id: "elsewhere", enters.id: "late", young.id: "checkout"}
    [gone] = warehouse.rows(
        "select alert_id, priority from staging.opsgenie_alerts where deleted_at is not null"
    )
    assert gone == {"alert_id": leaves.id, "priority": "P3"}

    # Closed ones that leave or go are found by the full read of the day.
    alerts.edit(leaves_closed.id, priority="P3")
    alerts.delete(deleted.id)
    advance(account, hours=24)
    assert read_account(DEFAULT_RULES)["deleted"] == 1
    assert alert_differences(warehouse, [*of_history, young]) == [f"{deleted.id} is missing"]
    read_account(DEFAULT_RULES, full_refresh=True)
    assert alert_differences(warehouse, [*of_history, young]) == [f"{deleted.id} is missing"]
    assert in_dora(warehouse).keys() == {
        alert.id for alert in [*of_history, young] if alert.priority in PRIORITIES
    } - {deleted.id}


def test_services_come_from_where_the_settings_say(
    read_account: AccountReads, account: Account, warehouse: Warehouse, raised: Callable[..., Alert]
) -> None:
    tagged = raised(ended=HOUR, tags=["svc:é", "svc:b"], entity="host-1", details={"app.name": "shop"})
    empty = raised(ended=HOUR, tags=["svc:", "svc:c"], entity="host-2")
    plain = raised(ended=HOUR, details={"app.name": "x" * 501})

    def read(*sources: str, **params: Any) -> tuple[list[str | None], int]:
        account.app.log.clear()
        rules = AlertRules(["P1"], list(sources))
        read_account(rules, **params)
        stored = {row["alert_id"]: row["service"] for row in warehouse.table("opsgenie_alerts")}
        return [stored[alert.id] for alert in (tagged, empty, plain)], asked(account, DETAILS)

    # Lists have tags.
    assert read("tag:svc:") == (["b", None, None], 0)
    # Where a tag says it, nothing else is asked for.
    assert read("tag:svc:", "entity", full_refresh=True) == (["b", "host-2", None], 2)
    assert read("details.app.name", "tag:svc:", full_refresh=True) == (["shop", None, None], 3)
    # The details that are stored serve other settings, too.
    read("entity", full_refresh=True)
    advance(account, hours=24)
    assert read("details.app.name", "entity") == (["shop", "host-2", None], 0)


def test_a_backlog_drains_over_later_runs_the_newest_first(
    read_account: AccountReads,
    account: Account,
    warehouse: Warehouse,
    raised: Callable[..., Alert],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = [raised(ago=(days + 3) * DAY, ended=HOUR, entity=f"s{days}") for days in range(5)]
    monkeypatch.setattr(alert_sync, "BATCH", 2)
    times = iter([0.0, 0.0, 10_000.0])
    with monkeypatch.context() as patch:
        patch.setattr(alert_sync, "time", SimpleNamespace(monotonic=lambda: next(times)))
        outcome = read_account(DEFAULT_RULES)
    assert outcome["deferred"] == 3
    known = {row["alert_id"] for row in warehouse.table("opsgenie_alerts") if row["service"]}
    assert known == {alert.id for alert in made[:2]}
    # One that is gone meanwhile does not keep the others from being read, and is not asked for every hour.
    account.store.alerts.delete(made[4].id)
    account.app.log.clear()
    assert read_account(DEFAULT_RULES)["parts"]["details"]["refused"] == 1
    read_account(DEFAULT_RULES)
    assert asked(account, DETAILS) == 3
    assert alert_differences(warehouse, made[:4]) == [f"{made[4].id} is too many"]
    read_account(DEFAULT_RULES, full_refresh=True)
    assert alert_differences(warehouse, made[:4]) == []


def test_only_what_is_gone_counts_as_deleted(
    read_account: AccountReads, account: Account, warehouse: Warehouse, raised: Callable[..., Alert]
) -> None:
    store = account.store
    made = [raised(ended=HOUR, ago=OLD + number * MINUTE) for number in range(3)]
    read_account(DEFAULT_RULES)
    # The search has lost one that the service still knows.
    store.alerts.unindex(made[0].id)
    assert read_account(DEFAULT_RULES, full_refresh=True)["deleted"] == 0
    assert alert_differences(warehouse, made) == []
    # A key that sees less: what it does not list may be there.
    store.alerts.delete(made[1].id)
    team = store.add_team("Payments")
    store.keys[SYNC_KEY] = Key("team", frozenset({READ, CONFIG}), team=team.id)
    advance(account, hours=24)
    assert read_account(DEFAULT_RULES, full_refresh=True)["deleted"] == 0
    assert alert_differences(warehouse, made[:1] + made[2:]) == [f"{made[1].id} is too many"]


def test_what_the_settings_no_longer_name_leaves_at_once(
    read_account: AccountReads, account: Account, warehouse: Warehouse, raised: Callable[..., Alert]
) -> None:
    first, second = raised(priority="P1"), raised(priority="P2")
    account.store.plan = "Enterprise"
    read_account(DEFAULT_RULES)
    assert in_dora(warehouse).keys() == {first.id, second.id}
    account.app.log.clear()
    assert read_account(DEFAULT_RULES._replace(priorities=["P1"]))["stored"]
    assert asked(account, DETAILS) == 0
    assert in_dora(warehouse).keys() == {first.id}
    read_account(DEFAULT_RULES, full_refresh=True)
    assert in_dora(warehouse).keys() == {first.id, second.id}
    # An account that is no longer one of alerts.
    read_account(None)
    assert in_dora(warehouse) == {}
    assert len(warehouse.table("opsgenie_alerts")) == 2


def test_an_alert_that_opsgenie_does_not_answer_for_stops_no_other(
    read_account: AccountReads,
    account: Account,
    warehouse: Warehouse,
    raised: Callable[..., Alert],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "MAX_ATTEMPTS", 2)
    monkeypatch.setattr(transport, "_backoff", lambda state: 0.01)
    first, broken, last = (raised(ago=days * DAY) for days in (1, 2, 3))
    query = "select alert_id from staging.opsgenie_alerts where details_of is not null"
    account.interceptor.hook = lambda path, count: 502 if broken.id in path else None
    for _ in range(2):
        with pytest.raises(PartsFailedError, match=broken.id):
            read_account(DEFAULT_RULES)
        assert {row["alert_id"] for row in warehouse.rows(query)} == {first.id, last.id}
    account.interceptor.hook = lambda path, count: None
    read_account(DEFAULT_RULES)
    assert len(warehouse.rows(query)) == 3


@pytest.mark.parametrize("refusal", [402, 403])
def test_a_plan_without_incidents_is_said_with_the_setting(
    read_account: AccountReads, account: Account, refusal: int
) -> None:
    account.store.plan_refusal = refusal
    with pytest.raises(PartsFailedError, match=rf"{refusal} to GET /v1/incidents: .* setting alert_accounts"):
        read_account(None)


def test_the_tasks_read_what_the_settings_say(
    account: Account, warehouse: Warehouse, raised: Callable[..., Alert], monkeypatch: pytest.MonkeyPatch
) -> None:
    from opsgenie_provider.operators.opsgenie import SyncAccountOperator, SyncAccountsOperator

    alert = raised(ago=DAY, priority="P3", tags=["app:shop"])
    for name, value in {
        "ACCOUNTS": ["other", account.name],
        "ALERT_ACCOUNTS": [account.name],
        "ALERT_PRIORITIES": ["P3"],
        "ALERT_SERVICE_FROM": ["tag:app:"],
    }.items():
        monkeypatch.setenv(f"OPSGENIE_PROVIDER__{name}", json.dumps(value))
    other, arguments = SyncAccountsOperator(task_id="sync").execute({})
    assert (other["alerts"], arguments["account"]) == (None, account.name)
    SyncAccountOperator(task_id="sync", **arguments).execute({})
    [row] = warehouse.table("opsgenie_alerts")
    assert (row["alert_id"], row["service"]) == (alert.id, "shop")


@pytest.mark.parametrize("has_details", [True, False], ids=["lists have details", "lists have none"])
def test_alerts_of_jira_service_management(site: Site, warehouse: Warehouse, has_details: bool) -> None:
    from opsgenie_provider.operators.opsgenie import SyncAccountOperator

    alerts, now = site.store.alerts, site.store.clock()
    site.store.switches.alert_list_details = has_details
    for alert in alerts.all():
        alerts.delete(alert.id)
    old = {"at": now - OLD, "priority": "P1"}
    late, leaves = alerts.add("late", **old, details={"service": "shop"}), alerts.add("leaves", **old)
    edited = alerts.add("edited", **old, tags=["service:a"])
    alerts.close(edited.id, now - OLD + HOUR)
    alerts.add("low", **old | {"priority": "P4"})

    def read() -> dict[str, dict[str, Any]]:
        site.account.app.log.clear()
        SyncAccountOperator(
            task_id="sync", account=site.account.name, alerts=DEFAULT_RULES._asdict()
        ).execute({})
        assert not any("search/jql" in request.path for request in site.account.requests)
        rows = warehouse.rows("select * from staging.opsgenie_alerts where deleted_at is null")
        return {row["message"]: row for row in rows}

    found = read()
    assert {name: row["service"] for name, row in found.items()} == {
        "late": "shop",
        "leaves": None,
        "edited": "a",
    }
    assert found["edited"]["closed_at"] == to_datetime(now - OLD + HOUR)
    assert {row["backend"] for row in found.values()} == {"jsm"}
    singles = sum(bool(re.search(r"/alerts/.+-\d+$", request.path)) for request in site.account.requests)
    assert singles == (0 if has_details else 3)

    site.store.clock.advance(3600)
    alerts.close(late.id)
    alerts.edit(leaves.id, priority="P3")
    alerts.reopen(edited.id)
    found = read()
    assert {name: row["status"] for name, row in found.items()} == {"late": "closed", "edited": "open"}
    assert found["late"]["closed_at"] == to_datetime(site.store.clock() // 10**6 * 10**6)
