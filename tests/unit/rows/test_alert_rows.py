"""OpsGenie's alerts, column by column."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from opsgenie_provider.rows.alerts import alert_rows
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.tables import ALERTS

CREATED = datetime(2026, 8, 4, 3, 35, 20, 336_000, UTC)
# As lists have it.
ALERT: dict[str, Any] = {
    "id": "70413a06-38d6-4c85-92b8-5ebc900d42e2-1785814520336",
    "tinyId": "1791",
    "alias": "cpu",
    "message": "CPU is high",
    "status": "closed",
    "acknowledged": False,
    "isSeen": True,
    "tags": ["service:checkout"],
    "snoozed": False,
    "count": 79,
    "lastOccurredAt": "2026-08-04T03:38:00.143Z",
    "createdAt": "2026-08-04T03:35:20.336Z",
    "updatedAt": "2026-08-04T03:40:00.5Z",
    "source": "Isilon",
    "owner": "",
    "priority": "P2",
    "responders": [{"type": "team", "id": "4513b7ea-3b91-438f-b7e4-e3e54af9147c"}],
    "integration": {"id": "4513b7ea-3b91-438f-b7e4-e3e54af9147c", "name": "Nagios", "type": "API"},
    "report": {"ackTime": 15702, "closeTime": 60503, "acknowledgedBy": "Ann", "closedBy": "Ann"},
}
SINGLE = {"actions": [], "entity": "host-1", "description": "Five times", "details": {"service": "checkout"}}


def row(payload: dict[str, Any], *, single: bool = False) -> dict[str, Any]:
    raw = msgspec.Raw(json.dumps(payload).encode())
    found = alert_rows(raw, account="a", key_reach="account", single=single)
    ((values,),) = found.by_table
    return dict(zip(ALERTS.columns, values, strict=True)) | {"rejected": found.rejected}


def test_a_listed_alert() -> None:
    assert row(ALERT) == {
        "account": "a",
        "alert_id": ALERT["id"],
        "tiny_id": "1791",
        "alias": "cpu",
        "message": "CPU is high",
        "description": None,
        "status": "closed",
        "priority": "P2",
        "source": "Isilon",
        "entity": None,
        "owner": None,
        "tags": ["service:checkout"],
        "details": None,
        "service": None,
        "alert_count": 79,
        "created_at": CREATED,
        "updated_at": datetime(2026, 8, 4, 3, 40, 0, 500_000, UTC),
        "last_occurred_at": datetime(2026, 8, 4, 3, 38, 0, 143_000, UTC),
        "acknowledged_at": CREATED + timedelta(milliseconds=15702),
        "closed_at": CREATED + timedelta(milliseconds=60503),
        "web_url": None,
        "deleted_at": None,
        "backend": "opsgenie",
        "key_reach": "account",
        "needs_details": False,
        "details_of": None,
        "raw": json.dumps(ALERT),
        "rejected": [],
    }


def test_an_alert_read_by_its_id_says_of_which_version() -> None:
    found = row(ALERT | SINGLE | {"links": {"web": "https://opsg.in/a/i/1"}}, single=True)
    assert (found["description"], found["entity"]) == ("Five times", "host-1")
    assert found["details"] == '{"service":"checkout"}'
    assert found["details_of"] == found["updated_at"]
    assert found["web_url"] == "https://opsg.in/a/i/1"
    assert row(ALERT | {"updatedAt": None}, single=True)["details_of"] == CREATED


@pytest.mark.parametrize(
    ("fields", "acknowledged", "closed"),
    [
        # Open again: what the report says of the end is left over.
        ({"status": "open"}, 15702, None),
        ({"status": "acked", "report": {"ackTime": 0}}, 0, None),
        ({"report": None}, None, None),
        ({"report": {}}, None, None),
        ({"report": {"closeTime": "60503"}}, None, 60503),
    ],
)
def test_when_an_alert_was_acknowledged_and_closed(
    fields: Any, acknowledged: int | None, closed: int | None
) -> None:
    found = row(ALERT | fields)
    expected = [
        None if each is None else CREATED + timedelta(milliseconds=each) for each in (acknowledged, closed)
    ]
    assert [found["acknowledged_at"], found["closed_at"]] == expected


def test_what_cannot_be_read_is_left_out_alone() -> None:
    found = row(ALERT | {"count": "many", "report": {"ackTime": 10**30, "closeTime": 1}, "tags": ["a", {}]})
    assert (found["alert_count"], found["acknowledged_at"], found["tags"]) == (None, None, ["a"])
    assert found["closed_at"] == CREATED + timedelta(milliseconds=1)
    assert len(found["rejected"]) == 3
    for fields in ({"id": None}, {"createdAt": "soon"}, {"status": []}, {"priority": {}}):
        with pytest.raises(UnreadablePayloadError):
            row(ALERT | fields)
