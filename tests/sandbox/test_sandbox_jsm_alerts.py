"""Teams, escalations and alerts of Operations, and the services API."""

from __future__ import annotations

import base64

import pytest

from sandbox.instants import DAY, HOUR, to_nanos
from sandbox.opsgenie.staff import Rule
from sandbox.opsgenie.store import team
from tests.sandbox.sandbox_client import Jsm

MONDAY = to_nanos("2024-06-10T00:00:00Z")


def test_teams_are_not_paged_and_roles_are_a_bare_array(jira: Jsm) -> None:
    for number in range(120):
        jira.store.add_team(f"Team {number}")
    jira.store.plain_teams.add(jira.store.add_team("Office", id="team-office").id)
    body = jira.ops("/teams", size=10)
    assert (set(body), len(body["platformTeams"])) == ({"platformTeams"}, 121)
    assert isinstance(jira.ops("/teams/team-payments/roles"), list)
    jira.store.switches.plain_teams = True
    assert len(jira.ops("/teams")["platformTeams"]) == 122


def test_escalations_are_a_team_s_and_count_in_minutes(jira: Jsm) -> None:
    owner = jira.store.operations.teams["team-payments"]
    rules = [Rule("if-not-closed", "all", 90, team(owner))]
    repeat = {"waitInterval": 10, "count": 3, "resetRecipientStates": False, "closeAlertAfterAll": True}
    jira.store.operations.add_escalation("Once", owner, rules)
    jira.store.operations.add_escalation("Again", owner, rules, repeat=repeat)
    once, again = jira.ops("/teams/team-payments/escalations")["values"]
    assert once["rules"] == [
        {"condition": "if-not-closed", "notifyType": "all", "delay": 90,
         "recipient": {"id": "team-payments", "type": "team"}}
    ]  # fmt: skip
    assert "teamId" not in once
    assert (once["repeat"]["waitInterval"], again["repeat"]) == (0, repeat)
    jira.store.switches.no_repeat = "absent"
    assert "repeat" not in jira.ops("/teams/team-payments/escalations")["values"][0]
    assert jira.get(f"{jira.ops_base}/teams/nowhere/escalations").status_code == 404
    assert jira.get(f"{jira.ops_base}/escalations").status_code == 404, "no list of the whole site"


def test_a_service_s_id_is_the_ari_in_base64(jira: Jsm) -> None:
    body = jira.services()
    (service,) = body["services"]
    assert service["id"].startswith("b:")
    ari = base64.b64decode(service["id"].removeprefix("b:")).decode()
    assert (ari, service["owner"]) == ("ari:cloud:graph::service/11/22", "team-payments")
    jira.store.switches.padded_ids = False
    assert not jira.services()["services"][0]["id"].endswith("=")
    for number in range(60):
        jira.store.add_service(f"s{number}")
    first, rest = jira.services(size=100), jira.services(offset=50)
    assert (len(first["services"]), first["pagination"]) == (50, {"totalCount": 61, "hasNext": True})
    assert (len(rest["services"]), rest["pagination"]["hasNext"]) == (11, False)


# Alerts.


def test_an_alert_has_instants_where_opsgenie_has_durations(jira: Jsm) -> None:
    alerts = jira.store.alerts
    made = alerts.add("Disk full", MONDAY, priority="P1", details={"service": "ledger"}, tags=["db"])
    assert made.id.endswith(f"-{MONDAY // 1_000_000}")
    assert not {"ackTime", "closeTime"} & set(jira.ops(f"/alerts/{made.id}"))
    alerts.acknowledge(made.id, MONDAY + HOUR, "Ann")
    alerts.repeat(made.id, MONDAY + 2 * HOUR)
    alerts.close(made.id, MONDAY + 3 * HOUR, "Ann")
    body = jira.ops(f"/alerts/{made.id}")
    assert (body["ackTime"], body["closeTime"]) == ("2024-06-10T01:00:00Z", "2024-06-10T03:00:00Z")
    assert (body["status"], body["acknowledged"], body["count"]) == ("closed", True, 2)
    assert (body["lastOccuredAt"], body["owner"]) == ("2024-06-10T02:00:00Z", "Ann")
    assert body["extraProperties"] == {"service": "ledger"}
    assert jira.ops("/alerts/alias", alias=made.alias)["id"] == made.id
    assert [line["logType"] for line in jira.ops(f"/alerts/{made.id}/logs", size=2)["values"]] == [
        "ALERT_CREATED",
        "ACKNOWLEDGED",
    ]
    alerts.reopen(made.id)
    assert "closeTime" not in jira.ops(f"/alerts/{made.id}")


def test_alerts_know_two_statuses_or_five(jira: Jsm) -> None:
    made = jira.store.alerts.add("Disk full")
    jira.store.alerts.acknowledge(made.id)
    assert jira.ops("/alerts")["values"][0]["status"] == "open"
    jira.store.switches.alert_statuses = "spec"
    assert jira.ops("/alerts")["values"][0]["status"] == "acked"
    jira.store.switches.alert_list_details = False
    assert not {"description", "extraProperties"} & set(jira.ops("/alerts")["values"][0])
    assert "description" in jira.ops(f"/alerts/{made.id}")


def test_alerts_are_searched_by_priority_and_creation(jira: Jsm) -> None:
    for number in range(130):
        jira.store.alerts.add(f"a{number}", MONDAY + number * HOUR // 10, priority=f"P{number % 5 + 1}")
    after = (MONDAY + 12 * HOUR) // 1_000_000
    body = jira.ops("/alerts", query=f"createdAt >= {after} AND priority: (P1 OR P2)", size=3)
    assert body["count"] == 4
    assert [alert["message"] for alert in body["values"]] == ["a126", "a125", "a121"], "the newest first"
    assert body["links"]["next"] == "/v1/alerts?offset=3&size=3"
    assert len(jira.ops("/alerts")["values"]) == 20
    assert len(jira.ops("/alerts", size=100, sort="createdAt", order="asc")["values"]) == 100
    for wrong in ({"size": 101}, {"sort": "updatedAt"}, {"query": "weather: fine"},
                  {"offset": 19_900, "size": 100}):  # fmt: skip
        assert jira.get(f"{jira.ops_base}/alerts", **wrong).status_code == 422
    assert jira.get(f"{jira.ops_base}/alerts", offset=19_899, size=100).status_code == 200


@pytest.mark.parametrize(
    ("reading", "value", "count"),
    [
        ("seconds", str((MONDAY + DAY) // 10**9), 1),
        ("seconds", "2024-06-11T00:00:00Z", None),
        ("date-time", "2024-06-11T00:00:00Z", 1),
        ("date-time", "1718064000", None),
        ("ignored", "1718064000", 2),
    ],
)
def test_from_has_one_of_three_readings(jira: Jsm, reading: str, value: str, count: int | None) -> None:
    for at in (MONDAY, MONDAY + DAY):
        jira.store.alerts.add("a", at)
    jira.store.switches.alert_from = reading
    response = jira.get(f"{jira.ops_base}/alerts", **{"from": value})
    assert response.json().get("count") == count


def test_a_key_may_have_a_name_that_nobody_knows(jira: Jsm) -> None:
    """Which is no empty list."""
    jira.store.switches.renamed = {"platformTeams": "teams"}
    assert set(jira.ops("/teams")) == {"teams"}
