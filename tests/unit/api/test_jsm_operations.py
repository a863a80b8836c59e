"""Operations and services: where each read goes, and how its pages are counted off."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests_mock as rm

from opsgenie_provider.api.errors import (
    InvalidResponseError,
    PermissionDeniedError,
    UnknownShapeError,
)
from opsgenie_provider.api.jsm import JsmClient
from tests.unit.api.jsm_site import API, CLOUD, EMAIL, OPERATIONS, SERVICES, TOKEN, client_of

START = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def client(clock: Any) -> JsmClient:
    return client_of()


def numbered(count: int) -> list[dict[str, str]]:
    return [{"id": f"{number:04}"} for number in range(count)]


def ids(raws: Any) -> list[str]:
    return [json.loads(bytes(raw))["id"] for raw in raws]


def items(pages: Any) -> list[Any]:
    return [item for page in pages for item in page.items]


def paged(items: list[Any], *, cap: int, path: str = "/v1/schedules") -> Any:
    """Serves pages of at most ``cap`` with the relative links of the published reference."""

    def answer(request: Any, _: Any) -> Any:
        offset, size = int(request.qs["offset"][0]), min(int(request.qs["size"][0]), cap)
        more = offset + size < len(items)
        link = f"{path}?offset={offset + size}&size={size}" if more else None
        return {"values": items[offset : offset + size], "links": {"next": link}}

    return answer


READS: dict[str, tuple[Any, str, dict[str, list[str]], Any]] = {
    "schedules": (
        lambda c: list(c.operations.schedules()),
        f"{OPERATIONS}/schedules",
        {"expand": ["rotation"], "size": ["50"], "offset": ["0"]},
        {"values": []},
    ),
    "timeline": (
        # A window begins with its day, wherever the day begins: a day more makes up for that.
        lambda c: c.operations.schedule_timeline("s1", start=START, until=START + timedelta(days=7)),
        f"{OPERATIONS}/schedules/s1/timeline",
        {"date": ["2026-03-29t00:30:00z"], "interval": ["8"], "intervalunit": ["days"]},
        {},
    ),
    "on_call_users": (
        lambda c: c.operations.on_call_users("s1"),
        f"{OPERATIONS}/schedules/s1/on-calls",
        {"flat": ["true"]},
        {"onCallUsers": []},
    ),
    "teams": (lambda c: c.operations.teams(), f"{OPERATIONS}/teams", {}, {"platformTeams": []}),
    "escalations": (
        lambda c: list(c.operations.escalations("t1")),
        f"{OPERATIONS}/teams/t1/escalations",
        {"size": ["100"], "offset": ["0"]},
        {"values": []},
    ),
    "alerts": (
        lambda c: c.operations.alerts(query="status: open", offset=300),
        f"{OPERATIONS}/alerts",
        {
            "query": ["status: open"],
            "offset": ["300"],
            "size": ["100"],
            "sort": ["createdat"],
            "order": ["asc"],
        },
        {"values": [], "count": 0},
    ),
    "services": (lambda c: list(c.services()), SERVICES, {"offset": ["0"], "size": ["50"]}, {"services": []}),
}


@pytest.mark.parametrize("read", READS)
def test_each_read_asks_its_endpoint(client: JsmClient, requests_mock: rm.Mocker, read: str) -> None:
    call, url, query, answer = READS[read]
    requests_mock.get(url, json=answer)
    call(client)
    sent = requests_mock.last_request
    assert sent.method == "GET"
    assert sent.qs == query
    assert sent.headers["Authorization"].startswith("Basic ")
    assert TOKEN not in sent.url
    assert EMAIL not in sent.url


@pytest.mark.parametrize("read", [name for name in READS if name != "timeline"])
def test_an_answer_without_its_list_is_no_empty_list(
    client: JsmClient, requests_mock: rm.Mocker, read: str
) -> None:
    call, url, _, _ = READS[read]
    requests_mock.get(url, json={"data": [], "onCallRecipients": []})
    with pytest.raises(UnknownShapeError, match="undocumented shape") as caught:
        call(client)
    assert json.loads(caught.value.payload) == {"data": [], "onCallRecipients": []}
    # Asking again would not change it.
    assert requests_mock.call_count == 1


@pytest.mark.parametrize("cap", [50, 25])
def test_relative_links_stop_the_count_and_lead_nowhere(
    client: JsmClient, requests_mock: rm.Mocker, cap: int
) -> None:
    requests_mock.get(f"{OPERATIONS}/schedules", json=paged(numbered(120), cap=cap))
    assert ids(items(client.operations.schedules())) == [each["id"] for each in numbered(120)]
    assert {sent.path for sent in requests_mock.request_history} == {f"/jsm/ops/api/{CLOUD}/v1/schedules"}


def test_a_page_that_is_just_full_may_be_the_last(client: JsmClient, requests_mock: rm.Mocker) -> None:
    requests_mock.get(f"{OPERATIONS}/schedules", json=paged(numbered(50), cap=50))
    assert len(items(client.operations.schedules())) == 50
    assert requests_mock.call_count == 1


@pytest.mark.parametrize("links", [{}, {"links": None}])
def test_without_links_a_page_that_is_not_full_is_the_last(
    client: JsmClient, requests_mock: rm.Mocker, links: dict[str, Any]
) -> None:
    def answer(request: Any, _: Any) -> Any:
        offset = int(request.qs["offset"][0])
        return {"values": numbered(60)[offset : offset + 50], **links}

    requests_mock.get(f"{OPERATIONS}/schedules", json=answer)
    assert len(items(client.operations.schedules())) == 60
    assert requests_mock.call_count == 2


@pytest.mark.parametrize(("listed", "problem"), [(0, "an empty page"), (1, "the same page again")])
def test_a_page_that_leads_nowhere_is_an_error(
    client: JsmClient, requests_mock: rm.Mocker, listed: int, problem: str
) -> None:
    answer = {"values": numbered(listed), "links": {"next": "/v1/schedules?offset=0&size=50"}}
    requests_mock.get(f"{OPERATIONS}/schedules", json=answer)
    with pytest.raises(InvalidResponseError, match=f"{problem}, but says that more follow"):
        list(client.operations.schedules())


@pytest.mark.parametrize("says", [("totalCount", "hasNext"), ("totalCount",), ()])
def test_services_are_read_to_the_end(
    client: JsmClient, requests_mock: rm.Mocker, says: tuple[str, ...]
) -> None:
    def answer(request: Any, _: Any) -> Any:
        offset, size = int(request.qs["offset"][0]), int(request.qs["size"][0])
        pagination = {"totalCount": 120, "hasNext": offset + size < 120}
        return {
            "services": numbered(120)[offset : offset + size],
            "pagination": {name: pagination[name] for name in says},
        }

    requests_mock.get(SERVICES, json=answer)
    assert ids(items(client.services())) == [each["id"] for each in numbered(120)]


@pytest.mark.parametrize(("status", "admin"), [(200, True), (403, False), (404, False), (402, False)])
def test_a_member_is_no_admin(client: JsmClient, requests_mock: rm.Mocker, status: int, admin: bool) -> None:
    requests_mock.get(f"{OPERATIONS}/roles", status_code=status, json={"values": []})
    assert client.operations.is_admin() is admin


SCOPE = {"status_code": 401, "json": {"code": 401, "message": "Unauthorized; scope does not match"}}
OTHER = f"{API}/ex/jira/{CLOUD}/jsm/ops/api/v1"


def test_a_token_with_scopes_is_tried_where_it_may_be_taken(
    client: JsmClient, requests_mock: rm.Mocker
) -> None:
    requests_mock.get(f"{OPERATIONS}/teams", **SCOPE)
    requests_mock.get(f"{OTHER}/teams", json={"platformTeams": [{"teamId": "t1"}]})
    assert len(client.operations.teams()) == len(client.operations.teams()) == 1
    # The second read goes there at once.
    assert requests_mock.call_count == 3


@pytest.mark.parametrize("other", [SCOPE, {"status_code": 404, "json": {}}])
def test_a_missing_scope_is_a_missing_right(client: JsmClient, requests_mock: rm.Mocker, other: Any) -> None:
    """A 401 that says scope: the credentials are good, and the rest can be read."""
    requests_mock.get(f"{OPERATIONS}/teams", **SCOPE)
    requests_mock.get(f"{OTHER}/teams", **other)
    for _ in range(2):
        with pytest.raises(PermissionDeniedError, match=r"scope read:ops-config:jira-service-management"):
            client.operations.teams()
    assert requests_mock.call_count == 3
