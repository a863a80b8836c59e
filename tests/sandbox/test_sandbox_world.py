"""The demo's story: the same every time, and with every case that a reader of the data must get right."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.github.store import SYNC_KEY as GITHUB_KEY
from sandbox.instants import HOUR, to_nanos
from sandbox.opsgenie.store import SYNC_KEY
from sandbox.pagerduty.store import READ_KEY
from sandbox.world import World, build_world
from tests.sandbox.sandbox_client import NOW, Api
from tests.support import ROOT

END = to_nanos(NOW)


@pytest.fixture(scope="module")
def items(demo: Api) -> list[dict[str, Any]]:
    """Every incident of the demo, over the API."""
    found: list[dict[str, Any]] = []
    url: str | None = "/v1/incidents?limit=100"
    while url:
        body = demo.get(url).json()
        found += body["data"]
        url = body["paging"].get("next")
    return found


def test_the_same_seed_and_end_make_the_same_world(world: World) -> None:
    again = build_world(seed=7, end=NOW)
    assert (again.outages, again.deployments) == (world.outages, world.deployments)
    assert build_world(seed=8, end=NOW).outages != world.outages


def test_the_story_ends_when_it_should(world: World) -> None:
    opened = [outage.opened_at for outage in world.outages]
    assert max(opened) <= END
    later = [
        at
        for outage in world.outages
        for at in (outage.acked_at, outage.resolved_at, outage.closed_at, outage.reopened_at)
        if at is not None and at > END
    ]
    assert later == []
    assert all(at <= END for deployment in world.deployments for _, at in deployment.history)


def test_incidents_and_deployments_meet_in_every_way(world: World) -> None:
    by_id = {deployment.id: deployment for deployment in world.deployments}
    causes = [by_id.get(item.cause or 0) for item in world.outages]
    assert None in causes
    caused = [
        outage.opened_at - cause.triggered_at
        for outage, cause in zip(world.outages, causes, strict=True)
        if cause
    ]
    assert caused
    assert all(0 < offset < 4 * HOUR for offset in caused)
    states = {(deployment.environment, deployment.status) for deployment in world.deployments}
    assert states >= {
        (where, how) for where in ("staging", "production") for how in ("success", "failure", "inactive")
    }


def test_every_kind_of_on_call_period_is_there(demo: Api) -> None:
    kinds: set[str] = set()
    for schedule in demo.data("/v2/schedules"):
        params = {"date": "2024-03-10T00:00:00Z", "interval": 5, "intervalUnit": "months"}
        timeline = demo.data(f"/v2/schedules/{schedule['id']}/timeline", **params)["finalTimeline"]
        periods = [each for rotation in timeline["rotations"] for each in rotation.get("periods", [])]
        kinds |= {each["type"] if "recipient" in each else "nobody" for each in periods}
    assert kinds == {"historical", "default", "override", "forwarding", "nobody"}


def test_every_kind_of_escalation_is_there(demo: Api) -> None:
    found = demo.data("/v2/escalations")
    assert {"repeat" in policy for policy in found} == {True, False}
    rules = [rule for policy in found for rule in policy["rules"]]
    assert all(rule["delay"]["timeUnit"] == "minutes" for rule in rules)
    assert {rule["recipient"]["type"] for rule in rules} == {"schedule", "team", "user"}


def test_every_kind_of_incident_is_there(items: list[dict[str, Any]], demo: Api) -> None:
    services = {service["id"] for service in demo.data("/v1/services", limit=100)}
    kinds: dict[str, Callable[[dict[str, Any]], object]] = {
        "open": lambda incident: incident["status"] == "open" and "impactEndDate" not in incident,
        "resolved": lambda incident: incident["status"] == "resolved",
        "closed": lambda incident: incident["status"] == "closed" and "impactEndDate" in incident,
        "reopened": lambda incident: incident["status"] == "open" and "impactEndDate" in incident,
        "closed, never resolved": lambda incident: (
            incident["status"] == "closed" and "impactEndDate" not in incident
        ),
        "edited start": lambda incident: incident["impactStartDate"] < incident["createdAt"],
        "negative duration": lambda incident: incident.get("impactEndDate", "9") < incident["createdAt"],
        "several services": lambda incident: len(incident["impactedServices"]) > 1,
        "no service": lambda incident: not incident["impactedServices"],
        "deleted service": lambda incident: set(incident["impactedServices"]) - services,
        "user responder": lambda incident: any(who["type"] == "user" for who in incident["responders"]),
        "no responder": lambda incident: not incident["responders"],
        "tags": lambda incident: incident["tags"],
        "emoji": lambda incident: "🔥" in incident["message"],
        "script tag": lambda incident: "<script>" in incident["message"],
        "whole second": lambda incident: "." not in incident["createdAt"],
        "nine digits": lambda incident: len(incident["createdAt"]) == len("2024-06-12T12:00:00.123456789Z"),
    }
    assert [kind for kind, test in kinds.items() if not any(test(item) for item in items)] == []
    assert {item["priority"] for item in items} == {"P1", "P2", "P3", "P4", "P5"}
    assert len({item["tinyId"] for item in items}) == len(items)


def test_a_resolved_incident_has_its_resolve_in_the_timeline(items: list[dict[str, Any]], demo: Api) -> None:
    for item in items[:40]:
        entries = demo.data(f"/v2/incident-timelines/{item['id']}/entries")["entries"]
        if item["status"] == "resolved":
            assert "IncidentResolved" in {entry["type"] for entry in entries}


def test_teams_have_members_only_one_by_one(demo: Api) -> None:
    teams = demo.data("/v2/teams")
    assert all("members" not in team for team in teams)
    team = demo.data(f"/v2/teams/{teams[0]['id']}")
    assert {member["role"] for member in team["members"]} == {"admin", "user"}


def test_users_come_a_hundred_at_a_time_by_username(demo: Api) -> None:
    body = demo.get("/v2/users").json()
    names = [item["username"] for item in body["data"]]
    assert names == sorted(names)
    assert body["totalCount"] == len(names)
    assert demo.get("/v2/users", limit=501).status_code == 422


@pytest.mark.parametrize("only", [(), ("opsgenie",), ("pagerduty", "github")])
def test_the_command_line_starts_what_is_asked_for_and_reports_the_urls(
    tmp_path: Path, only: tuple[str, ...]
) -> None:
    ports_file = tmp_path / "ports.json"
    command = [sys.executable, "-m", "sandbox", "--ports-file", str(ports_file), "--end", NOW, "--days", "20"]
    for name in only:
        command += ["--only", name]
    checks = {
        "opsgenie": ("/v1/incidents", f"GenieKey {SYNC_KEY}"),
        "alerts": ("/v2/alerts", f"GenieKey {SYNC_KEY}"),
        "jsm": ("/_edge/tenant_info", ""),
        "pagerduty": ("/abilities", f"Token token={READ_KEY}"),
        "github": ("/repos/acme/ledger/deployments", f"Bearer {GITHUB_KEY}"),
    }
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("sandbox: ")
            urls = json.loads(ports_file.read_text())
            assert list(urls) == list(only or checks)
            for name, url in urls.items():
                path, authorization = checks[name]
                answer = requests.get(url + path, headers={"Authorization": authorization}, timeout=120)
                assert answer.status_code == 200, name
        finally:
            process.terminate()
            assert process.wait(120) == 0
