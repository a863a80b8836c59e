"""An issue with its changelog, field by field."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.jsm_site import SiteSettings, Statuses, UnknownFieldError, issue_fields
from opsgenie_provider.rows.tables import INCIDENTS
from tests.unit.rows.jsm_payloads import (
    ANN,
    BEN,
    CANCELED,
    CLOSED,
    COMPLETED,
    FIELDS,
    OPEN,
    SERVICE_ARI,
    SITE,
    STATUSES,
    TEAM,
    WORK,
    at,
    instant,
    issue,
    issue_rows_of,
    move,
    raw,
    rules,
    status,
)


def incident(payload: Any, histories: Any = (), **settings: Any) -> dict[str, Any]:
    return dict(zip(INCIDENTS.columns, issue_rows_of(payload, histories, **settings).incident, strict=True))


def test_an_issue_is_an_incident() -> None:
    payload = issue(
        description={
            "type": "doc",
            "version": 1,
            "content": [
                {
                    "type": "paragraph",
                    "content": [
                        {"type": "text", "text": "Payments "},
                        {"type": "text", "text": "fail", "marks": [{"type": "strong"}]},
                        {"type": "hardBreak"},
                        {"type": "mention", "attrs": {"id": ANN, "text": "@Ann"}},
                    ],
                },
                {
                    "type": "bulletList",
                    "content": [
                        {"type": "listItem", "content": [{"type": "paragraph", "content": []}]},
                        {
                            "type": "listItem",
                            "content": [
                                {"type": "paragraph", "content": [{"type": "text", "text": "since noon"}]}
                            ],
                        },
                    ],
                },
            ],
        }
    )
    assert incident(payload) == {
        "account": "acme",
        "incident_id": "10203",
        "tiny_id": "OPS-7",
        "message": "Checkout is down",
        "description": "Payments fail\n@Ann\nsince noon",
        "status": "open",
        "priority": "P1",
        "created_at": datetime(2026, 8, 3, 22, 35, 20, 336_000, UTC),
        "updated_at": datetime(2026, 8, 4, 1, tzinfo=UTC),
        "impact_start_at": None,
        "impact_end_at": None,
        "tags": ["prod", "db"],
        "details": "{}",
        "web_url": f"{SITE}/browse/OPS-7",
        "key_reach": "account",
        "backend": "jsm",
        "raw": json.dumps(payload, separators=(",", ":")),
        "acknowledged_at": None,
        "resolved_at": None,
        "resolved_at_source": None,
        "closed_at": None,
        "deleted_at": None,
    }


LINES = {"type": "text", "text": "a\n  b"}
CARD = {"type": "inlineCard", "attrs": {"url": "https://x.example"}}


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        (None, None),
        ("", None),
        ("h1. As wiki text", "h1. As wiki text"),
        ({"type": "doc", "content": []}, None),
        ({"type": "doc", "content": [{"type": "rule"}]}, None),
        ({"type": "doc", "content": [{"type": "codeBlock", "content": [LINES]}]}, "a\n  b"),
        ({"type": "doc", "content": [CARD]}, "https://x.example"),
    ],
)
def test_descriptions(description: Any, expected: str | None) -> None:
    assert incident(issue(description=description))["description"] == expected


@pytest.mark.parametrize("description", [3, [], {"type": "doc"}, {"type": "doc", "content": [3]}])
def test_a_description_of_an_unknown_shape_is_rejected_alone(description: Any) -> None:
    found = issue_rows_of(issue(description=description))
    [(part, reason)] = found.rejected
    assert json.loads(part)["fields"] == {"description": description}
    assert reason.startswith("description: ")
    assert incident(issue(description=description))["description"] is None


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("Highest", {}, "P1"),
        ("High", {}, "P2"),
        ("Medium", {}, "P3"),
        ("Low", {}, "P4"),
        ("Lowest", {}, "P5"),
        ("P4", {}, "P4"),
        ("Blocker", {}, None),
        ("P0", {}, None),
        ("Blocker", {"priority_map": {"blocker": "P1"}}, "P1"),
        # The map takes precedence over the names that need none.
        ("High", {"priority_map": {"High": "P1"}}, "P1"),
        ("P4", {"priority_map": {"P4": "P2"}}, "P2"),
        (None, {}, None),
    ],
)
def test_priorities(name: str | None, settings: Any, expected: str | None) -> None:
    priority = None if name is None else {"id": "3", "name": name}
    assert incident(issue(priority=priority), **settings)["priority"] == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (status("Open", "new"), "open"),
        (status("Work in progress", "indeterminate"), "open"),
        (status("Pending", "undefined"), "open"),
        # By its category, whatever it is called.
        (status("Closed", "indeterminate"), "open"),
        (status("Completed", "done"), "resolved"),
        (status("Closed", "done"), "closed"),
        (status("CANCELLED", "done"), "closed"),
    ],
)
def test_statuses(now: Any, expected: str) -> None:
    assert incident(issue(status=now))["status"] == expected


def test_which_statuses_mean_closed_is_a_setting() -> None:
    done = issue(status=status("Completed", "done"))
    assert incident(done, closed_statuses=("completed",))["status"] == "closed"
    assert incident(issue(status=status("Closed", "done")), closed_statuses=())["status"] == "resolved"


# --- when it ended

ENDED = [
    move("1", at(4), OPEN, WORK),
    move("2", at(5), WORK, COMPLETED),
    move("3", at(6), COMPLETED, CLOSED),
]


@pytest.mark.parametrize(
    ("fields", "settings", "resolved", "source"),
    [
        ({"resolutiondate": at(7)}, {}, 7, "resolution"),
        ({}, {}, 5, "timeline"),
        (
            {"resolutiondate": at(7), "customfield_10068": at(3)},
            {"impact_end_field": "Impact end"},
            3,
            "impact_end",
        ),
        # Whichever of the fields of that name the issue's project has.
        ({"customfield_10069": at(3)}, {"impact_end_field": "impact END"}, 3, "impact_end"),
        ({"customfield_10069": at(3)}, {"impact_end_field": "customfield_10069"}, 3, "impact_end"),
        ({"resolutiondate": at(7)}, {"impact_end_field": "Impact end"}, 7, "resolution"),
        # A field that no setting names means nothing.
        ({"customfield_10068": at(3)}, {}, 5, "timeline"),
    ],
)
def test_when_an_incident_was_resolved(fields: Any, settings: Any, resolved: int, source: str) -> None:
    found = incident(issue(status=status("Closed", "done"), **fields), ENDED, **settings)
    assert (found["resolved_at"], found["resolved_at_source"]) == (instant(resolved), source)
    assert found["acknowledged_at"] == instant(4)
    assert found["closed_at"] == instant(6)


def test_what_is_open_has_not_ended_whatever_else_is_set() -> None:
    """Reopened: the changelog still has the earlier end, and a field may be left over."""
    fields = {"resolutiondate": at(5), "customfield_10068": at(5), "customfield_10071": at(2)}
    settings = {"impact_end_field": "Impact end", "impact_start_field": "Impact start"}
    found = incident(issue(**fields), [*ENDED, move("4", at(8), CLOSED, WORK)], **settings)
    assert (found["resolved_at"], found["resolved_at_source"], found["closed_at"]) == (None, None, None)
    assert (found["impact_start_at"], found["impact_end_at"]) == (instant(2), instant(5))
    assert found["acknowledged_at"] == instant(4)


def test_the_last_end_counts_and_the_first_acknowledgement() -> None:
    again = [
        *ENDED,
        move("4", at(8), CLOSED, OPEN),
        move("5", at(9), OPEN, CANCELED),
        # From closed to closed: closed again, but not resolved again.
        move("6", at(10), CANCELED, CLOSED),
    ]
    found = incident(issue(status=status("Closed", "done")), reversed(again))
    assert found["acknowledged_at"] == instant(4)
    assert found["resolved_at"] == instant(9)
    assert found["closed_at"] == instant(10)


def test_a_resolved_incident_was_not_closed() -> None:
    histories = [*ENDED, move("4", at(8), CLOSED, COMPLETED)]
    assert incident(issue(status=status("Completed", "done")), histories)["closed_at"] is None


# --- services, responders


@pytest.mark.parametrize(
    "value",
    [
        [{"id": SERVICE_ARI}],
        [{"id": SERVICE_ARI}, {"id": SERVICE_ARI, "name": "again"}],
        [SERVICE_ARI],
        [{"ari": SERVICE_ARI, "name": "checkout"}],
    ],
)
def test_affected_services(value: Any) -> None:
    found = issue_rows_of(issue(customfield_10040=value))
    assert [row[:3] for row in found.services] == [("acme", "10203", SERVICE_ARI)]
    assert found.rejected == []


@pytest.mark.parametrize("value", [None, []])
def test_an_issue_may_have_no_service(value: Any) -> None:
    found = issue_rows_of(issue(customfield_10040=value))
    assert (found.services, found.rejected) == ([], [])


@pytest.mark.parametrize(
    "value", ["checkout", {"id": SERVICE_ARI}, [{"name": "checkout"}], [3], [{"id": "b:%%"}]]
)
def test_services_of_an_unknown_shape_are_rejected_alone(value: Any) -> None:
    found = issue_rows_of(issue(customfield_10040=value))
    assert found.services == []
    [(part, reason)] = found.rejected
    assert json.loads(part) == {"id": "10203", "fields": {"customfield_10040": value}}
    assert reason.startswith("customfield_10040: ")
    assert found.incident[3] == "Checkout is down"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"ari": f"ari:cloud:identity::user/{ANN}"}], {("user", ANN)}),
        ([{"ari": f"ari:cloud:identity::team/{TEAM}", "name": "Payments", "type": "team"}], {("team", TEAM)}),
        ([{"accountId": ANN, "displayName": "Ann"}, {"accountId": BEN}], {("user", ANN), ("user", BEN)}),
        ([{"id": TEAM, "type": "TEAM"}], {("team", TEAM)}),
        ([{"id": f"ari:cloud:identity::user/{ANN}"}], {("user", ANN)}),
        ([{"id": "x-1"}], {("unknown", "x-1")}),
        ([f"ari:cloud:identity::user/{ANN}"], {("user", ANN)}),
        ([], set()),
        (None, set()),
    ],
)
def test_responders_in_every_shape_that_they_may_have(value: Any, expected: set[Any]) -> None:
    found = issue_rows_of(issue(customfield_10042=value))
    assert {row[2:4] for row in found.responders} == expected
    assert found.rejected == []


@pytest.mark.parametrize("value", ["Ann", [{"name": "Ann"}], [{"ari": "Ann"}], ["Ann"], {"users": []}])
def test_responders_of_an_unknown_shape_are_rejected_alone(value: Any) -> None:
    found = issue_rows_of(issue(customfield_10042=value))
    assert found.responders == []
    assert len(found.services) == 1
    [(_, reason)] = found.rejected
    assert reason.startswith("customfield_10042: ")


# --- what cannot be read


@pytest.mark.parametrize(
    "payload",
    [
        {"key": "OPS-1", "fields": issue()["fields"]},
        {"id": "1"},
        issue(created=None),
        issue(created="soon"),
        issue(status=None),
        issue(status={"name": "Closed"}),
        issue(status={"name": "Closed", "statusCategory": {"name": "Done"}}),
        [],
    ],
)
def test_an_issue_of_an_unknown_shape_is_refused(payload: Any) -> None:
    with pytest.raises(UnreadablePayloadError):
        issue_rows_of(payload)


@pytest.mark.parametrize(
    ("field", "value", "column", "left"),
    [
        ("labels", ["prod", {"name": "x"}], "tags", ["prod"]),
        ("labels", "prod", "tags", None),
        ("summary", {"text": "Down"}, "message", None),
        ("priority", "High", "priority", None),
        ("priority", {"name": {"en": "High"}}, "priority", None),
        ("updated", "soon", "updated_at", None),
        ("resolutiondate", "soon", "resolved_at", None),
        ("customfield_10071", "soon", "impact_start_at", None),
    ],
)
def test_a_part_of_an_unknown_shape_is_rejected_alone(
    field: str, value: Any, column: str, left: list[str] | None
) -> None:
    good = issue(status=status("Closed", "done"))
    damaged = good | {"fields": good["fields"] | {field: value}}
    found = issue_rows_of(damaged, impact_start_field="Impact start")
    columns = dict(zip(INCIDENTS.columns, found.incident, strict=True))
    assert (columns["incident_id"], columns["status"], columns[column]) == ("10203", "closed", left)
    assert len(found.services) == 1
    [(part, reason)] = found.rejected
    assert json.loads(part)["id"] == "10203"
    assert reason.partition(":")[0] in (field, "name")


def test_services_and_responders_are_read_each_on_its_own() -> None:
    found = issue_rows_of(
        issue(
            customfield_10040=[{"name": "no id"}, {"id": SERVICE_ARI}],
            customfield_10042=[{"ari": "nothing"}, {"accountId": ANN}],
        )
    )
    assert [row[2] for row in found.services] == [SERVICE_ARI]
    assert [row[2:4] for row in found.responders] == [("user", ANN)]
    assert [json.loads(part)["fields"] for part, _ in found.rejected] == [
        {"customfield_10040": [{"name": "no id"}]},
        {"customfield_10042": [{"ari": "nothing"}]},
    ]


@pytest.mark.parametrize(
    ("field", "says"), [("customfield_10070", "is not a date-time field"), ("Nowhere", "does not exist")]
)
def test_a_setting_that_names_no_such_field_is_said(field: str, says: str) -> None:
    with pytest.raises(UnknownFieldError, match=says):
        rules(impact_end_field=field)


@pytest.mark.parametrize(
    "field", [3, {}, {"id": []}, {"id": "x", "name": [], "schema": {"type": [], "custom": {}}}, {"schema": 3}]
)
def test_fields_and_statuses_of_an_unknown_shape_keep_nobody_from_the_others(field: Any) -> None:
    site = SiteSettings(SITE, impact_end_field="Impact end")
    found = issue_fields(map(raw, [field, *FIELDS]), site)
    assert (found.services, found.responders) == (("customfield_10040",), ("customfield_10042",))
    assert found.impact_end == ("customfield_10068", "customfield_10069")
    statuses = Statuses(map(raw, [field, *STATUSES]))
    assert statuses.find("Closed", None) == ("Closed", "done")
    with pytest.raises(UnreadablePayloadError, match="no status"):
        Statuses([raw(field)])


def test_services_are_found_by_name_where_no_field_has_their_type() -> None:
    field = {"id": "customfield_1", "name": "Betroffen", "untranslatedName": "Affected services"}
    assert issue_fields([raw(field)], SiteSettings(SITE)).services == ("customfield_1",)
