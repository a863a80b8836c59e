"""What Jira Service Management refuses, in words; limits, and a site that is none."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import requests_mock as rm

from opsgenie_provider.api.errors import (
    ApiError,
    ApiStatusError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PlanError,
    QuotaError,
    RedirectError,
    ServerError,
    UnknownShapeError,
    UnknownSiteError,
)
from opsgenie_provider.api.jsm import JsmClient
from opsgenie_provider.api.jsm_transport import BasicAuth, cloud_id_of
from tests.unit.api.jsm_site import API, JIRA, OPERATIONS, SITE, client_of

ENOUGH = {"json": {"platformTeams": []}}


@pytest.fixture
def client(clock: Any) -> JsmClient:
    return client_of()


@pytest.mark.parametrize(
    ("url", "status", "body", "kind", "says"),
    [
        (
            f"{OPERATIONS}/teams",
            401,
            {"code": 401, "message": "Unauthorized"},
            AuthenticationError,
            ["Unauthorized", "e-mail or the API token is wrong", "a year at most"],
        ),
        (
            f"{OPERATIONS}/teams",
            401,
            {"code": 401, "message": "API token has expired"},
            AuthenticationError,
            ["token has expired", "Create another"],
        ),
        (f"{OPERATIONS}/teams", 402, {"message": "Upgrade"}, PlanError, ["plan does not include Operations"]),
        (
            f"{OPERATIONS}/teams",
            403,
            {"code": 40301, "message": "No access to OpsGenie", "took": 0.0, "requestId": "r-1"},
            PlanError,
            ["No access to OpsGenie", "plan does not include Operations", "r-1"],
        ),
        (
            f"{OPERATIONS}/teams",
            403,
            {"errors": [{"title": "No access", "code": "40301"}]},
            PlanError,
            ["No access", "plan does not include Operations"],
        ),
        (
            f"{OPERATIONS}/teams",
            403,
            {"errors": [{"title": "Not allowed", "code": "USER_NOT_ALLOWED"}]},
            PermissionDeniedError,
            ["Not allowed", "agent's licence"],
        ),
        (
            f"{OPERATIONS}/teams",
            404,
            {"errors": [{"title": "No such site"}]},
            NotFoundError,
            ["No such site", "cloud_id"],
        ),
        (
            f"{OPERATIONS}/teams",
            422,
            {"errors": [{"title": "size is too large"}, {"title": "offset too"}]},
            InvalidRequestError,
            ["size is too large; offset too"],
        ),
        (f"{JIRA}/search/jql", 302, {}, RedirectError, ["to no other address", "api_url"]),
        (
            f"{JIRA}/search/jql",
            400,
            {"errorMessages": ["The value 'X' does not exist."], "errors": {"jql": "bad"}},
            InvalidRequestError,
            ["The value 'X' does not exist", "jql: bad", "incident_jql"],
        ),
        (
            f"{JIRA}/search/jql",
            401,
            {"code": 401, "message": "Unauthorized; scope does not match"},
            PermissionDeniedError,
            ["scope read:jira-work"],
        ),
        (
            f"{JIRA}/search/jql",
            403,
            {"errorMessages": ["No access"]},
            PermissionDeniedError,
            ["may not use Jira"],
        ),
    ],
)
def test_each_refusal_says_what_helps(
    client: JsmClient,
    requests_mock: rm.Mocker,
    url: str,
    status: int,
    body: Any,
    kind: type[ApiStatusError],
    says: list[str],
) -> None:
    requests_mock.get(rm.ANY, status_code=404, json={})
    requests_mock.get(url, status_code=status, json=body)
    with pytest.raises(ApiError) as caught:
        client.operations.teams() if url.startswith(OPERATIONS) else client.jira.search("project = X")
    assert type(caught.value) is kind
    assert all(each in str(caught.value) for each in says), str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'"no"', b'{"errors": [null, "x"]}', b'{"errors": 3, "code": {}}']
)
def test_any_error_body_is_read(client: JsmClient, requests_mock: rm.Mocker, body: bytes) -> None:
    requests_mock.get(f"{OPERATIONS}/teams", status_code=403, content=body, reason="Forbidden")
    with pytest.raises(PermissionDeniedError):
        client.operations.teams()


def test_a_burst_waits_as_long_as_retry_after_says(
    client: JsmClient, clock: Any, requests_mock: rm.Mocker
) -> None:
    refusal = {"status_code": 429, "headers": {"Retry-After": "7", "RateLimit-Reason": "jira-burst-based"}}
    requests_mock.get(f"{OPERATIONS}/teams", [refusal, ENOUGH])
    assert client.operations.teams() == []
    assert sum(clock.slept) >= 7


def test_a_reset_is_an_instant(client: JsmClient, clock: Any, requests_mock: rm.Mocker) -> None:
    resets = (datetime.now(UTC) + timedelta(minutes=3)).strftime("%Y-%m-%dT%H:%MZ")
    refusal = {"status_code": 429, "headers": {"X-RateLimit-Reset": resets}}
    requests_mock.get(f"{OPERATIONS}/teams", [refusal, ENOUGH])
    client.operations.teams()
    assert 100 < sum(clock.slept) <= 181


@pytest.mark.parametrize("header", ["RateLimit-Reason", "Beta-RateLimit-Reason"])
@pytest.mark.parametrize("reason", ["jira-quota-tenant-based", "jira-quota-global-based"])
def test_a_quota_is_not_slept_through(
    client: JsmClient, clock: Any, requests_mock: rm.Mocker, header: str, reason: str
) -> None:
    headers = {header: reason, "Retry-After": "1740"}
    requests_mock.get(f"{JIRA}/search/jql", status_code=429, headers=headers, json={})
    with pytest.raises(QuotaError, match=r"request quota is used up; it resets in 1740 s") as caught:
        client.jira.search("project = X")
    assert caught.value.retry_after == 1740
    assert clock.slept == []
    assert requests_mock.call_count == 1
    # Nor do the other threads of the task wait: they get the same answer.
    requests_mock.get(f"{JIRA}/search/jql", json={"issues": []})
    client.jira.search("project = X")
    assert clock.slept == []


def test_near_the_limit_a_family_slows_down(client: JsmClient, clock: Any, requests_mock: rm.Mocker) -> None:
    requests_mock.get(f"{OPERATIONS}/teams", headers={"X-RateLimit-NearLimit": "true"}, **ENOUGH)
    requests_mock.get(f"{JIRA}/search/jql", json={"issues": []})
    for _ in range(3):
        client.operations.teams()
    assert sum(clock.slept) >= 2
    slept = sum(clock.slept)
    client.jira.search("project = X")
    assert sum(clock.slept) == slept


def test_an_unavailable_service_is_asked_again(
    client: JsmClient, clock: Any, requests_mock: rm.Mocker
) -> None:
    requests_mock.get(f"{OPERATIONS}/teams", [{"status_code": 503, "headers": {"Retry-After": "3"}}, ENOUGH])
    assert client.operations.teams() == []
    assert 3 in clock.slept


def test_what_is_no_json_is_asked_again_and_what_is_of_another_shape_is_not(
    client: JsmClient, requests_mock: rm.Mocker
) -> None:
    requests_mock.get(f"{OPERATIONS}/teams", [{"text": "<html>"}, {"json": ["teams"]}])
    with pytest.raises(UnknownShapeError) as caught:
        client.operations.teams()
    assert requests_mock.call_count == 2
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


# --- the site


def test_the_site_is_asked_without_credentials(
    clock: Any, requests_mock: rm.Mocker, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Not even those that requests would find in .netrc."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine acme.atlassian.net login ann password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    requests_mock.get(f"{SITE}/_edge/tenant_info", json={"cloudId": "c-1"})
    assert cloud_id_of(requests.Session(), SITE) == "c-1"
    assert "Authorization" not in requests_mock.last_request.headers


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 404, "text": "Site not found"},
        {"status_code": 302, "headers": {"Location": "https://www.atlassian.com"}},
        {"status_code": 401, "json": {}},
        {"json": {"tenant": "acme"}},
        {"json": {"cloudId": None}},
        {"text": "<html>"},
    ],
)
def test_a_host_that_is_no_site_is_said(clock: Any, requests_mock: rm.Mocker, answer: Any) -> None:
    requests_mock.get(f"{SITE}/_edge/tenant_info", **answer)
    with pytest.raises(UnknownSiteError, match=r"no Atlassian site at https://acme\.atlassian\.net\. Put"):
        cloud_id_of(requests.Session(), SITE)


def test_a_site_that_does_not_answer_now_is_a_site(clock: Any, requests_mock: rm.Mocker) -> None:
    requests_mock.get(f"{SITE}/_edge/tenant_info", status_code=503)
    with pytest.raises(ServerError):
        cloud_id_of(requests.Session(), SITE)


@pytest.mark.parametrize("token", ["", "a\nb", "tökén"])
def test_a_malformed_token_is_reported(token: str) -> None:
    with pytest.raises(ValueError, match="copy it again"):
        BasicAuth("ann@example.com", token)


@pytest.mark.parametrize("email", ["", "ann", "ann@example.com:x"])
def test_a_login_that_is_no_address_is_said(email: str) -> None:
    with pytest.raises(ValueError, match="login of the connection is not an e-mail address"):
        BasicAuth(email, "token")


def test_credentials_go_to_the_api_only(client: JsmClient, requests_mock: rm.Mocker) -> None:
    requests_mock.get(rm.ANY, json={"values": [], "links": {"next": "https://evil.example/v1/schedules"}})
    requests_mock.get(
        f"{OPERATIONS}/schedules",
        [
            {"json": {"values": [{"id": "1"}], "links": {"next": "https://evil.example/v1/schedules"}}},
            {"json": {"values": [], "links": {}}},
        ],
    )
    list(client.operations.schedules())
    assert {sent.hostname for sent in requests_mock.request_history} == {API.removeprefix("https://")}
