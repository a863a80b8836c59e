"""Services, teams, users, schedules, policies and on-call periods, field by field."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from opsgenie_provider.rows import jsm_configuration as configuration
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.jsm_on_call import people_in_timeline, timeline
from opsgenie_provider.rows.parts import Rejected
from tests.unit.rows.jsm_payloads import (
    ANN,
    BEN,
    DIRECTORY,
    ESCALATION,
    SCHEDULE,
    SERVICE,
    SERVICE_ARI,
    TEAM,
    TEAM_PAYLOAD,
    TIMELINE,
    USER,
    raw,
)


def source(payload: Any) -> str:
    return json.dumps(payload, separators=(",", ":"))


def rule_rows(payload: Any) -> list[Any]:
    return configuration.escalation_rule_rows(raw(payload), account="acme", directory=DIRECTORY)


def on_call(*periods: Any, **other: Any) -> dict[str, Any]:
    rotation = {"id": "rot-1", "order": 1.0, "deleted": False, "periods": list(periods)}
    return TIMELINE | {"finalTimeline": {"rotations": [rotation]}} | other


def period(**other: Any) -> dict[str, Any]:
    usual = {"startDate": "2026-08-03T08:00:00Z", "endDate": "2026-08-03T18:00:00Z", "type": "base"}
    return usual | {"responder": {"type": "user", "id": ANN}} | other


def test_a_service_has_the_id_by_which_incidents_refer_to_it() -> None:
    assert configuration.service_rows(raw(SERVICE), account="acme") == [
        ("acme", SERVICE_ARI, "checkout", TEAM, "jsm", source(SERVICE))
    ]


@pytest.mark.parametrize("identity", [SERVICE_ARI, SERVICE["id"].rstrip("="), SERVICE["id"]])
def test_ids_of_services_however_they_are_written(identity: str) -> None:
    [row] = configuration.service_rows(raw(SERVICE | {"id": identity, "owner": ""}), account="acme")
    assert (row[1], row[3]) == (SERVICE_ARI, None)


@pytest.mark.parametrize("identity", ["b:", "b:%%%", "b:aGVsbG8=", "b:/w==", None])
def test_an_id_that_encodes_no_ari_is_refused(identity: str | None) -> None:
    with pytest.raises(UnreadablePayloadError, match="id: "):
        configuration.service_rows(raw(SERVICE | {"id": identity}), account="acme")


@pytest.mark.parametrize(
    ("read", "payload", "field"),
    [
        (configuration.service_rows, SERVICE, "owner"),
        (configuration.team_rows, TEAM_PAYLOAD, "teamName"),
        (configuration.user_rows, USER, "displayName"),
        (configuration.schedule_rows, SCHEDULE, "timezone"),
    ],
)
def test_a_part_of_an_unknown_shape_is_rejected_alone(read: Any, payload: dict[str, Any], field: str) -> None:
    rejected: Rejected = []
    [row] = read(raw(payload | {field: ["?"]}), account="acme", rejected=rejected)
    [good] = read(raw(payload), account="acme")
    assert [mine for mine, theirs in zip(row[:-1], good[:-1], strict=True) if mine != theirs] == [None]
    assert len(rejected) == 1


def test_a_team() -> None:
    assert configuration.team_rows(raw(TEAM_PAYLOAD), account="acme") == [
        ("acme", TEAM, "Payments", "jsm", source(TEAM_PAYLOAD))
    ]


@pytest.mark.parametrize("address", [{}, {"emailAddress": ""}, {"emailAddress": None}])
def test_a_user_may_hide_the_address(address: dict[str, Any]) -> None:
    [row] = configuration.user_rows(raw(USER), account="acme")
    assert row == ("acme", ANN, "ann@example.com", "Ann", "jsm", source(USER))
    hidden = {name: value for name, value in USER.items() if name != "emailAddress"} | address
    [row] = configuration.user_rows(raw(hidden), account="acme")
    assert row[1:4] == (ANN, None, "Ann")


@pytest.mark.parametrize(("team", "expected"), [(TEAM, TEAM), ("", None), (None, None)])
def test_a_schedule(team: str | None, expected: str | None) -> None:
    payload = SCHEDULE | {"teamId": team}
    assert configuration.schedule_rows(raw(payload), account="acme") == [
        ("acme", "sched-1", "Payments_schedule", "Asia/Kolkata", True, expected, "jsm", source(payload))
    ]


def test_rotations_keep_participants_as_they_come() -> None:
    first, second = configuration.rotation_rows(raw(SCHEDULE), account="acme")
    start_at, end_at = datetime(2026, 1, 5, 6, tzinfo=UTC), datetime(2027, 1, 5, 6, tzinfo=UTC)
    assert first[:8] == ("acme", "sched-1", "rot-1", "Weekdays", "weekly", 2, start_at, end_at)
    assert json.loads(first[8]) == SCHEDULE["rotations"][0]["participants"]
    assert json.loads(first[9]) == SCHEDULE["rotations"][0]["timeRestriction"]
    assert second[3:10] == (None, "daily", 1, start_at, None, None, None)


@pytest.mark.parametrize("rotations", [{}, {"rotations": None}, {"rotations": {}}])
def test_a_schedule_without_its_rotations_is_not_one_without_any(rotations: dict[str, Any]) -> None:
    payload = {name: value for name, value in SCHEDULE.items() if name != "rotations"} | rotations
    with pytest.raises(UnreadablePayloadError, match="rotations: "):
        configuration.rotation_rows(raw(payload), account="acme")
    assert configuration.rotation_rows(raw(SCHEDULE | {"rotations": []}), account="acme") == []


@pytest.mark.parametrize(
    ("repeat", "count", "wait"),
    [
        ({"waitInterval": 15, "count": 3}, 3, 900),
        ({"waitInterval": 0, "count": 1}, None, None),
        ({"count": 3}, 3, None),
        ({}, None, None),
        (None, None, None),
    ],
)
def test_an_escalation_policy_is_its_teams(repeat: Any, count: int | None, wait: int | None) -> None:
    payload = ESCALATION | {"repeat": repeat}
    [row] = configuration.escalation_rows(raw(payload), account="acme", team_id=TEAM)
    assert row == ("acme", "esc-1", "Payments_escalation", TEAM, count, wait, "jsm", source(payload))


def test_rules_are_in_minutes_and_name_whom_they_notify() -> None:
    rows = rule_rows(ESCALATION)
    assert [row[2:9] for row in rows] == [
        (1, "if-not-acked", "default", 0, "schedule", "sched-1", "Payments_schedule"),
        (2, "if-not-closed", "all", 5400, "user", ANN, "ann@example.com"),
        # Nobody knows the id.
        (3, "if-not-acked", "next", 300, "user", "gone", None),
    ]
    assert json.loads(rows[1][10]) == ESCALATION["rules"][1]


@pytest.mark.parametrize("rules", [{}, {"rules": None}, {"rules": [3]}])
def test_a_policy_without_its_rules_is_refused(rules: dict[str, Any]) -> None:
    payload = {name: value for name, value in ESCALATION.items() if name != "rules"} | rules
    with pytest.raises(UnreadablePayloadError, match="rules: "):
        rule_rows(payload)


def test_a_directory_knows_addresses_before_names() -> None:
    hidden = {"accountId": BEN, "displayName": "Ben"}
    directory = configuration.directory_of(
        users=map(raw, [USER, hidden, {"displayName": "?"}, 3]),
        teams=[raw(TEAM_PAYLOAD)],
        schedules=[raw(SCHEDULE)],
        escalations=[raw(ESCALATION)],
    )
    assert directory == DIRECTORY
    assert directory.name("user", TEAM) is None
    assert directory.name(None, None) is None


def test_people_are_met_in_schedules_and_policies() -> None:
    assert configuration.people_in_schedule(raw(SCHEDULE)) == {ANN}
    assert configuration.people_in_escalation(raw(ESCALATION)) == {ANN, "gone"}
    assert configuration.people_in_schedule(raw({"rotations": 3})) == set()


# --- on call


def test_a_timeline_is_who_was_and_will_be_on_call() -> None:
    found = timeline(raw(TIMELINE), directory=DIRECTORY)
    assert (found.start_at, found.end_at) == (
        datetime(2026, 8, 3, tzinfo=UTC),
        datetime(2026, 8, 10, tzinfo=UTC),
    )
    assert [
        (
            p.rotation_id,
            p.recipient_type,
            p.recipient_id,
            p.recipient_name,
            f"{p.start_at:%d %H}",
            p.period_type,
        )
        for p in found.periods
    ] == [
        # The people behind a team, where they are given.
        ("rot-1", "user", ANN, "ann@example.com", "03 08", "historical"),
        ("rot-1", "user", BEN, "Ben", "03 08", "historical"),
        # Nobody on the second day; a policy itself on the third, whose people are not known yet.
        ("rot-1", "escalation", "esc-1", "Payments_escalation", "05 08", "base"),
        # A rotation that was deleted since keeps its past, and a user who is gone has no name.
        ("rot-0", "user", "gone", None, "03 00", "historical"),
    ]
    first = found.periods[0]
    assert first.end_at == datetime(2026, 8, 3, 18, tzinfo=UTC)
    assert json.loads(first.raw or "")["responder"] == {"type": "team", "id": TEAM}
    assert people_in_timeline(raw(TIMELINE)) == {ANN, BEN, "gone"}


def test_periods_are_clipped_to_the_window_of_the_answer() -> None:
    payload = on_call(
        period(startDate="2026-08-02T08:00:00Z", endDate="2026-08-03T02:00:00Z"),
        period(startDate="2026-08-09T22:00:00Z", endDate="2026-08-11T02:00:00Z"),
        period(startDate="2026-08-01T08:00:00Z", endDate="2026-08-02T02:00:00Z"),
        period(startDate="2026-08-05T08:00:00Z", endDate="2026-08-05T08:00:00Z"),
    )
    found = timeline(raw(payload), directory=DIRECTORY)
    assert [(each.start_at, each.end_at) for each in found.periods] == [
        (found.start_at, datetime(2026, 8, 3, 2, tzinfo=UTC)),
        (datetime(2026, 8, 9, 22, tzinfo=UTC), found.end_at),
    ]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (period(responder={"type": "noone"}), []),
        (period(responder={"type": "noone", "id": None}), []),
        (period(responder={"type": "team", "id": TEAM}), [("team", TEAM)]),
        (period(responder={"type": "team", "id": TEAM}, flattenedResponders=None), [("team", TEAM)]),
        # A team behind which there is nobody.
        (period(responder={"type": "team", "id": TEAM}, flattenedResponders=[]), []),
        (period(flattenedResponders=[]), [("user", ANN)]),
        (period(flattenedResponders=[{"type": "noone"}, {"type": "user", "id": BEN}]), [("user", BEN)]),
    ],
)
def test_who_is_on_call_in_a_period(item: Any, expected: list[Any]) -> None:
    found = timeline(raw(on_call(item)), directory=DIRECTORY).periods
    assert [(each.recipient_type, each.recipient_id) for each in found] == expected


@pytest.mark.parametrize(
    "payload",
    [
        TIMELINE | {"finalTimeline": None},
        TIMELINE | {"finalTimeline": {}},
        TIMELINE | {"finalTimeline": {"rotations": None}},
        TIMELINE | {"startDate": None},
        TIMELINE | {"endDate": "later"},
        on_call({name: value for name, value in period().items() if name != "responder"}),
        # OpsGenie's word for it.
        on_call({"recipient" if name == "responder" else name: value for name, value in period().items()}),
        on_call(period(responder=None)),
        on_call(period(responder={"id": ANN})),
        on_call(period(responder={"type": "user"})),
        on_call(period(responder="ann")),
        on_call(period(flattenedResponders=[ANN])),
        on_call(period(startDate=None)),
        on_call(3),
        [],
    ],
)
def test_a_timeline_of_an_unknown_shape_says_nothing_of_who_is_on_call(payload: Any) -> None:
    with pytest.raises(UnreadablePayloadError):
        timeline(raw(payload), directory=DIRECTORY)
    assert people_in_timeline(raw(payload)) <= {ANN, BEN, "gone"}
