"""Where requests go, and whom they trust on the way."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import requests_mock as rm

from opsgenie_provider.api.errors import ApiStatusError, ForeignHostError
from opsgenie_provider.api.opsgenie import DIALECT
from opsgenie_provider.api.transport import HeaderAuth, Transport

BASE = "https://api.opsgenie.com"
URL = f"{BASE}/v1/incidents"
GOOD = {"json": {"data": []}}


def transport_of(session: requests.Session) -> Transport:
    return Transport(session, BASE, auth=HeaderAuth("GenieKey ", "a-key"), dialect=DIALECT)


@pytest.fixture
def transport(clock: Any) -> Transport:
    return transport_of(requests.Session())


def get(transport: Transport) -> Any:
    return transport.get("/v1/incidents", domain="incident", into=dict)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(transport: Transport, requests_mock: rm.Mocker, status: int) -> None:
    requests_mock.get(rm.ANY, **GOOD)
    requests_mock.get(URL, status_code=status, headers={"Location": "https://evil.example/v1/incidents"})
    with pytest.raises(ApiStatusError) as caught:
        get(transport)
    assert caught.value.status == status
    assert [sent.hostname for sent in requests_mock.request_history] == ["api.opsgenie.com"]


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/incidents",
        "http://api.opsgenie.com/v1/incidents",
        "https://api.eu.opsgenie.com/v1/incidents",
        "https://api.opsgenie.com.evil.example/v1",
        "https://api.opsgenie.com@evil.example/v1",
        "https://api.opsgenie.com\\@evil.example/v1",
        "https://api.opsgenie.com:8443/v1",
        "//evil.example://v1",
    ],
)
def test_the_key_is_never_sent_to_a_foreign_host(
    transport: Transport, requests_mock: rm.Mocker, link: str
) -> None:
    requests_mock.get(rm.ANY, **GOOD)
    with pytest.raises(ForeignHostError, match="the key is not sent there"):
        transport.get(link, domain="incident", into=dict)
    assert requests_mock.call_count == 0


def test_a_link_on_the_same_host_is_followed(transport: Transport, requests_mock: rm.Mocker) -> None:
    requests_mock.get(f"{URL}?offset=100", **GOOD)
    link = "https://API.opsgenie.com/v1/incidents?offset=100"
    assert transport.get(link, domain="incident", into=dict) == {"data": []}


@pytest.mark.parametrize(
    ("session_verify", "bundle", "expected"),
    [
        (True, None, True),
        (True, "/etc/ca.pem", "/etc/ca.pem"),
        (False, "/etc/ca.pem", False),
        ("/etc/own.pem", "/etc/ca.pem", "/etc/own.pem"),
    ],
)
def test_certificates_are_checked_as_the_connection_says(
    clock: Any,
    requests_mock: rm.Mocker,
    monkeypatch: pytest.MonkeyPatch,
    session_verify: Any,
    bundle: str | None,
    expected: Any,
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    if bundle:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    session = requests.Session()
    session.verify = session_verify
    requests_mock.get(URL, **GOOD)
    get(transport_of(session))
    assert requests_mock.last_request.verify == expected


def test_proxies_of_the_environment_are_used(
    clock: Any, requests_mock: rm.Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    requests_mock.get(URL, **GOOD)
    get(transport_of(requests.Session()))
    assert requests_mock.last_request.proxies["https"] == "http://proxy.example:3128"
