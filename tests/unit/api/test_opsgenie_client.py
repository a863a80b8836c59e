from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import requests
import requests_mock as rm

from opsgenie_provider.api.errors import InvalidResponseError, PermissionDeniedError
from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.opsgenie import REACHABLE, OpsgenieClient, domain_name

BASE = "https://api.eu.opsgenie.com"
ID = "70413a06-38d6-4c85-92b8-5ebc900d42e2"
START = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2)))

# Every read: how it is called, the endpoint and query by the published reference, its rate-limit
# domain, and the least answer.
READS: dict[str, tuple[Any, str, dict[str, list[str]], str, Any]] = {
    "account": (lambda c: c.account(), "/v2/account", {}, "configuration", {}),
    "request_limits": (
        lambda c: c.request_limits(),
        "/v2/request-limits/",
        {},
        "configuration",
        {"rateLimits": []},
    ),
    "incidents": (
        lambda c: c.incidents(query="status: open", offset=300),
        "/v1/incidents",
        {
            "query": ["status: open"],
            "offset": ["300"],
            "limit": ["100"],
            "sort": ["createdat"],
            "order": ["asc"],
        },
        "incident",
        [],
    ),
    "incident": (lambda c: c.incident(ID), f"/v1/incidents/{ID}", {"identifiertype": ["id"]}, "incident", {}),
    "alerts": (
        lambda c: c.alerts(query="status: open", sort="updatedAt", order="desc"),
        "/v2/alerts",
        {
            "query": ["status: open"],
            "offset": ["0"],
            "limit": ["100"],
            "sort": ["updatedat"],
            "order": ["desc"],
        },
        "search",
        [],
    ),
    "reads_alerts": (
        lambda c: c.reads_alerts(),
        "/v2/alerts",
        {"offset": ["0"], "limit": ["1"], "sort": ["createdat"], "order": ["asc"]},
        "search",
        [],
    ),
    "alert_count": (
        lambda c: c.alert_count("status: open"),
        "/v2/alerts/count",
        {"query": ["status: open"]},
        "search",
        {"count": 3},
    ),
    "alert": (lambda c: c.alert(ID), f"/v2/alerts/{ID}", {"identifiertype": ["id"]}, "alert", {}),
    "timeline_entries": (
        lambda c: c.timeline_entries(ID),
        f"/v2/incident-timelines/{ID}/entries",
        {"limit": ["20"]},
        "incident",
        {"entries": []},
    ),
    "services": (
        lambda c: c.services(),
        "/v1/services",
        {"limit": ["100"], "offset": ["0"], "order": ["asc"]},
        "configuration",
        [],
    ),
    "check_services_readable": (
        lambda c: c.check_services_readable(),
        "/v1/services",
        {"limit": ["1"]},
        "configuration",
        [],
    ),
    "users": (
        lambda c: c.users(),
        "/v2/users",
        {"limit": ["100"], "offset": ["0"], "order": ["asc"]},
        "search",
        [],
    ),
    "teams": (lambda c: c.teams(), "/v2/teams", {}, "configuration", []),
    "schedules": (lambda c: c.schedules(), "/v2/schedules", {"expand": ["rotation"]}, "configuration", []),
    "schedule_timeline": (
        lambda c: c.schedule_timeline(ID, start=START, weeks=15),
        f"/v2/schedules/{ID}/timeline",
        {
            "identifiertype": ["id"],
            "date": ["2026-03-29t00:30:00z"],
            "interval": ["15"],
            "intervalunit": ["weeks"],
        },
        "configuration",
        {},
    ),
    "escalations": (lambda c: c.escalations(), "/v2/escalations", {}, "configuration", []),
}


@pytest.fixture
def client(clock: Any) -> OpsgenieClient:
    return OpsgenieClient(requests.Session(), BASE, "a-key", limiter=RateLimiter())


def listed(*ids: str) -> list[dict[str, str]]:
    return [{"id": each} for each in ids]


def ids(items: Any) -> list[str]:
    return [bytes(item).decode() for item in items]


def test_the_table_below_names_every_read() -> None:
    methods = {name for name, _ in inspect.getmembers(OpsgenieClient, inspect.isfunction) if name[0] != "_"}
    assert methods == set(READS)


@pytest.mark.parametrize("read", READS)
def test_each_read_is_one_get_of_its_endpoint(
    client: OpsgenieClient, requests_mock: rm.Mocker, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    call, path, query, domain, data = READS[read]
    domains: list[str] = []
    monkeypatch.setattr(client.transport.limiter, "acquire", domains.append)
    requests_mock.register_uri(rm.ANY, rm.ANY, json={"data": data, "took": 0.01, "requestId": "r"})
    call(client)
    [sent] = requests_mock.request_history
    assert (sent.method, sent.scheme, sent.hostname, sent.path) == (
        "GET",
        "https",
        "api.eu.opsgenie.com",
        path,
    )
    assert sent.qs == query
    assert sent.body is None
    assert domains == [domain]


def test_payloads_are_kept_as_received(client: OpsgenieClient, requests_mock: rm.Mocker) -> None:
    body = '{"data": [{"b": 1.50,  "a": "\\u00e9", "big": 12345678901234567890}], "totalCount": 1}'
    requests_mock.get(f"{BASE}/v1/incidents", text=body)
    page = client.incidents()
    assert ids(page.items) == ['{"b": 1.50,  "a": "\\u00e9", "big": 12345678901234567890}']
    assert page.total == 1


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        ({"data": listed("a"), "paging": {"next": f"{BASE}/v1/incidents?offset=1"}}, False),
        ({"data": listed("a"), "paging": {"first": "x", "last": "y"}}, True),
        ({"data": listed("a"), "paging": {"next": None}}, True),
        ({"data": listed("a")}, True),
        ({"data": listed("a", "b")}, False),  # full, and nothing says that it is the last
        ({"data": [], "paging": {"next": f"{BASE}/v1/incidents?offset=1"}}, True),
    ],
)
def test_knows_the_last_page(
    client: OpsgenieClient, requests_mock: rm.Mocker, answer: Any, last: bool
) -> None:
    requests_mock.get(f"{BASE}/v1/incidents", json=answer)
    page = client.incidents(limit=2)
    assert page.last is last
    assert page.total is None


@pytest.mark.parametrize("answer", [{}, {"data": None}, {"data": {}}, {"data": [], "totalCount": "many"}, []])
def test_another_shape_is_an_error_not_an_empty_list(
    client: OpsgenieClient, requests_mock: rm.Mocker, answer: Any
) -> None:
    requests_mock.get(f"{BASE}/v1/incidents", json=answer)
    with pytest.raises(InvalidResponseError, match="not with the JSON that it documents"):
        client.incidents()


def test_pages_are_counted_off_by_what_came(client: OpsgenieClient, requests_mock: rm.Mocker) -> None:
    """A service that caps its pages below what was asked for still gives all; links are not followed.

    Each page begins with the last item of the one before, which shows that the list held still.
    """
    link = {"next": "https://evil.example/v2/users?offset=2&apiKey=x"}
    pages = {"0": listed("a", "b", "c"), "2": listed("c", "d", "e"), "4": listed("e")}

    def answer(request: Any, _: Any) -> Any:
        offset = request.qs["offset"][0]
        return {"data": pages[offset], "paging": link if offset != "4" else {}}

    requests_mock.get(f"{BASE}/v2/users", json=answer)
    assert ids(client.users().items) == [f'{{"id": "{each}"}}' for each in "abcde"]
    assert {sent.hostname for sent in requests_mock.request_history} == {"api.eu.opsgenie.com"}


@pytest.mark.parametrize(
    ("answer", "complete"),
    [
        ({"data": listed("a", "b")}, True),
        ({"data": listed("a", "b"), "totalCount": 2, "paging": {"first": "x"}}, True),
        ({"data": listed("a", "b"), "totalCount": 3}, False),
        ({"data": listed("a", "b"), "paging": {"next": "x"}}, False),
    ],
)
def test_a_list_in_one_answer_is_whole_unless_it_says_that_there_is_more(
    client: OpsgenieClient, requests_mock: rm.Mocker, answer: Any, complete: bool
) -> None:
    requests_mock.get(f"{BASE}/v2/teams", json=answer)
    assert client.teams().complete is complete


def test_reads_limits_of_all_domains(client: OpsgenieClient, requests_mock: rm.Mocker) -> None:
    windows = [{"limit": 10, "periodInSeconds": 1}, {"limit": 300, "periodInSeconds": 60}]
    body = {"data": {"rateLimits": [{"domain": "Schedule-oncalls", "limits": windows}]}}
    requests_mock.get(f"{BASE}/v2/request-limits/", json=body)
    assert client.request_limits() == {"scheduleoncalls": [(10, 1), (300, 60)]}


@pytest.mark.parametrize("name", ["Schedule-oncalls", "SCHEDULE_ONCALLS", "schedule oncalls"])
def test_a_domain_has_one_spelling(name: str) -> None:
    assert domain_name(name) == "scheduleoncalls"


class Timeline:
    """Pages by cursor: cursor -> (entries, next cursor)."""

    def __init__(self, mocker: rm.Mocker, pages: dict[str, tuple[Any, Any]]) -> None:
        self.asked: list[str] = []
        self.pages = pages
        mocker.get(f"{BASE}/v2/incident-timelines/{ID}/entries", json=self.answer)

    def answer(self, request: Any, _: Any) -> Any:
        cursor = request.qs.get("offset", [""])[0]
        self.asked.append(cursor)
        entries, following = self.pages[cursor]
        return {"data": {"entries": entries, "nextOffset": following}}


@pytest.mark.parametrize(
    ("pages", "asked", "found"),
    [
        ({"": (listed("a"), None)}, [""], 1),
        ({"": (listed("a"), "")}, [""], 1),
        ({"": (None, None)}, [""], 0),
        (
            {"": (listed("a"), "1679605651888"), "1679605651888": (listed("b"), None)},
            ["", "1679605651888"],
            2,
        ),
        # As a number; and an empty last page, of which the service hands out one more cursor.
        ({"": (listed("a"), 17), "17": (listed("b"), 18), "18": ([], 19)}, ["", "17", "18"], 2),
        # The last page leads to itself.
        ({"": (listed("a"), 17), "17": (listed("b"), 17)}, ["", "17"], 2),
    ],
)
def test_timelines_are_read_to_their_end(
    client: OpsgenieClient, requests_mock: rm.Mocker, pages: Any, asked: list[str], found: int
) -> None:
    timeline = Timeline(requests_mock, pages)
    assert len(client.timeline_entries(ID)) == found
    assert timeline.asked == asked


def test_a_timeline_that_pages_in_a_circle_ends(client: OpsgenieClient, requests_mock: rm.Mocker) -> None:
    timeline = Timeline(
        requests_mock, {"": (listed("a"), "1"), "1": (listed("b"), "2"), "2": (listed("c"), "1")}
    )
    with pytest.raises(InvalidResponseError, match=f"{ID} repeats the page offset"):
        client.timeline_entries(ID)
    assert timeline.asked == ["", "1", "2"]


def test_a_refusal_says_which_right_is_lacking(client: OpsgenieClient, requests_mock: rm.Mocker) -> None:
    body = {"message": "Team API Keys are not authorized to perform this action.", "code": 40301}
    requests_mock.get(f"{BASE}/v2/request-limits/", status_code=403, json=body)
    with pytest.raises(PermissionDeniedError, match="Configuration Access"):
        client.request_limits()


def test_a_date_is_sent_in_utc(client: OpsgenieClient, requests_mock: rm.Mocker) -> None:
    requests_mock.get(rm.ANY, json={"data": {}})
    client.schedule_timeline(ID, start=datetime(2026, 1, 2, tzinfo=UTC), weeks=1)
    assert "date=2026-01-02T00%3A00%3A00Z" in requests_mock.last_request.url


def test_a_full_page_within_reach_is_accepted_by_the_service() -> None:
    """The service refuses offset + limit from 20,000 on."""
    assert REACHABLE - 1 + 100 < 20_000
