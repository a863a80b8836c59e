"""The changelog of an issue as the incident's timeline."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from opsgenie_provider.rows.tables import INCIDENT_TIMELINE, INCIDENTS
from tests.unit.rows.jsm_payloads import (
    ANN,
    CLOSED,
    COMPLETED,
    OPEN,
    PENDING,
    WORK,
    at,
    instant,
    issue,
    issue_rows_of,
    move,
)


def timeline(histories: Any) -> list[dict[str, Any]]:
    found = issue_rows_of(issue(), histories).timeline
    return [dict(zip(INCIDENT_TIMELINE.columns, row, strict=True)) for row in found]


@pytest.mark.parametrize(
    ("left", "entered", "expected"),
    [
        (OPEN, WORK, "IncidentAcknowledged"),
        (OPEN, PENDING, "IncidentAcknowledged"),
        (WORK, PENDING, "IncidentStatusChanged"),
        (WORK, OPEN, "IncidentStatusChanged"),
        (OPEN, COMPLETED, "IncidentResolved"),
        (WORK, COMPLETED, "IncidentResolved"),
        (OPEN, CLOSED, "IncidentClosed"),
        (COMPLETED, CLOSED, "IncidentClosed"),
        (CLOSED, COMPLETED, "IncidentStatusChanged"),
        (COMPLETED, WORK, "IncidentReopened"),
        (CLOSED, OPEN, "IncidentReopened"),
        # The name takes precedence over the id, which a migration may have left wrong; case does not matter.
        (("open", "6"), ("WORK IN PROGRESS", "6"), "IncidentAcknowledged"),
        # A status that was renamed since is found by its id, and is what it is called now.
        (("To do", "1"), ("In progress", "3"), "IncidentAcknowledged"),
        (("Doing", "3"), ("Finished", "6"), "IncidentClosed"),
        # One that is found neither way is neither new nor done.
        (("Old", "99"), WORK, "IncidentStatusChanged"),
        (("Old", "99"), COMPLETED, "IncidentResolved"),
        (COMPLETED, ("Old", "99"), "IncidentReopened"),
        (OPEN, ("Old", "99"), "IncidentAcknowledged"),
        (WORK, ("Closed by hand", "99"), "IncidentStatusChanged"),
        # Where a name means two things, the id says which.
        (("Waiting", "8"), WORK, "IncidentAcknowledged"),
        (("Waiting", "9"), WORK, "IncidentStatusChanged"),
        (("Waiting", "99"), WORK, "IncidentStatusChanged"),
    ],
)
def test_each_move_has_its_kind(left: Any, entered: Any, expected: str) -> None:
    [entry] = timeline([move("1", at(4), left, entered)])
    assert entry["entry_type"] == expected


def test_an_entry_of_the_timeline() -> None:
    history = move("4711", at(4), OPEN, WORK)
    history["items"].insert(0, {"field": "assignee", "fieldId": "assignee", "from": None, "to": ANN})
    [entry] = timeline([history])
    assert entry == {
        "account": "acme",
        "incident_id": "10203",
        "entry_id": "4711:1",
        "entry_type": "IncidentAcknowledged",
        "event_at": instant(4),
        "actor_name": "Ann",
        "actor_type": "user",
        "raw": json.dumps(history, separators=(",", ":")),
    }


@pytest.mark.parametrize("author", [None, {}])
def test_a_move_of_nobodys(author: Any) -> None:
    [entry] = timeline([move("1", at(4), OPEN, WORK, author=author)])
    assert (entry["actor_name"], entry["actor_type"]) == (None, None)


def test_an_author_without_a_name_is_a_user_still() -> None:
    [entry] = timeline([move("1", at(4), OPEN, WORK, author={"accountId": ANN})])
    assert (entry["actor_name"], entry["actor_type"]) == (None, "user")


def test_an_instant_may_be_milliseconds() -> None:
    [entry] = timeline([move("1", 1_785_800_000_123, OPEN, WORK)])  # type: ignore[arg-type]
    assert entry["event_at"] == datetime.fromtimestamp(1_785_800_000.123, UTC)


@pytest.mark.parametrize(
    ("item", "counted"),
    [
        ({"field": "status"}, True),
        ({"field": "Status", "fieldId": "status"}, True),
        ({"field": "status", "fieldId": "customfield_1", "fieldtype": "custom"}, False),
        ({"field": "status", "fieldtype": "custom"}, False),
        ({"field": "resolution", "fieldId": "resolution"}, False),
    ],
)
def test_only_the_status_moves(item: dict[str, Any], counted: bool) -> None:
    ids = {"from": "1", "fromString": "Open", "to": "3", "toString": "Work in progress"}
    found = timeline([{"id": "1", "created": at(4), "items": [item | ids]}])
    assert bool(found) is counted


@pytest.mark.parametrize(
    "history",
    [
        {"id": "1", "created": at(4)},
        {"id": "1", "created": at(4), "items": None},
        {"created": at(4), "items": move("1", at(4), OPEN, WORK)["items"]},
        {"id": "1", "items": move("1", at(4), OPEN, WORK)["items"]},
        move("1", "yesterday", OPEN, WORK),
        [],
    ],
)
def test_an_entry_of_an_unknown_shape_is_rejected_alone(history: Any) -> None:
    found = issue_rows_of(issue(), [history, move("2", at(5), OPEN, WORK)])
    assert [row[2] for row in found.timeline] == ["2:0"]
    [(part, reason)] = found.rejected
    assert json.loads(part) == history
    assert reason.startswith("changelog: ")


def test_an_author_of_an_unknown_shape_is_rejected_alone() -> None:
    found = issue_rows_of(issue(), [move("1", at(4), OPEN, WORK, author="Ann")])
    [row] = found.timeline or ()
    entry = dict(zip(INCIDENT_TIMELINE.columns, row, strict=True))
    assert (entry["entry_id"], entry["actor_name"], entry["actor_type"]) == ("1:0", None, None)
    assert dict(zip(INCIDENTS.columns, found.incident, strict=True))["acknowledged_at"] == entry["event_at"]
    [(part, _)] = found.rejected
    assert json.loads(part) == {"id": "1", "author": "Ann"}


def test_an_entry_that_comes_twice_is_one() -> None:
    assert len(timeline([move("1", at(4), OPEN, WORK), move("1", at(4), OPEN, WORK)])) == 1
