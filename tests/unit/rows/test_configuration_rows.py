from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from opsgenie_provider.rows import configuration as rows
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.tables import (
    ESCALATION_RULES,
    ESCALATIONS,
    ROTATIONS,
    SCHEDULES,
    SERVICES,
    TEAMS,
    USERS,
    Row,
    Table,
)
from tests.unit.rows.payloads import ESCALATION, SCHEDULE, SERVICE, TEAM, USER, raw, without

STARTS = datetime(2026, 1, 5, 6, tzinfo=UTC)


def named(table: Table, row: Row) -> dict[str, Any]:
    return dict(zip(table.columns, row, strict=True))


@pytest.mark.parametrize(
    ("read", "table", "payload", "expected"),
    [
        (
            rows.service_rows,
            SERVICES,
            SERVICE,
            {"service_id": "svc-1", "name": "checkout", "team_id": "team-1"},
        ),
        (rows.team_rows, TEAMS, TEAM, {"team_id": "team-1", "name": "Payments"}),
        (
            rows.user_rows,
            USERS,
            USER,
            {"user_id": "user-1", "username": "ann@example.com", "full_name": "Ann"},
        ),
        (
            rows.schedule_rows,
            SCHEDULES,
            SCHEDULE,
            {
                "schedule_id": "sched-1",
                "name": "Payments_schedule",
                "timezone": "Europe/Istanbul",
                "enabled": True,
                "team_id": "team-1",
            },
        ),
        (
            rows.escalation_rows,
            ESCALATIONS,
            ESCALATION,
            {
                "escalation_id": "esc-1",
                "name": "Payments_escalation",
                "team_id": "team-1",
                "repeat_count": 2,
                "repeat_wait_seconds": 600,
            },
        ),
    ],
)
def test_every_column(read: Any, table: Table, payload: Any, expected: dict[str, Any]) -> None:
    [row] = read(raw(payload), account="acme")
    found = named(table, row)
    assert json.loads(found.pop("raw")) == payload
    assert found == {"account": "acme", "backend": "opsgenie"} | expected
    # Of an object with nothing but an id, nothing else is known.
    [row] = read(raw({"id": "x"}), account="acme")
    assert {value for name, value in named(table, row).items() if name != "raw"} == {
        "acme",
        "opsgenie",
        "x",
        None,
    }
    with pytest.raises(UnreadablePayloadError, match=r"^id: missing$"):
        read(raw(without(payload, "id")), account="acme")


def test_every_column_of_rotations() -> None:
    first, second = (named(ROTATIONS, row) for row in rows.rotation_rows(raw(SCHEDULE), account="acme"))
    assert json.loads(first.pop("raw")) == SCHEDULE["rotations"][0]
    assert json.loads(first.pop("participants")) == SCHEDULE["rotations"][0]["participants"]
    assert json.loads(first.pop("time_restriction")) == SCHEDULE["rotations"][0]["timeRestriction"]
    assert first == {
        "account": "acme",
        "backend": "opsgenie",
        "schedule_id": "sched-1",
        "rotation_id": "rot-1",
        "name": "Weekdays",
        "rotation_type": "weekly",
        "rotation_length": 2,
        "start_at": STARTS,
        "end_at": STARTS.replace(year=2027),
    }
    assert (second["name"], second["end_at"], second["time_restriction"]) == (None, None, None)
    assert second["participants"] == "[]"


def test_every_column_of_escalation_rules() -> None:
    found = [named(ESCALATION_RULES, r) for r in rows.escalation_rule_rows(raw(ESCALATION), account="acme")]
    assert [json.loads(row.pop("raw")) for row in found] == ESCALATION["rules"]
    key = {"account": "acme", "backend": "opsgenie", "escalation_id": "esc-1"}
    assert found == [
        key
        | {
            "step": 1,
            "condition": "if-not-acked",
            "notify_type": "default",
            "delay_seconds": 300,
            "recipient_type": "schedule",
            "recipient_id": "sched-1",
            "recipient_name": "Payments_schedule",
        },
        key
        | {
            "step": 2,
            "condition": "if-not-closed",
            "notify_type": "all",
            "delay_seconds": 3600,
            "recipient_type": "user",
            "recipient_id": "user-1",
            "recipient_name": "ann@example.com",
        },
    ]


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ({"timeAmount": 0, "timeUnit": "minutes"}, 0),
        ({"timeAmount": 2, "timeUnit": "days"}, 172_800),
        ({"timeAmount": 90, "timeUnit": "SECONDS"}, 90),
        ({"timeAmount": 1500, "timeUnit": "miliseconds"}, 1),
        ({"timeAmount": 1500, "timeUnit": "milliseconds"}, 1),
        ({"timeAmount": 5_000_000, "timeUnit": "micros"}, 5),
        ({"timeAmount": 7 * 10**9, "timeUnit": "nanos"}, 7),
        ({"timeAmount": 5}, 300),
        ({"timeUnit": "minutes"}, None),
        (5, 300),  # JSM operations
        (0, 0),
        (None, None),
        ({}, None),
    ],
)
def test_delays_are_in_seconds(delay: Any, seconds: int | None) -> None:
    assert rows.delay_seconds({"delay": delay}) == seconds


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"rules": [{"delay": {"timeAmount": 1, "timeUnit": "moons"}}]}, "delay: unknown unit 'moons'"),
        ({"rules": [{"delay": {"timeAmount": 2**62, "timeUnit": "days"}}]}, "delay: .* is out of range"),
        ({"rules": [{"delay": "soon"}]}, "delay: 'soon' is not a number"),
        ({"rules": [None]}, "rules: expected objects"),
        ({"rules": {}}, "rules: expected a list"),
    ],
)
def test_rules_that_cannot_be_read_say_why(payload: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnreadablePayloadError, match=reason):
        rows.escalation_rule_rows(raw({"id": "e"} | payload), account="acme")


@pytest.mark.parametrize(
    ("read", "payload", "field", "rows_left"),
    [
        (rows.service_rows, SERVICE, {"teamId": []}, 1),
        (rows.team_rows, TEAM, {"name": []}, 1),
        (rows.user_rows, USER, {"fullName": {}}, 1),
        (rows.schedule_rows, SCHEDULE, {"enabled": "yes"}, 1),
        (rows.schedule_rows, SCHEDULE, {"ownerTeam": "team-1"}, 1),
        (rows.rotation_rows, SCHEDULE, {"rotations": [*SCHEDULE["rotations"], "third"]}, 2),
        (rows.escalation_rows, ESCALATION, {"repeat": 3}, 1),
        (rows.escalation_rule_rows, ESCALATION, {"rules": [None, *ESCALATION["rules"]]}, 2),
    ],
)
def test_only_the_part_that_cannot_be_read_is_left_out(
    read: Any, payload: Any, field: dict[str, Any], rows_left: int
) -> None:
    rejected: list[tuple[bytes, str]] = []
    found = read(raw(payload | field), account="acme", rejected=rejected)
    assert len(found) == rows_left
    [(part, reason)] = rejected
    [name] = field
    assert json.loads(part)["id"] == payload["id"]
    assert reason.startswith(f"{name}: ")
    if read is rows.escalation_rule_rows:
        assert [row[2] for row in found] == [2, 3], "a rule that cannot be read is a step all the same"


def test_a_wait_that_no_column_holds_is_refused() -> None:
    with pytest.raises(UnreadablePayloadError, match=r"waitInterval: .* is out of range"):
        rows.escalation_rows(raw({"id": "e", "repeat": {"waitInterval": 2**30}}), account="acme")
