"""The demo's site: the same company as OpsGenie's, other incidents, and each hard case at least once."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox import jsm
from sandbox.instants import Clock
from sandbox.jsm.seed import bulk
from sandbox.world import World
from tests.sandbox.sandbox_client import NOW, Api, Jsm

INCIDENTS = 'issuetype in ("[System] Incident", Incident) order by created asc'


@pytest.fixture(scope="module")
def issues(jira_demo: Jsm) -> list[dict[str, Any]]:
    """Every incident of the demo, over the API."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"jql": INCIDENTS, "fields": "*all", "expand": "changelog", "maxResults": 100}
    while True:
        body = jira_demo.jira("/search/jql", **params)
        found += body["issues"]
        if body["isLast"]:
            return found
        params["nextPageToken"] = body["nextPageToken"]


def test_the_same_world_makes_the_same_site(world: World, jira_demo: Jsm) -> None:
    again = jsm.load(world, jsm.Store(clock=Clock(NOW), seed=world.seed))
    assert again.issues.all()[7].histories == jira_demo.store.issues.all()[7].histories
    assert list(again.accounts.values()) == list(jira_demo.store.accounts.values())
    assert [alert.id for alert in again.alerts.all()] == [alert.id for alert in jira_demo.store.alerts.all()]


def test_teams_and_services_are_those_of_opsgenie_and_incidents_are_not(
    jira_demo: Jsm, demo: Api, issues: list[dict[str, Any]]
) -> None:
    teams = {team["name"] for team in demo.data("/v2/teams")}
    assert {team["teamName"] for team in jira_demo.ops("/teams")["platformTeams"]} == teams
    services = {service["name"] for service in demo.data("/v1/services", limit=100)}
    assert {service["name"] for service in jira_demo.services()["services"]} == services
    opened = {incident.created_at for incident in demo.store.incidents.all()}
    assert len(issues) > 50
    assert not opened & {issue.created for issue in jira_demo.store.issues.all()}


def test_each_hard_case_of_an_incident_is_there(jira_demo: Jsm, issues: list[dict[str, Any]]) -> None:
    fields = [issue["fields"] for issue in issues]
    logs = [issue["changelog"] for issue in issues]
    catalogued = {
        base64.b64decode(service["id"].removeprefix("b:")).decode()
        for service in jira_demo.services()["services"]
    }
    named = {service["id"] for field in fields for service in field["customfield_10051"]}
    statuses = {field["status"]["name"] for field in fields}
    listed = {status["name"] for status in jira_demo.jira("/status")}
    moves = [item for log in logs for entry in log["histories"] for item in entry["items"]]
    assert {"Open", "Work in progress", "Completed", "Closed", "Canceled"} <= statuses
    assert named - catalogued, "a service that was deleted"
    assert any(log["total"] > len(log["histories"]) == 40 for log in logs)
    assert any(issue["key"].startswith("OPS-") for issue in issues), "moved"
    assert any(field["status"]["statusCategory"]["key"] == "done" and not field["resolutiondate"]
               for field in fields), "a workflow without resolutions"  # fmt: skip
    assert any(item["field"] == "resolution" and item["to"] is None for item in moves), "reopened"
    assert {item["toString"] for item in moves if item["field"] == "status"} - listed, "a renamed status"
    assert any("author" not in entry for log in logs for entry in log["histories"])
    assert any(field["customfield_10072"] for field in fields), "an end of impact"
    assert any(not field["customfield_10051"] for field in fields), "no service"
    assert any(len(field["customfield_10051"]) > 1 for field in fields), "two services"


def test_each_hard_case_of_people_and_on_call_is_there(jira_demo: Jsm) -> None:
    accounts = list(jira_demo.store.accounts)
    users = jira_demo.jira("/user/bulk", accountId=accounts, maxResults=100)["values"]
    assert 0 < sum("emailAddress" not in user for user in users) < len(users)
    assert 0 < sum(":" in id_ for id_ in accounts) < len(accounts)
    schedules = jira_demo.ops("/schedules", expand="rotation", size=50)["values"]
    assert "" in {schedule["teamId"] for schedule in schedules}, "a schedule of no team"
    rotations = [
        rotation
        for schedule in schedules
        for rotation in jira_demo.ops(
            f"/schedules/{schedule['id']}/timeline",
            intervalUnit="days",
            interval=90,
            date="2024-03-20T00:00:00Z",
        )["finalTimeline"]["rotations"]
    ]
    periods = [period for rotation in rotations for period in rotation["periods"]]
    assert {rotation["deleted"] for rotation in rotations} == {True, False}
    assert {"noone", "user", "team", "escalation"} == {period["responder"]["type"] for period in periods}
    assert any(len(period.get("flattenedResponders", ())) > 1 for period in periods)


def test_a_benchmark_s_site_has_as_many_issues_as_asked() -> None:
    store = bulk(450, 30, end=NOW, long_every=100)
    assert len(store.issues) == 450
    created = [issue.created for issue in store.issues.all()]
    assert created == sorted(created)
    assert sum(len(issue.histories) > 40 for issue in store.issues.all()) == 5
