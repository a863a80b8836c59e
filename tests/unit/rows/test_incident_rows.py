from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.incidents import IncidentRows, incident_rows, timeline_row
from opsgenie_provider.rows.tables import INCIDENT_RESPONDERS, INCIDENT_SERVICES, INCIDENT_TIMELINE, INCIDENTS
from tests.unit.rows.payloads import INCIDENT, TIMELINE_ENTRY, raw, without


def read(payload: Any) -> IncidentRows:
    return incident_rows(raw(payload), account="acme", key_reach="account")


def columns(payload: Any) -> dict[str, Any]:
    return dict(zip(INCIDENTS.columns, read(payload).incident, strict=True))


def test_every_column_of_an_incident() -> None:
    row = columns(INCIDENT)
    assert json.loads(row.pop("raw")) == INCIDENT
    assert json.loads(row.pop("details")) == {"region": "eu", "n": 1}
    assert row == {
        "account": "acme",
        "backend": "opsgenie",
        "incident_id": "70413a06-38d6-4c85-92b8-5ebc900d42e2",
        "tiny_id": "1791",
        "message": "Checkout is down",
        "description": "Payments fail",
        "status": "closed",
        "priority": "P1",
        "created_at": datetime(2026, 3, 2, 15, 37, 31, 620_000, UTC),
        "updated_at": datetime(2026, 3, 2, 15, 43, 40, 347_000, UTC),
        "impact_start_at": datetime(2026, 3, 2, 15, 37, 31, 620_000, UTC),
        "impact_end_at": datetime(2026, 3, 2, 15, 42, 42, 141_000, UTC),
        "tags": ["prod", "db"],
        "web_url": "https://acme.app.opsgenie.com/incident/detail/1",
        "key_reach": "account",
        # Made in the warehouse, from payload and timeline together.
        "acknowledged_at": None,
        "resolved_at": None,
        "resolved_at_source": None,
        "closed_at": None,
        # Read, therefore there.
        "deleted_at": None,
    }


def test_every_column_of_its_services_and_responders() -> None:
    rows, key = read(INCIDENT), ("acme", INCIDENT["id"])
    assert rows.services == [(*key, "svc-1", '"svc-1"'), (*key, "svc-2", '"svc-2"')]
    assert [row[:-1] for row in rows.responders] == [(*key, "team", "team-1"), (*key, "user", "user-1")]
    assert [json.loads(row[-1]) for row in rows.responders] == INCIDENT["responders"]
    assert len(rows.services[0]) == len(INCIDENT_SERVICES.columns)
    assert len(rows.responders[0]) == len(INCIDENT_RESPONDERS.columns)


def test_the_least_incident_has_nulls_not_blanks() -> None:
    least = {"id": "i1", "createdAt": "2026-03-02T15:37:31Z"}
    rows = read(least)
    known = {name for name, value in columns(least).items() if value is not None}
    assert known == {"account", "incident_id", "created_at", "key_reach", "backend", "raw"}
    assert (rows.services, rows.responders) == ([], [])


def test_blanks_are_not_known_values() -> None:
    names = ("tinyId", "message", "description", "status", "priority", "updatedAt", "impactEndDate")
    row = columns(INCIDENT | dict.fromkeys(names, ""))
    blank = ("tiny_id", "message", "description", "status", "priority", "updated_at", "impact_end_at")
    assert [row[name] for name in blank] == [None] * len(blank)


def test_no_tags_is_known_and_empty() -> None:
    assert columns(INCIDENT | {"tags": []})["tags"] == []
    assert columns(without(INCIDENT, "tags"))["tags"] is None


@pytest.mark.parametrize("status", ["open", "resolved", "closed", "on_hold"])
def test_the_status_is_kept_as_received(status: str) -> None:
    assert columns(INCIDENT | {"status": status})["status"] == status


def test_what_is_named_twice_is_one_row() -> None:
    responders = [{"type": "team", "id": "t"}, {"type": "team", "id": "t"}, {"type": "user", "id": "t"}]
    rows = read(INCIDENT | {"impactedServices": ["s", "s", "", None], "responders": responders})
    assert [row[2] for row in rows.services] == ["s"]
    assert [row[2:4] for row in rows.responders] == [("team", "t"), ("user", "t")]


def test_a_responder_known_by_name_only_is_kept() -> None:
    rows = read(INCIDENT | {"responders": [{"type": "user", "username": "ann@example.com"}, {"name": "Ops"}]})
    assert [row[2:4] for row in rows.responders] == [("user", "ann@example.com"), ("unknown", "Ops")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "id: missing"),
        ({"createdAt": None}, "createdAt: missing"),
        ({"createdAt": "soon"}, "createdAt: 'soon' is not an ISO 8601 timestamp"),
        ({"status": ["open"]}, "status: expected a text, got list"),
    ],
)
def test_what_cannot_be_read_says_why(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnreadablePayloadError) as caught:
        read(INCIDENT | change)
    assert str(caught.value) == reason


# The column that a part is in, where it is in one of the incident's own.
COLUMN_OF = {
    "tags": "tags",
    "links": "web_url",
    "tinyId": "tiny_id",
    "message": "message",
    "description": "description",
    "priority": "priority",
    "updatedAt": "updated_at",
    "impactStartDate": "impact_start_at",
    "impactEndDate": "impact_end_at",
}


@pytest.mark.parametrize(
    ("change", "kept", "reason"),
    [
        ({"tags": "prod"}, "prod", "tags: expected a list, got str"),
        ({"tags": ["db", {"name": "prod"}]}, [{"name": "prod"}], "tags: expected a text, got dict"),
        ({"links": []}, [], "links: expected an object, got list"),
        ({"tinyId": []}, [], "tinyId: expected a text, got list"),
        ({"message": {}}, {}, "message: expected a text, got dict"),
        ({"description": []}, [], "description: expected a text, got list"),
        ({"priority": {"id": 1}}, {"id": 1}, "priority: expected a text, got dict"),
        ({"updatedAt": "now"}, "now", "updatedAt: 'now' is not an ISO 8601 timestamp"),
        ({"impactStartDate": 5}, 5, "impactStartDate: 5 is not an ISO 8601 timestamp"),
        ({"impactEndDate": "soon"}, "soon", "impactEndDate: 'soon' is not an ISO 8601 timestamp"),
        (
            {"impactedServices": ["svc-1", {"id": "svc-2"}]},
            [{"id": "svc-2"}],
            "impactedServices: expected a text, got dict",
        ),
        ({"responders": "ann"}, "ann", "responders: expected a list, got str"),
        ({"responders": [{"type": "team", "id": "t"}, "ann"]}, ["ann"], "responders: expected objects"),
        (
            {"responders": [{"type": "user"}]},
            [{"type": "user"}],
            "responders: a responder has neither id nor name",
        ),
    ],
)
def test_only_the_part_that_cannot_be_read_is_left_out(
    change: dict[str, Any], kept: Any, reason: str
) -> None:
    """The incident counts: what else it says could be read."""
    good, rows = read(INCIDENT), read(INCIDENT | change)
    [(part, why)] = rows.rejected
    [name] = change
    assert json.loads(part) == {"id": INCIDENT["id"], name: kept}
    assert why == f"{reason}; only this part is left out"
    row, whole = (dict(zip(INCIDENTS.columns, each.incident, strict=True)) for each in (rows, good))
    differing = {column for column in row if row[column] != whole[column] and column != "raw"}
    assert differing == ({COLUMN_OF[name]} if name in COLUMN_OF else set())
    assert rows.services == good.services[: 1 if name == "impactedServices" else None]
    if name != "responders":
        assert rows.responders == good.responders
    elif kept == ["ann"]:
        assert [responder[2:4] for responder in rows.responders] == [("team", "t")]
    if kept == [{"name": "prod"}]:
        assert row["tags"] == ["db"]


def test_every_column_of_a_timeline_entry() -> None:
    row = timeline_row(raw(TIMELINE_ENTRY), account="acme", incident_id="i1")
    named = dict(zip(INCIDENT_TIMELINE.columns, row, strict=True))
    assert json.loads(named.pop("raw")) == TIMELINE_ENTRY
    assert named == {
        "account": "acme",
        "incident_id": "i1",
        "entry_id": "entry-1",
        "entry_type": "ResponderAlertAcked",
        "event_at": datetime(2026, 3, 2, 15, 38, tzinfo=UTC),
        "actor_name": "ann@example.com",
        "actor_type": "user",
    }


def test_an_entry_of_nobody_has_no_actor() -> None:
    row = timeline_row(raw({"id": "e"}), account="acme", incident_id="i1")
    assert row[:-1] == ("acme", "i1", "e", None, None, None, None)
