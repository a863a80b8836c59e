"""Who is on call: rotations, restrictions, overrides, forwarding, and the shape of the timeline."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.instants import DAY, HOUR, MINUTE, iso, to_nanos
from sandbox.opsgenie import Store
from sandbox.opsgenie.rotations import Span, shifts
from sandbox.opsgenie.staff import Participant, Rotation, Schedule
from sandbox.opsgenie.store import NOBODY, team, user
from tests.sandbox.sandbox_client import Api

ADA, BOB, EVE = (Participant("user", name, f"{name}@example.com") for name in ("ada", "bob", "eve"))
MONDAY = to_nanos("2024-06-10T00:00:00Z")


def rotation(**changes: Any) -> Rotation:
    fields: dict[str, Any] = {"start": MONDAY, "type": "daily", "participants": [ADA, BOB], **changes}
    return Rotation("r1", "Primary", **fields)


def texts(found: list[tuple[Span, Participant]]) -> list[tuple[str, str, str]]:
    return [(iso(span.start), iso(span.end), who.id) for span, who in found]


def window(start: str, end: str) -> Span:
    return Span(to_nanos(start), to_nanos(end))


def test_a_daily_turn_starts_at_the_same_local_time_across_a_dst_change() -> None:
    """Berlin, 2024-03-31: the night is an hour short, handover stays at 09:00 local."""
    found = shifts(
        rotation(start=to_nanos("2024-03-29T08:00:00Z")),
        window("2024-03-30T00:00:00Z", "2024-04-01T12:00:00Z"),
        "Europe/Berlin",
    )
    assert texts(found) == [
        ("2024-03-30T00:00:00Z", "2024-03-30T08:00:00Z", "ada"),
        ("2024-03-30T08:00:00Z", "2024-03-31T07:00:00Z", "bob"),
        ("2024-03-31T07:00:00Z", "2024-04-01T07:00:00Z", "ada"),
        ("2024-04-01T07:00:00Z", "2024-04-01T12:00:00Z", "bob"),
    ]


def test_an_hourly_turn_lasts_real_hours_across_a_dst_change() -> None:
    found = shifts(
        rotation(start=to_nanos("2024-03-30T23:00:00Z"), type="hourly", length=2),
        window("2024-03-30T23:00:00Z", "2024-03-31T05:00:00Z"),
        "Europe/Berlin",
    )
    assert [(span.end - span.start) // HOUR for span, _ in found] == [2, 2, 2]


def test_a_night_restriction_reaches_over_midnight_in_local_time() -> None:
    nights = {
        "type": "time-of-day",
        "restriction": {"startHour": 22, "startMin": 0, "endHour": 6, "endMin": 30},
    }
    found = shifts(
        rotation(participants=[ADA], type="weekly", restriction=nights),
        window("2024-06-11T00:00:00Z", "2024-06-12T12:00:00Z"),
        "America/New_York",
    )
    assert texts(found) == [
        ("2024-06-11T02:00:00Z", "2024-06-11T10:30:00Z", "ada"),
        ("2024-06-12T02:00:00Z", "2024-06-12T10:30:00Z", "ada"),
    ]


def test_a_weekday_restriction_may_span_days_and_begin_before_the_window() -> None:
    weekend = {
        "type": "weekday-and-time-of-day",
        "restrictions": [
            {
                "startDay": "friday",
                "startHour": 18,
                "startMin": 0,
                "endDay": "monday",
                "endHour": 9,
                "endMin": 0,
            }
        ],
    }
    found = shifts(
        rotation(participants=[ADA], type="weekly", length=4, restriction=weekend),
        window("2024-06-16T00:00:00Z", "2024-06-22T00:00:00Z"),
        "UTC",
    )
    assert texts(found) == [
        ("2024-06-16T00:00:00Z", "2024-06-17T09:00:00Z", "ada"),
        ("2024-06-21T18:00:00Z", "2024-06-22T00:00:00Z", "ada"),
    ]


@given(
    start=st.integers(0, 800 * 24 * 60),
    minutes=st.integers(1, 20 * 24 * 60),
    kind=st.sampled_from(["hourly", "daily", "weekly"]),
    length=st.integers(1, 3),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_an_unrestricted_rotation_covers_any_window_without_gap_or_overlap(
    start: int, minutes: int, kind: str, length: int, zone: str
) -> None:
    whole = Span(MONDAY + start * MINUTE, MONDAY + (start + minutes) * MINUTE)
    found = shifts(rotation(type=kind, length=length), whole, zone)
    assert found[0][0].start == whole.start
    assert found[-1][0].end == whole.end
    assert all(before[0].end == after[0].start for before, after in pairwise(found))


@given(cuts=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 40)), max_size=5))
def test_taking_spans_out_of_a_span_leaves_exactly_the_rest(cuts: list[tuple[int, int]]) -> None:
    others = [Span(start, start + length) for start, length in cuts]
    left = Span(10, 90).minus(others)
    expected = {at for at in range(10, 90) if not any(other.start <= at < other.end for other in others)}
    assert {at for span in left for at in range(span.start, span.end)} == expected


def scheduled(store: Store, *rotations: Rotation, zone: str = "UTC") -> Schedule:
    owner = next(iter(store.teams.values()))
    return store.add_schedule("Primary_schedule", zone, owner, list(rotations))


def periods(api: Api, schedule: Schedule, **params: Any) -> list[dict[str, Any]]:
    params.setdefault("date", "2024-06-12T00:00:00Z")
    params.setdefault("intervalUnit", "days")
    data = api.data(f"/v2/schedules/{schedule.id}/timeline", **params)
    return list(data["finalTimeline"]["rotations"][0].get("periods", []))


def test_the_past_is_historical_and_the_period_in_progress_is_cut_at_now(api: Api) -> None:
    found = periods(api, scheduled(api.store, rotation()))
    ada = {"id": "ada", "name": "ada@example.com", "type": "user"}
    assert found == [
        {
            "startDate": "2024-06-12T00:00:00Z",
            "endDate": "2024-06-12T12:00:00Z",
            "type": "historical",
            "recipient": ada,
            "flattenedRecipients": [ada],
        },
        {
            "startDate": "2024-06-12T12:00:00Z",
            "endDate": "2024-06-13T00:00:00Z",
            "type": "default",
            "recipient": ada,
        },
    ]


def test_the_window_starts_at_the_date_and_is_echoed_in_utc(api: Api) -> None:
    schedule = scheduled(api.store, rotation(), zone="Asia/Kolkata")
    data = api.data(
        f"/v2/schedules/{schedule.name}/timeline",
        identifierType="name",
        date="2024-06-12T15:00:00+02:00",
        interval=2,
        intervalUnit="weeks",
    )
    assert (data["startDate"], data["endDate"]) == ("2024-06-12T13:00:00Z", "2024-06-26T13:00:00Z")
    assert data["_parent"] == {"id": schedule.id, "name": schedule.name, "enabled": True}
    assert data["ownerTeam"]["name"] == "Payments"


def test_months_end_on_the_last_day_that_exists(api: Api) -> None:
    schedule = scheduled(api.store, rotation())
    data = api.data(
        f"/v2/schedules/{schedule.id}/timeline", date="2024-08-31T00:00:00Z", intervalUnit="months"
    )
    assert data["endDate"] == "2024-09-30T00:00:00Z"


def test_a_rotation_without_periods_has_no_such_field(api: Api) -> None:
    schedule = scheduled(api.store, rotation(end=MONDAY + DAY))
    data = api.data(f"/v2/schedules/{schedule.id}/timeline")
    assert data["finalTimeline"]["rotations"] == [{"id": "r1", "name": "Primary", "order": 0.0}]


def test_a_period_with_nobody_on_call_has_no_recipient(api: Api) -> None:
    schedule = scheduled(api.store, rotation(participants=[NOBODY]))
    assert all("recipient" not in period for period in periods(api, schedule))
    assert api.data(f"/v2/schedules/{schedule.id}/on-calls") == {
        "_parent": schedule.meta(),
        "onCallParticipants": [],
    }


def test_a_past_team_period_names_the_people_behind_it(api: Api) -> None:
    owner = next(iter(api.store.teams.values()))
    schedule = scheduled(api.store, rotation(participants=[team(owner)]))
    past, future = periods(api, schedule)
    assert past["recipient"] == {"id": owner.id, "name": "Payments", "type": "team"}
    assert [who["name"] for who in past["flattenedRecipients"]] == ["payments@example.com"]
    assert future["recipient"]["type"] == "team"


def test_an_override_replaces_the_rotation_for_its_length(api: Api) -> None:
    schedule = scheduled(api.store, rotation())
    api.store.add_override(schedule.id, EVE, "2024-06-12T14:00:00Z", "2024-06-12T18:00:00Z", ["r1"])
    future = [period for period in periods(api, schedule) if period["type"] != "historical"]
    assert [(item["startDate"][11:16], item["type"], item["recipient"]["id"]) for item in future] == [
        ("12:00", "default", "ada"),
        ("14:00", "override", "eve"),
        ("18:00", "default", "ada"),
    ]


def test_an_override_of_another_rotation_changes_nothing(api: Api) -> None:
    schedule = scheduled(api.store, rotation())
    api.store.add_override(schedule.id, EVE, "2024-06-12T14:00:00Z", "2024-06-12T18:00:00Z", ["other"])
    assert {period["recipient"]["id"] for period in periods(api, schedule)} == {"ada"}


def test_a_forwarded_period_says_from_whom(api: Api) -> None:
    schedule = scheduled(api.store, rotation())
    api.store.add_override(schedule.id, EVE, "2024-06-12T16:00:00Z", "2024-06-12T20:00:00Z")
    api.store.add_forwarding(EVE, BOB, "2024-06-12T18:00:00Z", "2024-06-14T00:00:00Z")
    future = [period for period in periods(api, schedule) if period["type"] != "historical"]
    assert [(item["startDate"][11:16], item["type"], item["recipient"]["id"]) for item in future] == [
        ("12:00", "default", "ada"),
        ("16:00", "override", "eve"),
        ("18:00", "forwarding", "bob"),
        ("20:00", "default", "ada"),
    ]
    assert [item.get("fromUser") for item in future] == [None, None, "eve@example.com", None]


def test_expand_adds_the_layers(api: Api) -> None:
    schedule = scheduled(api.store, rotation())
    api.store.add_override(schedule.id, EVE, "2024-06-12T14:00:00Z", "2024-06-12T18:00:00Z")
    path = f"/v2/schedules/{schedule.id}/timeline"
    assert "baseTimeline" not in api.data(path)
    data = api.data(path, expand="base,override,forwarding")
    (override,) = data["overrideTimeline"]["rotations"][0]["periods"]
    assert override["recipient"]["id"] == "eve"
    assert {period["recipient"]["id"] for period in data["baseTimeline"]["rotations"][0]["periods"]} == {
        "ada",
        "bob",
    }
    assert "periods" not in data["forwardingTimeline"]["rotations"][0]
    assert api.get(path, expand="weather").status_code == 422


def test_changing_rotations_does_not_rewrite_the_past(api: Api) -> None:
    schedule = scheduled(api.store, rotation())
    api.store.change_rotations(schedule.id, [Rotation("r2", "New", MONDAY, "daily", [EVE])])
    data = api.data(f"/v2/schedules/{schedule.id}/timeline", date="2024-06-12T00:00:00Z", intervalUnit="days")
    old, new = data["finalTimeline"]["rotations"]
    assert (old["id"], [period["endDate"] for period in old["periods"]]) == ("r1", ["2024-06-12T12:00:00Z"])
    assert (new["id"], [period["startDate"] for period in new["periods"]]) == ("r2", ["2024-06-12T12:00:00Z"])
    expanded = api.data("/v2/schedules", expand="rotation")[0]
    assert [item["id"] for item in expanded["rotations"]] == ["r2"]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"date": "2024-06-12"}, 422),
        ({"date": "2024-06-12T15:00:00 02:00"}, 422),  # what an unencoded '+' turns into
        ({"date": "2024-13-12T15:00:00Z"}, 422),
        ({"date": "2023-06-13T00:00:00Z"}, 200),
        ({"date": "2023-06-01T00:00:00Z"}, 422),  # more than a year back
        ({"interval": "25", "intervalUnit": "months"}, 422),  # more than two years ahead
        ({"intervalUnit": "years"}, 422),
    ],
)
def test_the_timeline_s_window_is_checked(api: Api, params: dict[str, str], status: int) -> None:
    schedule = scheduled(api.store, rotation())
    assert api.get(f"/v2/schedules/{schedule.id}/timeline", **params).status_code == status


def test_rotations_are_listed_only_when_expanded(api: Api) -> None:
    scheduled(api.store, rotation())
    body = api.get("/v2/schedules").json()
    assert body["data"][0]["rotations"] == []
    assert body["expandable"] == ["rotation"]
    assert "paging" not in body
    assert api.data("/v2/schedules", expand="rotation")[0]["rotations"][0]["id"] == "r1"


def test_overrides_list_only_what_is_ongoing_or_to_come(api: Api) -> None:
    schedule = scheduled(api.store, rotation())
    api.store.add_override(schedule.id, EVE, "2024-06-01T00:00:00Z", "2024-06-02T00:00:00Z")
    now = api.store.add_override(schedule.id, EVE, "2024-06-12T00:00:00Z", "2024-06-13T00:00:00Z")
    listed = api.data(f"/v2/schedules/{schedule.id}/overrides")
    assert [item["alias"] for item in listed] == [now.alias]
    assert listed[0]["user"] == {"type": "user", "id": "eve", "username": "eve@example.com"}
    assert listed[0]["rotations"] == [{"id": "r1", "name": "Primary"}]
    past = periods(api, schedule, date="2024-06-12T00:00:00Z")[0]
    assert (past["type"], past["recipient"]["id"]) == ("historical", "eve")


def test_on_calls_give_people_flat_or_as_a_tree(api: Api) -> None:
    owner = next(iter(api.store.teams.values()))
    member = user(next(iter(api.store.users.values())))
    schedule = scheduled(api.store, rotation(participants=[team(owner)]))
    flat = api.data(f"/v2/schedules/{schedule.name}/on-calls", scheduleIdentifierType="name", flat="true")
    assert flat == {"_parent": schedule.meta(), "onCallRecipients": [member.name]}
    (tree,) = api.data("/v2/schedules/on-calls")
    assert tree["onCallParticipants"] == [
        {"id": owner.id, "name": "Payments", "type": "team", "onCallParticipants": [member.recipient()]}
    ]


def test_on_calls_can_be_asked_for_another_instant(api: Api) -> None:
    schedule = scheduled(api.store, rotation())
    path = f"/v2/schedules/{schedule.id}/on-calls"
    assert api.data(path, flat="true")["onCallRecipients"] == ["ada@example.com"]
    tomorrow = api.data(path, flat="true", date="2024-06-13T12:00:00Z")
    assert tomorrow["onCallRecipients"] == ["bob@example.com"]
