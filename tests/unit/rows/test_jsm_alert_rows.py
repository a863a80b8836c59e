"""Alerts of Jira Service Management, column by column."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.jsm_alerts import alert_values
from opsgenie_provider.rows.parts import Rejected
from tests.unit.rows.jsm_payloads import raw

ALERT: dict[str, Any] = {
    "id": "5e1f0a7b-0000-4111-8222-333344445555-1785800000123",
    "tinyId": "17",
    "createdAt": "2026-08-04T03:35:20.336Z",
    "updatedAt": "2026-08-04T03:40:00Z",
    "lastOccuredAt": "2026-08-04T03:38:00Z",
    "message": "CPU is high",
    "entity": "checkout",
    "source": "prometheus",
    "status": "closed",
    "alias": "cpu-checkout",
    "tags": ["service:checkout"],
    "extraProperties": {"service": "checkout"},
    "description": "",
    "acknowledged": True,
    "ackTime": "2026-08-04T03:36:00Z",
    "closeTime": "2026-08-04T03:40:00Z",
    "count": 3,
    "owner": "Ann",
    "priority": "P1",
}


def at(minute: int) -> datetime:
    return datetime(2026, 8, 4, 3, minute, tzinfo=UTC)


def test_an_alert() -> None:
    rejected: Rejected = []
    assert alert_values(raw(ALERT), rejected) == {
        "alert_id": ALERT["id"],
        "tiny_id": "17",
        "alias": "cpu-checkout",
        "message": "CPU is high",
        "description": None,
        "status": "closed",
        "priority": "P1",
        "source": "prometheus",
        "entity": "checkout",
        "owner": "Ann",
        "tags": ["service:checkout"],
        "details": '{"service":"checkout"}',
        "alert_count": 3,
        "created_at": datetime(2026, 8, 4, 3, 35, 20, 336_000, UTC),
        "updated_at": at(40),
        "last_occurred_at": at(38),
        "acknowledged_at": at(36),
        "closed_at": at(40),
        "web_url": None,
        "backend": "jsm",
        "raw": json.dumps(ALERT, separators=(",", ":")),
    }
    assert rejected == []


@pytest.mark.parametrize(
    ("fields", "acknowledged", "closed"),
    [
        ({}, 36, 40),
        # Open again: its end is left over.
        ({"status": "open"}, 36, None),
        ({"status": "acked", "closeTime": None}, 36, None),
        ({"ackTime": None}, None, 40),
        ({"ackTime": ""}, None, 40),
        # As OpsGenie has them: milliseconds since the alert was created.
        (
            {
                "ackTime": None,
                "closeTime": None,
                "createdAt": "2026-08-04T03:35:00Z",
                "report": {"ackTime": 60_000, "closeTime": 300_000},
            },
            36,
            40,
        ),
    ],
)
def test_when_an_alert_was_acknowledged_and_closed(
    fields: Any, acknowledged: int | None, closed: int | None
) -> None:
    found = alert_values(raw(ALERT | fields), [])
    assert found["acknowledged_at"] == (None if acknowledged is None else at(acknowledged))
    assert found["closed_at"] == (None if closed is None else at(closed))


@pytest.mark.parametrize(
    "fields",
    [{"id": None}, {"createdAt": None}, {"status": {"name": "open"}}, {"priority": {"name": "P1"}}],
)
def test_an_alert_of_an_unknown_shape_is_refused(fields: Any) -> None:
    with pytest.raises(UnreadablePayloadError):
        alert_values(raw(ALERT | fields), [])


@pytest.mark.parametrize(
    ("field", "value", "column", "left"),
    [
        ("tags", ["service:checkout", {"name": "x"}], "tags", ["service:checkout"]),
        ("tags", "service:checkout", "tags", None),
        ("owner", {"id": "712020:1"}, "owner", None),
        ("message", ["CPU"], "message", None),
        ("count", "many", "alert_count", None),
        ("updatedAt", "soon", "updated_at", None),
        ("ackTime", "soon", "acknowledged_at", None),
        ("closeTime", [], "closed_at", None),
    ],
)
def test_a_part_of_an_unknown_shape_is_rejected_alone(
    field: str, value: Any, column: str, left: list[str] | None
) -> None:
    rejected: Rejected = []
    found = alert_values(raw(ALERT | {field: value}), rejected)
    assert found | {"raw": ""} == alert_values(raw(ALERT), []) | {column: left, "raw": ""}
    [(part, reason)] = rejected
    assert json.loads(part)["id"] == ALERT["id"]
    assert reason.startswith(f"{field}: ")
