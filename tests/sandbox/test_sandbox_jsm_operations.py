"""Schedules, timelines and on-calls of Operations: OpsGenie's data in other words."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox.instants import to_nanos
from sandbox.jsm.store import SYNC_ACCOUNT, SYNC_TOKEN
from sandbox.opsgenie.staff import Participant, Rotation, Rule, Schedule
from sandbox.opsgenie.store import NOBODY, escalation, team
from tests.sandbox.sandbox_client import Jsm

ANN, BOB = "712020:ann", "5b10ac8d82e05b22cc7d4ef5"
MONDAY = to_nanos("2024-06-10T00:00:00Z")  # now is Wednesday, noon


def scheduled(jira: Jsm, *participants: Participant, zone: str = "UTC", **rotation: Any) -> Schedule:
    """A schedule of one rotation whose turns are days."""
    who = list(participants) or [jira.store.person(ANN), jira.store.person(BOB)]
    operations = jira.store.operations
    made = Rotation(f"r{len(operations.schedules)}", "Primary", MONDAY, "daily", who, **rotation)
    owner = operations.teams["team-payments"]
    return operations.add_schedule(f"Payments {len(operations.schedules)}", zone, owner, [made])


def timeline(jira: Jsm, schedule: Schedule, **params: Any) -> Any:
    return jira.ops(f"/schedules/{schedule.id}/timeline", **params)


def periods(jira: Jsm, schedule: Schedule, **params: Any) -> list[Any]:
    rotations = timeline(jira, schedule, intervalUnit="days", **params)["finalTimeline"]["rotations"]
    return [period for rotation in rotations for period in rotation["periods"]]


# Pages.


def test_next_is_relative_and_lacks_the_cloud_id(jira: Jsm) -> None:
    made = [scheduled(jira).id for _ in range(60)]
    first = jira.ops("/schedules", expand="rotation")
    assert (len(first["values"]), first["links"]) == (25, {"next": "/v1/schedules?offset=25&size=25"})
    assert "cloud" not in first["links"]["next"]
    pages = [jira.ops("/schedules", size=50, offset=offset) for offset in (0, 50)]
    assert [schedule["id"] for page in pages for schedule in page["values"]] == made
    assert "next" not in pages[1]["links"]
    assert "rotations" not in pages[0]["values"][0]
    jira.store.switches.last_link = "null"
    assert jira.ops("/schedules", size=50, offset=50)["links"] == {"next": None}


@pytest.mark.parametrize(
    ("path", "default", "most"), [("/schedules", 25, 50), ("/teams/team-payments/escalations", 20, 100)]
)
def test_a_size_above_the_cap_is_a_422_or_the_cap(jira: Jsm, path: str, default: int, most: int) -> None:
    owner = jira.store.operations.teams["team-payments"]
    for number in range(most + 1):
        scheduled(jira)
        jira.store.operations.add_escalation(f"e{number}", owner, [])
    assert len(jira.ops(path)["values"]) == default
    assert len(jira.ops(path, size=most)["values"]) == most
    response = jira.get(f"{jira.ops_base}{path}", size=most + 1)
    assert (response.status_code, "errors" in response.json()) == (422, True)
    jira.store.switches.size_over_cap_fails = False
    assert len(jira.ops(path, size=most + 1)["values"]) == most


def test_paging_may_be_stuck(jira: Jsm) -> None:
    """What a guard against a repeated page is for."""
    scheduled(jira)
    jira.store.switches.stuck_paging = True
    pages = [jira.ops("/schedules", offset=offset) for offset in (0, 25)]
    assert pages[0] == pages[1]


# Schedules.


def test_a_schedule_names_its_team_by_id_and_people_by_account_id(jira: Jsm) -> None:
    schedule = scheduled(jira, jira.store.person(ANN), NOBODY)
    (body,) = jira.ops("/schedules", expand="rotation")["values"]
    assert (body["teamId"], body["timezone"], body["enabled"]) == ("team-payments", "UTC", True)
    assert body["rotations"][0]["participants"] == [
        {"type": "user", "id": ANN},
        {"type": "noone", "id": None},
    ]
    assert jira.ops(f"/schedules/{schedule.id}/rotations")["values"] == body["rotations"]


@pytest.mark.parametrize("reading", ["empty", "null", "absent"])
def test_a_global_schedule_has_no_team(jira: Jsm, reading: str) -> None:
    scheduled(jira).team_id = ""
    jira.store.switches.global_team = reading
    (body,) = jira.ops("/schedules")["values"]
    assert body.get("teamId", "absent") == {"empty": "", "null": None, "absent": "absent"}[reading]


def test_a_member_sees_its_teams_and_its_own_schedules_and_others_nothing(jira: Jsm) -> None:
    """Shorter lists, no errors; what is asked for by its id is refused."""
    mine, other = scheduled(jira), scheduled(jira)
    other.team_id = jira.store.add_team("Data", [BOB], id="team-data").id
    other.rotations = []
    jira.store.tokens[SYNC_TOKEN].role = "member"
    jira.store.tokens[SYNC_TOKEN].account_id = ANN
    jira.authorization = f"Basic {base64.b64encode(f'ann@example.com:{SYNC_TOKEN}'.encode()).decode()}"
    assert [schedule["id"] for schedule in jira.ops("/schedules")["values"]] == [mine.id]
    assert jira.ops("/teams") == {"platformTeams": [{"teamId": "team-payments", "teamName": "Payments"}]}
    assert jira.get(f"{jira.ops_base}/schedules/{other.id}/timeline").status_code == 403
    assert jira.get(f"{jira.ops_base}/teams/team-data/escalations").status_code == 403
    assert jira.get(f"{jira.ops_base}/roles").status_code == 403, "the probe of reach"
    jira.store.add_override(other.id, ANN, "2024-06-12T00:00:00Z", "2024-06-13T00:00:00Z")
    assert len(jira.ops("/schedules")["values"]) == 2
    jira.store.tokens[SYNC_TOKEN].role = "none"
    assert (jira.ops("/schedules")["values"], jira.ops("/teams")) == ([], {"platformTeams": []})
    assert jira.ops("/alerts")["count"] == 0


def test_schedules_are_found_by_name(jira: Jsm) -> None:
    for _ in range(11):
        scheduled(jira)
    assert len(jira.ops("/schedules", query="payments 1")["values"]) == 1
    assert len(jira.ops("/schedules", query="PAYMENTS 1*")["values"]) == 2


# Timelines.


@pytest.mark.parametrize(
    ("params", "start", "end"),
    [
        ({}, "2024-06-10T00:00:00Z", "2024-06-17T00:00:00Z"),
        ({"date": "2023-12-15T11:00:00Z", "interval": 2, "intervalUnit": "months"},
         "2023-12-01T00:00:00Z", "2024-02-01T00:00:00Z"),
        ({"date": "2024-06-09T23:59:59.999Z"}, "2024-06-03T00:00:00Z", "2024-06-10T00:00:00Z"),
        ({"date": "2024-06-10T00:30:00+02:00", "intervalUnit": "days", "interval": 3},
         "2024-06-09T00:00:00Z", "2024-06-12T00:00:00Z"),
    ],
)  # fmt: skip
def test_the_window_begins_where_its_unit_does(
    jira: Jsm, params: dict[str, Any], start: str, end: str
) -> None:
    """Not at `date`. A week begins on a Monday, and one from now is the default."""
    body = timeline(jira, scheduled(jira, zone="Asia/Kolkata"), **params)
    assert (body["startDate"], body["endDate"]) == (start, end)


def test_the_unit_may_begin_in_the_schedule_s_or_the_caller_s_zone(jira: Jsm) -> None:
    schedule = scheduled(jira, zone="Asia/Kolkata")
    jira.store.accounts[SYNC_ACCOUNT].time_zone = "America/New_York"
    begins = {}
    for reading in ("utc", "schedule", "account"):
        jira.store.switches.timeline_zone = reading
        begins[reading] = timeline(jira, schedule, intervalUnit="days")["startDate"]
    assert begins == {
        "utc": "2024-06-12T00:00:00Z",
        "schedule": "2024-06-11T18:30:00Z",
        "account": "2024-06-12T04:00:00Z",
    }


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"date": "2023-06-13T00:00:00Z", "intervalUnit": "days"}, 200),
        ({"date": "2023-06-12T00:00:00Z", "intervalUnit": "days"}, 422),
        ({"date": "2023-06-20T00:00:00Z", "intervalUnit": "months"}, 422),
        ({"intervalUnit": "months", "interval": 24}, 200),
        ({"intervalUnit": "months", "interval": 26}, 422),
        ({"intervalUnit": "years"}, 422),
        ({"interval": 0}, 422),
        ({"date": "2024-06-12"}, 422),
        ({"date": "2024-06-12T15:00:00 02:00"}, 422),
        ({"expand": "weather"}, 422),
    ],
)
def test_a_timeline_reaches_a_year_back_and_two_ahead(jira: Jsm, params: dict[str, Any], status: int) -> None:
    schedule = scheduled(jira)
    assert jira.get(f"{jira.ops_base}/schedules/{schedule.id}/timeline", **params).status_code == status
    if params.get("date") == "2023-06-20T00:00:00Z":
        jira.store.switches.timeline_reach = "date"
        assert timeline(jira, schedule, **params)["startDate"] == "2023-06-01T00:00:00Z"


def test_the_past_is_historical_and_names_people_the_future_does_not(jira: Jsm) -> None:
    owner = jira.store.operations.teams["team-payments"]
    found = periods(jira, scheduled(jira, team(owner)), date="2024-06-12T00:00:00Z")
    payments = {"id": "team-payments", "type": "team", "deleted": False}
    people = [{"id": id_, "type": "user", "deleted": False} for id_ in (ANN, BOB)]
    assert found == [
        {"startDate": "2024-06-12T00:00:00Z", "endDate": "2024-06-12T12:00:00Z", "type": "historical",
         "responder": payments, "flattenedResponders": people},
        {"startDate": "2024-06-12T12:00:00Z", "endDate": "2024-06-13T00:00:00Z", "type": "base",
         "responder": payments},
    ]  # fmt: skip


def test_nobody_on_call_is_a_responder_without_an_id(jira: Jsm) -> None:
    schedule = scheduled(jira, NOBODY)
    assert {str(period["responder"]) for period in periods(jira, schedule)} == {
        str({"type": "noone", "deleted": False})
    }
    assert jira.ops(f"/schedules/{schedule.id}/on-calls", flat="true") == {"onCallUsers": []}


def test_a_deleted_rotation_keeps_its_past_without_an_order(jira: Jsm) -> None:
    schedule = scheduled(jira)
    jira.store.operations.change_rotations(
        schedule.id, [*schedule.rotations, Rotation("new", "New", MONDAY, "daily", [jira.store.person(BOB)])]
    )
    jira.store.clock.advance(3600)
    jira.store.drop_rotation(schedule.id, "r0")
    gone, kept = timeline(jira, schedule, intervalUnit="days")["finalTimeline"]["rotations"]
    assert (gone["id"], gone["deleted"], gone["order"]) == ("r0", True, None)
    assert gone["periods"][-1]["endDate"] == "2024-06-12T13:00:00Z"
    assert (kept["id"], kept["deleted"], kept["order"]) == ("new", False, 0.0)


def test_who_was_deleted_is_marked(jira: Jsm) -> None:
    schedule = scheduled(jira, jira.store.person(ANN))
    jira.store.drop_account(ANN)
    assert all(period["responder"]["deleted"] for period in periods(jira, schedule))


def test_overrides_and_forwarding_are_types_of_periods(jira: Jsm) -> None:
    schedule = scheduled(jira, jira.store.person(ANN))
    ann, bob = jira.store.person(ANN), jira.store.person(BOB)
    jira.store.add_override(schedule.id, BOB, "2024-06-12T14:00:00Z", "2024-06-12T16:00:00Z")
    jira.store.operations.add_forwarding(ann, bob, "2024-06-12T20:00:00Z", "2024-06-12T22:00:00Z")
    future = [period for period in periods(jira, schedule) if period["type"] != "historical"]
    assert [(period["startDate"][11:13], period["type"], period["responder"]["id"]) for period in future] == [
        ("12", "base", ANN),
        ("14", "override", BOB),
        ("16", "base", ANN),
        ("20", "forwarding", BOB),
        ("22", "base", ANN),
    ]
    froms = [period.get("from") for period in future]
    assert froms == [None, None, None, {"id": ANN, "type": "user", "deleted": False}, None]
    layers = timeline(jira, schedule, expand=["base", "override"])
    assert {name for name in layers if name.endswith("Timeline")} == {
        "finalTimeline",
        "baseTimeline",
        "overrideTimeline",
    }


def test_overrides_list_what_is_ongoing_or_to_come(jira: Jsm) -> None:
    schedule = scheduled(jira)
    jira.store.add_override(schedule.id, ANN, "2024-06-01T00:00:00Z", "2024-06-02T00:00:00Z")
    jira.store.add_override(schedule.id, ANN, "2024-06-12T00:00:00Z", "2024-06-13T00:00:00Z", ["r0"])
    jira.store.operations.add_override(schedule.id, NOBODY, "2024-07-01T00:00:00Z", "2024-07-02T00:00:00Z")
    now, later = jira.ops(f"/schedules/{schedule.id}/overrides")["values"]
    assert (now["responder"], now["rotationIds"]) == ({"type": "user", "id": ANN}, ["r0"])
    assert (later["responder"]["type"], later["rotationIds"]) == ("noone", None)


def test_on_calls_are_account_ids_flat_or_a_tree(jira: Jsm) -> None:
    owner = jira.store.operations.teams["team-payments"]
    policy = jira.store.operations.add_escalation(
        "Policy", owner, [Rule("if-not-acked", "default", 0, jira.store.person(BOB))]
    )
    schedule = scheduled(jira, escalation(policy))
    path = f"/schedules/{schedule.id}/on-calls"
    assert jira.ops(path, flat="true") == {"onCallUsers": [BOB]}
    assert jira.ops(path) == {
        "onCallParticipants": [
            {"id": policy.id, "type": "escalation", "onCallParticipants": [{"id": BOB, "type": "user"}]}
        ]
    }
    assert jira.ops(path, flat="true", date="2024-06-01T00:00:00Z") == {"onCallUsers": []}
    assert jira.get(f"{jira.ops_base}/schedules/on-calls").status_code == 404, "no list of all at once"
