from __future__ import annotations

import json
from typing import Any

import pytest
import requests_mock as rm

from opsgenie_provider.api.limits import ANY_DOMAIN
from opsgenie_provider.hooks.base import ConnectionSettingsError
from opsgenie_provider.hooks.opsgenie import OpsgenieHook
from opsgenie_provider.hooks.pagerduty import PagerdutyHook

KEY = "c4nary-key-0001"
Connect = Any


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Sets the connection ``acme`` by its fields, the way an environment does."""

    def set_connection(conn_type: str = "opsgenie_api", **fields: Any) -> None:
        monkeypatch.setenv(
            "AIRFLOW_CONN_ACME", json.dumps({"conn_type": conn_type, "password": KEY} | fields)
        )

    return set_connection


def base_url(hook: OpsgenieHook | PagerdutyHook) -> str:
    return hook.client.transport.base_url


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "https://api.opsgenie.com"),
        ({"host": ""}, "https://api.opsgenie.com"),
        ({"extra": {"region": "us"}}, "https://api.opsgenie.com"),
        ({"extra": {"region": "eu"}}, "https://api.eu.opsgenie.com"),
        ({"extra": {"region": "EU"}}, "https://api.eu.opsgenie.com"),
        ({"extra": {"region": None}}, "https://api.opsgenie.com"),
        ({"host": "https://api.eu.opsgenie.com"}, "https://api.eu.opsgenie.com"),
        ({"host": "https://api.eu.opsgenie.com/"}, "https://api.eu.opsgenie.com"),
        ({"host": " api.eu.opsgenie.com "}, "https://api.eu.opsgenie.com"),
        ({"host": "api.sandbox.opsgenie.com", "extra": {"region": "eu"}}, "https://api.sandbox.opsgenie.com"),
        ({"host": "http://localhost:8080"}, "http://localhost:8080"),
        ({"host": "http://localhost", "port": 8080}, "http://localhost:8080"),
        ({"host": "localhost", "port": 8080}, "https://localhost:8080"),
        ({"host": "localhost", "port": 8080, "schema": "http"}, "http://localhost:8080"),
        ({"host": "http://localhost:8080", "port": 8080}, "http://localhost:8080"),
        ({"host": "https://proxy.example/opsgenie", "port": 8443}, "https://proxy.example:8443/opsgenie"),
        ({"extra": {"region": " eu\n"}}, "https://api.eu.opsgenie.com"),
        # Encoded twice, as happens between secret stores, and what some of them write for nothing.
        ({"extra": json.dumps(json.dumps({"region": "eu"}))}, "https://api.eu.opsgenie.com"),
        ({"extra": "null"}, "https://api.opsgenie.com"),
    ],
)
def test_where_a_connection_leads(connect: Connect, fields: dict[str, Any], url: str) -> None:
    connect(**fields)
    assert base_url(OpsgenieHook(opsgenie_conn_id="acme")) == url


@pytest.mark.parametrize(("region", "host"), [("us", "api.pagerduty.com"), ("eu", "api.eu.pagerduty.com")])
def test_pagerduty_has_regions_of_its_own(connect: Connect, region: str, host: str) -> None:
    connect("pagerduty_api", extra={"region": region})
    assert base_url(PagerdutyHook(pagerduty_conn_id="acme")) == f"https://{host}"


def test_a_connection_may_be_a_uri(monkeypatch: pytest.MonkeyPatch, requests_mock: rm.Mocker) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ACME", f"opsgenie-api://:{KEY}@api.eu.opsgenie.com")
    requests_mock.get("https://api.eu.opsgenie.com/v2/account", json={"data": {"name": "acme"}})
    assert OpsgenieHook(opsgenie_conn_id="acme").client.account() == {"name": "acme"}
    assert requests_mock.last_request.headers["Authorization"] == f"GenieKey {KEY}"


def test_the_extras_of_a_uri_are_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    query = "verify=false&trust_env=False&proxies=%7B%22https%22%3A+%22http%3A%2F%2Fp%3A1%22%7D"
    monkeypatch.setenv("AIRFLOW_CONN_ACME", f"opsgenie-api://:{KEY}@/?{query}")
    session = OpsgenieHook(opsgenie_conn_id="acme").get_conn()
    assert (session.verify, session.trust_env, session.proxies) == (False, False, {"https": "http://p:1"})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"extra": "[1]"}, "extra of the connection 'acme' is not a JSON object"),
        ({"host": "https://h:port"}, "'acme' has the host 'https://h:port', which is no URL"),
    ],
)
def test_what_cannot_be_read_is_said(connect: Connect, fields: dict[str, Any], problem: str) -> None:
    connect(**fields)
    with pytest.raises(ConnectionSettingsError, match=problem):
        _ = OpsgenieHook(opsgenie_conn_id="acme").client


def test_an_unknown_region_is_said(connect: Connect) -> None:
    connect(extra={"region": "asia"})
    with pytest.raises(ConnectionSettingsError, match=r"'acme' has the region 'asia': it is one of us, eu"):
        _ = OpsgenieHook(opsgenie_conn_id="acme").client


@pytest.mark.parametrize(("conn_type", "hook"), [("jsm_api", OpsgenieHook), ("opsgenie_api", PagerdutyHook)])
def test_a_credential_of_another_service_is_not_sent(connect: Connect, conn_type: str, hook: Any) -> None:
    connect(conn_type, host="https://acme.atlassian.net")
    with pytest.raises(ConnectionSettingsError, match=f"has the type '{conn_type}'"):
        hook(**{hook.conn_name_attr: "acme"}).client  # noqa: B018


@pytest.mark.parametrize("password", [None, ""])
def test_a_missing_password_is_said(connect: Connect, password: str | None) -> None:
    connect(password=password)
    with pytest.raises(ConnectionSettingsError, match="'acme' has no password: put the API key there"):
        _ = OpsgenieHook(opsgenie_conn_id="acme").client


def test_a_missing_connection_is_said_with_the_remedy() -> None:
    with pytest.raises(ConnectionSettingsError) as caught:
        _ = OpsgenieHook(opsgenie_conn_id="nowhere").client
    assert "no Airflow connection 'nowhere'" in str(caught.value)
    assert "AIRFLOW_CONN_NOWHERE" in str(caught.value)
    assert "'opsgenie_api'" in str(caught.value)


def test_a_hook_is_made_without_looking_anything_up() -> None:
    """The scheduler and the DAG file make hooks where no connection may be asked for."""
    assert OpsgenieHook(opsgenie_conn_id="nowhere").base_url == ""
    assert PagerdutyHook(pagerduty_conn_id="nowhere").base_url == ""


def test_extras_are_never_sent(connect: Connect, requests_mock: rm.Mocker) -> None:
    connect(extra={"region": "eu", "X-Secret": "hidden", "User-Agent": "other", "timeout": 3})
    requests_mock.get(rm.ANY, json={"data": {}})
    OpsgenieHook(opsgenie_conn_id="acme").client.account()
    sent = requests_mock.last_request
    assert {name.lower() for name in sent.headers} == {
        "user-agent",
        "accept-encoding",
        "accept",
        "connection",
        "authorization",
    }
    assert sent.headers["User-Agent"].startswith("python-requests/")
    assert "hidden" not in str(sent.headers) + sent.url


def test_extras_of_the_network_hold(
    connect: Connect, requests_mock: rm.Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ca.pem")
    connect(extra={"verify": False, "proxies": {"https": "http://proxy.example:3128"}})
    requests_mock.get(rm.ANY, json={"data": {}})
    OpsgenieHook(opsgenie_conn_id="acme").client.account()
    assert requests_mock.last_request.verify is False
    assert requests_mock.last_request.proxies["https"] == "http://proxy.example:3128"


def test_a_limit_of_ones_own_holds_for_all_domains(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    connect()
    made: list[Any] = []
    monkeypatch.setattr("opsgenie_provider.hooks.opsgenie.RateLimiter", made.append)
    limits = {"incident": [(10, 1.0)]}
    _ = OpsgenieHook(opsgenie_conn_id="acme", limits=limits, max_requests_per_minute=60).client
    _ = OpsgenieHook(opsgenie_conn_id="acme", limits=limits).client
    assert made == [limits | {ANY_DOMAIN: [(60, 60.0)]}, limits]


def test_the_client_is_made_once(connect: Connect) -> None:
    connect()
    hook = OpsgenieHook(opsgenie_conn_id="acme")
    assert hook.client is hook.client


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, ["401", "check the password", "region"]),
        (402, ["402", "Standard or Enterprise plan"]),
        (403, ["403", "Read, and Configuration Access"]),
        (404, ["404", "base URL, without a path"]),
    ],
)
def test_a_test_that_fails_says_what_helps(
    connect: Connect, requests_mock: rm.Mocker, clock: Any, status: int, says: list[str]
) -> None:
    connect()
    body = {"message": f"Could not authenticate {KEY}", "took": 0.001, "requestId": "r-1"}
    for path in ("/v1/incidents", "/v2/alerts"):
        requests_mock.get(f"https://api.opsgenie.com{path}", status_code=status, json=body)
    passed, message = OpsgenieHook(opsgenie_conn_id="acme").test_connection()
    assert not passed
    assert all(each in message for each in [*says, "Could not authenticate", "r-1"])
    assert KEY not in message


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": ""}, "no password"),
        ({"extra": {"region": "asia"}}, "asia"),
        ({"password": "not a\nkey"}, "copy it again"),
    ],
)
def test_a_test_of_a_wrong_connection_says_so(connect: Connect, fields: dict[str, Any], says: str) -> None:
    connect(**fields)
    passed, message = OpsgenieHook(opsgenie_conn_id="acme").test_connection()
    assert not passed
    assert says in message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"data": [], "totalCount": 108_000}, "The key is accepted. It lists 108000 incidents."),
        ({"data": [], "totalCount": 0}, "The key is accepted. It lists 0 incidents."),
        ({"data": []}, "The key is accepted."),
    ],
)
def test_a_test_that_passes_says_what_the_key_sees(
    connect: Connect, requests_mock: rm.Mocker, answer: Any, message: str
) -> None:
    connect()
    requests_mock.get("https://api.opsgenie.com/v1/incidents", json=answer)
    assert OpsgenieHook(opsgenie_conn_id="acme").test_connection() == (True, message)
    assert requests_mock.call_count == 1


def test_a_key_of_a_plan_without_incidents_passes(connect: Connect, requests_mock: rm.Mocker) -> None:
    connect()
    requests_mock.get("https://api.opsgenie.com/v1/incidents", status_code=402, json={"message": "plan"})
    requests_mock.get("https://api.opsgenie.com/v2/alerts", json={"data": []})
    passed, message = OpsgenieHook(opsgenie_conn_id="acme").test_connection()
    assert passed
    assert "alert_accounts" in message


@pytest.mark.parametrize(("status", "passed"), [(200, True), (401, False), (403, False)])
def test_a_pagerduty_key_is_tested_too(
    connect: Connect, requests_mock: rm.Mocker, status: int, passed: bool
) -> None:
    connect("pagerduty_api")
    requests_mock.get(
        "https://api.pagerduty.com/abilities", status_code=status, json={"abilities": [], "error": "no"}
    )
    assert PagerdutyHook(pagerduty_conn_id="acme").test_connection()[0] is passed
    assert requests_mock.last_request.headers["Authorization"] == f"Token token={KEY}"
