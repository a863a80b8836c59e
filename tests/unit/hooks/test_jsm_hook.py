"""From a connection of type ``jsm_api`` to a client, and what its Test button says."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
import requests_mock as rm

from opsgenie_provider.hooks.base import ConnectionSettingsError
from opsgenie_provider.hooks.jsm import JsmHook

SITE, API, CLOUD = "https://acme.atlassian.net", "https://api.atlassian.com", "cloud-1"
TENANT = f"{SITE}/_edge/tenant_info"
OPERATIONS, SERVICES = f"{API}/jsm/ops/api/{CLOUD}/v1", f"{API}/jsm/api/{CLOUD}/v1/services/"
JIRA = f"{API}/ex/jira/{CLOUD}/rest/api/3"
TOKEN = "ATATT3xFfGF0-c4nary"
MYSELF = {"accountId": "712020:ann", "displayName": "Ann", "accountType": "atlassian", "timeZone": "UTC"}


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the connection ``acme`` by its fields, the way an environment does."""

    def set_connection(**fields: Any) -> None:
        good = {"conn_type": "jsm_api", "host": SITE, "login": "ann@example.com", "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_ACME", json.dumps(good | fields))

    return set_connection


def hook() -> JsmHook:
    return JsmHook(jsm_conn_id="acme")


def serve(requests_mock: rm.Mocker, **other: dict[str, Any]) -> None:
    """A site that answers everything, but for what a test says."""
    answers: dict[str, tuple[str, dict[str, Any]]] = {
        "tenant": (TENANT, {"json": {"cloudId": CLOUD}}),
        "myself": (f"{JIRA}/myself", {"json": MYSELF}),
        "fields": (f"{JIRA}/field", {"json": []}),
        "statuses": (f"{JIRA}/status", {"json": []}),
        "types": (f"{JIRA}/issuetype", {"json": [{"id": "1", "name": "Incident"}]}),
        "search": (f"{JIRA}/search/jql", {"json": {"issues": [{"id": "7"}]}}),
        "operations": (f"{OPERATIONS}/schedules", {"json": {"values": []}}),
        "roles": (f"{OPERATIONS}/roles", {"json": {"values": []}}),
        "services": (SERVICES, {"json": {"services": [{"id": "s"}]}}),
    }
    requests_mock.get(rm.ANY, status_code=404, json={})
    for name, (url, answer) in answers.items():
        requests_mock.get(url, **other.get(name, answer))


# --- the connection


@pytest.mark.parametrize(
    ("host", "site"),
    [
        (SITE, SITE),
        (f"{SITE}/", SITE),
        ("acme.atlassian.net", SITE),
        (" acme.atlassian.net/ ", SITE),
        (f"{SITE}/jira/software/projects/OPS", SITE),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://localhost:8080/jsm/", "http://localhost:8080/jsm"),
    ],
)
def test_where_the_site_is(connect: Any, requests_mock: rm.Mocker, host: str, site: str) -> None:
    connect(host=host)
    requests_mock.get(f"{site}/_edge/tenant_info", json={"cloudId": CLOUD})
    assert hook().client.settings.site == site


def test_credentials_go_to_the_api_and_nowhere_else(connect: Any, requests_mock: rm.Mocker) -> None:
    connect()
    serve(requests_mock)
    assert hook().test_connection()[0]
    basic = "Basic " + b64encode(f"ann@example.com:{TOKEN}".encode()).decode()
    for sent in requests_mock.request_history:
        assert sent.method == "GET"
        assert sent.headers.get("Authorization") == (None if sent.url.startswith(SITE) else basic)
    assert sum(sent.url.startswith(SITE) for sent in requests_mock.request_history) == 1


def test_another_api_and_a_known_cloud_id(connect: Any, requests_mock: rm.Mocker) -> None:
    connect(extra={"api_url": "http://localhost:9090/", "cloud_id": "c-9"})
    requests_mock.get("http://localhost:9090/jsm/ops/api/c-9/v1/teams", json={"platformTeams": []})
    assert hook().client.operations.teams() == []
    assert [sent.hostname for sent in requests_mock.request_history] == ["localhost"]


def test_a_cloud_id_that_an_earlier_task_found_is_not_asked_for(
    connect: Any, requests_mock: rm.Mocker
) -> None:
    connect()
    _ = JsmHook(jsm_conn_id="acme", cloud_id="c-8").client
    assert requests_mock.call_count == 0


def test_the_extras_say_how_issues_are_read(connect: Any) -> None:
    extra = {
        "cloud_id": CLOUD,
        "incident_jql": " project = OPS ",
        "impact_start_field": "",
        "impact_end_field": "customfield_10068",
        "priority_map": {"Critical": "P1"},
        "closed_statuses": ["Done"],
        "unknown": "ignored",
    }
    connect(extra=extra)
    settings = hook().client.settings
    assert settings.incident_jql == "project = OPS"
    assert (settings.impact_start_field, settings.impact_end_field) == (None, "customfield_10068")
    assert settings.priority_map == {"Critical": "P1"}
    assert settings.closed_statuses == ("Done",)


@pytest.mark.parametrize(
    ("given", "closed", "priorities"),
    [
        ({}, ("Closed", "Canceled", "Cancelled", "Declined"), {}),
        (
            {"closed_statuses": None, "priority_map": None},
            ("Closed", "Canceled", "Cancelled", "Declined"),
            {},
        ),
        ({"closed_statuses": "", "priority_map": ""}, ("Closed", "Canceled", "Cancelled", "Declined"), {}),
        (
            {"closed_statuses": '["Done", "Won\'t do"]', "priority_map": '{"Sev 1": "P1"}'},
            ("Done", "Won't do"),
            {"Sev 1": "P1"},
        ),
        ({"closed_statuses": "Done, Void"}, ("Done", "Void"), {}),
        ({"closed_statuses": []}, (), {}),
    ],
)
def test_extras_that_are_lists_and_maps_may_be_texts(
    connect: Any, given: dict[str, Any], closed: Any, priorities: Any
) -> None:
    connect(extra={"cloud_id": CLOUD, **given})
    settings = hook().client.settings
    assert (settings.closed_statuses, settings.priority_map) == (closed, priorities)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"host": ""}, "'acme' has no host: put the site there"),
        ({"login": ""}, "'acme' has no login: put there the e-mail"),
        ({"password": ""}, "'acme' has no password: put the API token there"),
        ({"login": "ann"}, "login of the connection is not an e-mail address"),
        ({"password": "a\nb"}, "copy it again"),
        ({"extra": {"api_url": "api.atlassian.com"}}, "api_url"),
        ({"extra": {"api_url": "https://ann@evil.example"}}, "api_url"),
        ({"extra": {"incident_jql": ["x"]}}, "incident_jql"),
        ({"extra": {"priority_map": {"Critical": "P9"}}}, "priority_map"),
        ({"extra": {"priority_map": "{"}}, "priority_map"),
        ({"extra": {"closed_statuses": [1]}}, "closed_statuses"),
    ],
)
def test_a_wrong_connection_is_said_by_the_test_too(
    connect: Any, requests_mock: rm.Mocker, fields: dict[str, Any], says: str
) -> None:
    extra = {"cloud_id": CLOUD} | fields.get("extra", {})
    connect(**(fields | {"extra": extra}))
    with pytest.raises(ValueError, match=says):
        _ = hook().client
    passed, message = hook().test_connection()
    assert not passed
    assert says in message
    assert requests_mock.call_count == 0


def test_a_missing_connection_is_said() -> None:
    with pytest.raises(ConnectionSettingsError, match="type 'jsm_api' and the API token"):
        _ = JsmHook(jsm_conn_id="nowhere").client


# --- the Test button


def test_a_test_says_what_each_family_answered(connect: Any, requests_mock: rm.Mocker) -> None:
    connect()
    serve(requests_mock)
    passed, message = hook().test_connection()
    assert passed
    for each in (
        "Site:",
        "Account: the token is accepted; it is Ann's",
        "Operations:",
        "Services:",
        "Search:",
    ):
        assert each in message
    assert requests_mock.call_count == 10


UNKNOWN = {"status_code": 401, "json": {"code": 401, "message": "Unauthorized"}}
EXPIRED = {"status_code": 401, "json": {"code": 401, "message": "Token has expired"}}
SCOPE = {"status_code": 401, "json": {"code": 401, "message": "Unauthorized; scope does not match"}}
NOT_THERE = {"status_code": 403, "json": {"code": 40301, "message": "You have no access to OpsGenie"}}
NO_AGENT = {"status_code": 403, "json": {"errors": [{"title": "Not an agent", "code": "FORBIDDEN"}]}}
EVERYWHERE = ("myself", "operations", "services", "search", "fields", "statuses", "types", "roles")


@pytest.mark.parametrize(
    ("answers", "passed", "says", "silent"),
    [
        # Nothing but the site was reached.
        (
            dict.fromkeys(EVERYWHERE, UNKNOWN),
            False,
            ["e-mail or the API token is wrong", "a year at most"],
            [],
        ),
        (dict.fromkeys(EVERYWHERE, EXPIRED), False, ["Account: ", "token has expired", "likewise"], []),
        # The token is good; a family is missing.
        (
            {"operations": SCOPE},
            False,
            ["read:ops-config:jira-service-management", "Search: reached"],
            ["wrong"],
        ),
        ({"search": SCOPE}, False, ["read:jira-work", "Operations: reached"], ["wrong"]),
        (
            {"operations": UNKNOWN},
            False,
            ["Operations: refused", "service accounts", "Services: reached"],
            ["wrong"],
        ),
        ({"operations": NO_AGENT}, False, ["Not an agent", "agent's licence", "Search: reached"], ["wrong"]),
        # Nobody can change the plan here: the incidents are read without Operations.
        (
            {"operations": NOT_THERE},
            True,
            ["Operations: not available", "plan", "Search: reached"],
            ["wrong"],
        ),
        (
            {"operations": {"status_code": 402, "json": {"message": "Upgrade"}}},
            True,
            ["not available", "plan"],
            [],
        ),
        ({"services": NOT_THERE}, True, ["Services: not available", "Operations: reached"], []),
        # A member sees less.
        ({"roles": NO_AGENT}, True, ["no Operations admin", "never marked deleted"], []),
        ({"myself": {"json": MYSELF | {"accountType": "app"}}}, False, ["service account"], []),
        (
            {"myself": {"json": MYSELF | {"emailAddress": "bot-1@serviceaccount.atlassian.com"}}},
            False,
            ["service account"],
            [],
        ),
        (
            {"myself": {"json": MYSELF | {"accountType": "customer"}}},
            False,
            ["without an agent's licence"],
            [],
        ),
        ({"types": {"json": []}}, False, ["no issue type named", "incident_jql", "Services: reached"], []),
        ({"search": {"json": {"issues": []}}}, True, ["Search: reached; it lists no incident"], []),
        ({"search": {"json": {"values": []}}}, False, ["Search: ", "undocumented shape"], []),
        (
            {"tenant": {"status_code": 404}},
            False,
            ["no Atlassian site at https://acme.atlassian.net"],
            ["Account"],
        ),
        ({"tenant": {"text": "<html>"}}, False, ["no Atlassian site"], ["Account"]),
    ],
)
def test_a_test_says_what_is_missing(
    connect: Any,
    requests_mock: rm.Mocker,
    clock: Any,
    answers: dict[str, Any],
    passed: bool,
    says: list[str],
    silent: list[str],
) -> None:
    connect()
    serve(requests_mock, **answers)
    found, message = hook().test_connection()
    assert found is passed, message
    for each in says:
        assert each in message
    for each in silent:
        assert each not in message
    assert TOKEN not in message


def test_a_wrong_cloud_id_is_said(connect: Any, requests_mock: rm.Mocker, clock: Any) -> None:
    connect(extra={"cloud_id": "wrong"})
    serve(requests_mock)
    passed, message = hook().test_connection()
    assert not passed
    assert "check the extra cloud_id" in message
