"""Searching incidents: JQL and its time zone, tokens, cut changelogs, users in bulk."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import requests_mock as rm
from msgspec import Raw

from opsgenie_provider.api.errors import InvalidResponseError, NotFoundError, UnknownShapeError
from opsgenie_provider.api.jsm import JsmClient, JsmIncidents
from opsgenie_provider.api.jsm_jira import whole_changelog
from opsgenie_provider.api.jsm_jql import NoIncidentTypeError, incident_jql, incident_types_jql, without_order
from opsgenie_provider.rows.jsm_site import UnknownFieldError
from tests.unit.api.jsm_site import JIRA, client_of

TYPES = [
    {"id": "10010", "name": "[System] Incident"},
    {"id": "9", "name": "incident "},
    {"id": "10012", "name": "Störung", "untranslatedName": "Incident"},
    {"id": "10011", "name": "[System] Problem"},
    {"id": "10013", "name": "Incidental"},
]
MYSELF = {"accountId": "712020:ann", "timeZone": "Asia/Kolkata", "accountType": "atlassian"}


@pytest.fixture
def client(clock: Any) -> JsmClient:
    return client_of()


def raw(payload: Any) -> Raw:
    return Raw(json.dumps(payload).encode())


def look_ups(requests_mock: rm.Mocker, **other: Any) -> None:
    """What a reader of incidents asks first."""
    answers = {"myself": MYSELF, "field": [], "status": [], "issuetype": TYPES} | other
    for path, answer in answers.items():
        requests_mock.get(f"{JIRA}/{path}", json=answer)


def reader(client: JsmClient, requests_mock: rm.Mocker, **other: Any) -> JsmIncidents:
    look_ups(requests_mock, **other)
    incidents = client.incidents
    requests_mock.reset_mock()
    return incidents


# --- JQL


def test_incidents_are_issues_of_types_with_their_names_by_id() -> None:
    assert incident_types_jql(map(raw, TYPES)) == "issuetype in (9, 10010, 10012)"


@pytest.mark.parametrize("types", [[], [{"id": "1", "name": "Task"}], [{"name": "Incident"}, 3]])
def test_a_site_without_such_a_type_lists_nothing(types: list[Any]) -> None:
    """Not an empty list: what is stored would be taken for deleted."""
    with pytest.raises(NoIncidentTypeError, match="incident_jql"):
        incident_types_jql(map(raw, types))


@pytest.mark.parametrize(
    ("jql", "without"),
    [
        ("project = OPS", "project = OPS"),
        ("project = OPS ORDER BY created DESC, key", "project = OPS"),
        ("project = OPS order\n by key", "project = OPS"),
        ('summary ~ "order by me" order by key', 'summary ~ "order by me"'),
        (r"summary ~ 'it\'s order by' ORDER BY key", r"summary ~ 'it\'s order by'"),
        ('summary ~ "border bygone"', 'summary ~ "border bygone"'),
    ],
)
def test_an_order_of_ones_own_gives_way(jql: str, without: str) -> None:
    assert without_order(jql) == without


@pytest.mark.parametrize(
    ("zone", "since", "expected"),
    [
        ("UTC", "2026-03-01T10:00:59Z", "2026-03-01 10:00"),
        ("Asia/Kolkata", "2026-03-01T10:00:00Z", "2026-03-01 15:30"),
        ("America/New_York", "2026-03-01T02:00:00Z", "2026-02-28 21:00"),
        # An hour that comes twice is read as it may: the bound lies before both.
        ("Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25 01:30"),
        ("Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25 01:30"),
        # Wherever the caller is, nothing is left out.
        (None, "2026-03-01T10:00:00Z", "2026-02-28 22:00"),
        ("Mars/Base", "2026-03-01T10:00:00Z", "2026-02-28 22:00"),
    ],
)
def test_a_lower_bound_is_a_minute_of_the_callers_time(zone: str | None, since: str, expected: str) -> None:
    jql = incident_jql("type = 1 ORDER BY key", zone=zone, updated_since=datetime.fromisoformat(since))
    assert jql == f'(type = 1) AND updated >= "{expected}" ORDER BY updated ASC'


def test_a_window_of_creation_holds_all_of_its_last_minute() -> None:
    jql = incident_jql(
        "a = 1 OR b = 2",
        zone="Asia/Kolkata",
        created_since=datetime(2026, 3, 1, tzinfo=UTC),
        created_until=datetime(2026, 3, 2, 0, 0, 1, tzinfo=UTC),
    )
    assert jql == (
        '(a = 1 OR b = 2) AND created >= "2026-03-01 05:30" AND created < "2026-03-02 05:31" '
        "ORDER BY created ASC"
    )


# --- pages


def test_tokens_are_followed_whatever_a_page_holds(client: JsmClient, requests_mock: rm.Mocker) -> None:
    """A page may be shorter than asked for, or empty, and still have a successor."""
    answers: list[dict[str, Any]] = [
        {"issues": [{"id": "1"}, {"id": "2"}], "nextPageToken": "a", "isLast": False},
        {"issues": [], "nextPageToken": "b"},
        {"issues": [{"id": "3"}], "isLast": True},
    ]
    incidents = reader(client, requests_mock)
    requests_mock.get(f"{JIRA}/search/jql", [{"json": answer} for answer in answers])
    found = list(incidents.ids(created_since=datetime(2026, 3, 1, tzinfo=UTC)))
    assert found == ["1", "2", "3"]
    sent = [request.qs for request in requests_mock.request_history]
    assert [each.get("nextpagetoken") for each in sent] == [None, ["a"], ["b"]]
    assert {each["maxresults"][0] for each in sent} == {"5000"}
    assert {each["jql"][0] for each in sent} == {
        '(issuetype in (9, 10010, 10012)) and created >= "2026-03-01 05:30" order by created asc'
    }


def test_a_token_that_comes_twice_is_an_error(client: JsmClient, requests_mock: rm.Mocker) -> None:
    requests_mock.get(f"{JIRA}/search/jql", json={"issues": [], "nextPageToken": "a"})
    with pytest.raises(InvalidResponseError, match="repeats a page token"):
        list(client.jira.pages("project = X", fields=["id"]))
    assert requests_mock.call_count == 2


def test_a_search_without_issues_is_no_empty_list(client: JsmClient, requests_mock: rm.Mocker) -> None:
    requests_mock.get(f"{JIRA}/search/jql", json={"values": []})
    with pytest.raises(UnknownShapeError):
        list(client.jira.pages("project = X", fields=["id"]))


def test_incidents_come_with_what_their_rows_need(client: JsmClient, requests_mock: rm.Mocker) -> None:
    fields = [
        {
            "id": "customfield_10040",
            "name": "Betroffene Services",
            "schema": {
                "custom": "com.atlassian.jira.plugins.service-entity:service-entity-field-cftype",
                "type": "array",
            },
        },
        {"id": "customfield_10050", "name": "Responders", "schema": {"type": "array"}},
    ]
    incidents = reader(client, requests_mock, field=fields)
    requests_mock.get(f"{JIRA}/search/jql", json={"issues": [{"id": "1"}]})
    list(incidents.pages(updated_since=datetime(2026, 3, 1, tzinfo=UTC)))
    asked = requests_mock.last_request.qs
    assert {"customfield_10040", "customfield_10050", "resolutiondate", "status", "description"} <= {
        *asked["fields"][0].split(",")
    }
    assert asked["expand"] == ["changelog"]
    assert asked["maxresults"] == ["100"]


def test_a_jql_of_ones_own_goes_before_the_types(clock: Any, requests_mock: rm.Mocker) -> None:
    client = client_of(incident_jql="project = OPS ORDER BY key")
    incidents = reader(client, requests_mock, issuetype=[])
    requests_mock.get(f"{JIRA}/search/jql", json={"issues": []})
    list(incidents.ids(created_since=datetime(2026, 3, 1, tzinfo=UTC)))
    assert requests_mock.last_request.qs["jql"][0].startswith("(project = ops) and created")


def test_a_field_that_is_not_there_is_said(clock: Any, requests_mock: rm.Mocker) -> None:
    client = client_of(impact_end_field="Impact end")
    look_ups(requests_mock)
    with pytest.raises(
        UnknownFieldError, match=r"'Impact end' of the site does not exist.* impact_end_field"
    ):
        _ = client.incidents


def test_without_the_right_to_read_users_bounds_are_wide(client: JsmClient, requests_mock: rm.Mocker) -> None:
    look_ups(requests_mock)
    requests_mock.get(f"{JIRA}/myself", status_code=401, json={"message": "scope does not match"})
    requests_mock.get(f"{JIRA}/search/jql", json={"issues": []})
    list(client.incidents.pages(updated_since=datetime(2026, 3, 1, 12, tzinfo=UTC)))
    assert 'updated >= "2026-03-01 00:00"' in requests_mock.last_request.qs["jql"][0]


# --- changelogs


@pytest.mark.parametrize(
    ("changelog", "whole"),
    [
        ({"histories": []}, True),
        ({"histories": [{"id": "1"}] * 39, "total": 39}, True),
        ({"histories": [{"id": "1"}] * 39}, True),
        # Cut at 40, whatever the total says.
        ({"histories": [{"id": "1"}] * 40, "total": 40}, False),
        ({"histories": [{"id": "1"}] * 20, "total": 21}, False),
        ({"histories": None}, False),
        ({}, False),
        (None, False),
    ],
)
def test_when_a_changelog_is_whole(changelog: Any, whole: bool) -> None:
    assert (whole_changelog(raw({"id": "1", "changelog": changelog})) is not None) is whole


def test_a_changelog_that_was_cut_is_read_on_its_own(client: JsmClient, requests_mock: rm.Mocker) -> None:
    history = [{"id": str(number)} for number in range(230)]

    def page(request: Any, _: Any) -> Any:
        start = int(request.qs["startat"][0])
        return {"values": history[start : start + 100], "total": 230, "isLast": start >= 200}

    incidents = reader(client, requests_mock)
    short, long = {"histories": history[:3]}, {"histories": history[-40:]}
    issues = [{"id": "1", "changelog": short}, {"id": "2", "changelog": long}]
    requests_mock.get(f"{JIRA}/search/jql", json={"issues": issues})
    requests_mock.get(f"{JIRA}/issue/2/changelog", json=page)
    [found] = list(incidents.pages())
    histories = [incidents.complete(issue).histories or [] for issue in found]
    assert [len(each) for each in histories] == [3, 230]
    assert requests_mock.call_count == 4


def test_an_issue_may_be_gone_or_out_of_sight(client: JsmClient, requests_mock: rm.Mocker) -> None:
    incidents = reader(client, requests_mock)
    requests_mock.get(f"{JIRA}/issue/7", status_code=404, json={"errorMessages": ["Issue does not exist"]})
    with pytest.raises(NotFoundError, match="may not see it"):
        incidents.incident("7")


@pytest.mark.parametrize(("listed", "expected"), [([{"id": "7"}], True), ([], False)])
def test_whether_an_issue_is_an_incident_still(
    client: JsmClient, requests_mock: rm.Mocker, listed: Any, expected: bool
) -> None:
    incidents = reader(client, requests_mock)
    requests_mock.get(f"{JIRA}/search/jql", json={"issues": listed})
    assert incidents.is_listed("7") is expected
    asked = requests_mock.last_request.qs
    assert asked["jql"] == ["(issuetype in (9, 10010, 10012)) and id = 7"]
    assert asked["reconcileissues"] == ["7"]


def test_an_id_of_opsgenie_is_not_put_into_jql(client: JsmClient, requests_mock: rm.Mocker) -> None:
    incidents = reader(client, requests_mock)
    assert incidents.is_listed("70413a06-38d6-4c85-92b8-5ebc900d42e2") is False
    assert requests_mock.call_count == 0


# --- users


def serve_users(requests_mock: rm.Mocker, known: set[str], *, cap: int | None = None) -> None:
    """User bulk get, which takes ``maxResults`` or, with a cap, does not."""

    def answer(request: Any, _: Any) -> Any:
        asked = [each for each in request.qs["accountid"] if each in known]
        size = cap or int(request.qs.get("maxresults", ["10"])[0])
        values = [{"accountId": each} for each in asked[:size]]
        return {"values": values, "total": len(asked), "isLast": True}

    requests_mock.get(f"{JIRA}/user/bulk", json=answer)


def users(client: JsmClient, ids: Any) -> list[str]:
    return sorted(json.loads(bytes(user))["accountId"] for user in client.jira.users(ids))


@pytest.mark.parametrize("cap", [None, 10])
def test_no_user_is_dropped_in_silence(client: JsmClient, requests_mock: rm.Mocker, cap: int | None) -> None:
    ids = {f"712020:{number:03}" for number in range(120)}
    serve_users(requests_mock, ids, cap=cap)
    assert users(client, ids) == sorted(ids)
    if cap is None:
        assert requests_mock.call_count == 3


def test_a_user_whom_nobody_knows_is_not_asked_for_again(client: JsmClient, requests_mock: rm.Mocker) -> None:
    serve_users(requests_mock, {"a", "b"})
    assert users(client, ["b", "a", "a", "gone"]) == ["a", "b"]
    assert requests_mock.call_count == 1
    assert users(client, []) == []
    assert requests_mock.call_count == 1


@pytest.mark.parametrize(
    ("search", "project", "seen"),
    [
        ((200, {"issues": [{"id": "1"}]}), 500, True),
        # Of a project without issues the project itself says whether it is seen.
        ((200, {"issues": []}), 200, True),
        ((200, {"issues": []}), 404, False),
        ((200, {"issues": []}), 403, False),
        ((400, {"errorMessages": ["The value '7' does not exist for the field 'project'."]}), 404, False),
        ((400, {"errorMessages": ["The value '7' does not exist for the field 'project'."]}), 200, True),
    ],
)
def test_whether_a_project_is_seen(
    client: JsmClient, requests_mock: rm.Mocker, search: tuple[int, Any], project: int, seen: bool
) -> None:
    requests_mock.get(f"{JIRA}/search/jql", status_code=search[0], json=search[1])
    requests_mock.get(f"{JIRA}/project/7", status_code=project, json={"id": "7"})
    assert client.jira.sees_project("7") is seen
    assert requests_mock.request_history[0].qs["jql"] == ["project = 7"]


@pytest.mark.parametrize(
    ("answer", "may_hide"),
    [
        ({"json": {"id": 10000, "name": "Secret", "levels": [{"id": "10021"}]}}, True),
        ({"json": {"id": 10000, "name": "Of a level to come"}}, True),
        ({"status_code": 404, "json": {"errorMessages": ["No scheme"]}}, False),
        ({"status_code": 204}, False),
        ({"text": "null"}, False),
        ({"json": {"levels": []}}, True),
        # Only who administers the project is told.
        ({"status_code": 403, "json": {"errorMessages": ["You need to be a Jira administrator"]}}, True),
    ],
)
def test_whether_a_project_may_hide_issues(
    client: JsmClient, requests_mock: rm.Mocker, answer: dict[str, Any], may_hide: bool
) -> None:
    requests_mock.get(f"{JIRA}/project/7/issuesecuritylevelscheme", **answer)
    assert client.jira.may_hide_issues("7") is may_hide
