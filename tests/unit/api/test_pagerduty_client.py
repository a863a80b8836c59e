from __future__ import annotations

from typing import Any

import pytest
import requests
import requests_mock as rm

from opsgenie_provider.api.errors import ApiStatusError
from opsgenie_provider.api.pagerduty import PagerdutyClient

URL = "https://api.pagerduty.com/abilities"


@pytest.fixture
def client(clock: Any) -> PagerdutyClient:
    return PagerdutyClient(requests.Session(), "https://api.pagerduty.com", "a-key")


def test_speaks_version_two(client: PagerdutyClient, requests_mock: rm.Mocker) -> None:
    requests_mock.get(URL, json={"abilities": ["teams"]})
    assert client.abilities() == ["teams"]
    sent = requests_mock.last_request
    assert sent.method == "GET"
    assert sent.headers["Authorization"] == "Token token=a-key"
    assert sent.headers["Accept"] == "application/vnd.pagerduty+json;version=2"


@pytest.mark.parametrize(
    ("body", "message", "fields"),
    [
        (
            {"error": {"message": "Invalid", "code": 2001, "errors": ["a is bad", "b is bad"]}},
            "Invalid",
            {"1": "a is bad", "2": "b is bad"},
        ),
        ({"error": {"message": "Invalid", "errors": {"since": "too old"}}}, "Invalid", {"since": "too old"}),
        (
            {"error": {"message": "Invalid", "errors": "since is too old"}},
            "Invalid",
            {"1": "since is too old"},
        ),
        ({"error": {"message": "Invalid", "errors": 7}}, "Invalid", {"1": "7"}),
        ({"error": "Account not found"}, "Account not found", {}),
        ({"error": {}}, "Not Acceptable", {}),
        ([], "Not Acceptable", {}),
    ],
)
def test_reads_every_form_of_error(
    client: PagerdutyClient, requests_mock: rm.Mocker, body: Any, message: str, fields: dict[str, str]
) -> None:
    requests_mock.get(
        URL, status_code=406, reason="Not Acceptable", json=body, headers={"X-Request-Id": "r1"}
    )
    with pytest.raises(ApiStatusError) as caught:
        client.abilities()
    assert (caught.value.message, caught.value.fields) == (message, fields)
    assert caught.value.request_id == "r1"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"ratelimit-reset": "12"}, 12.0),
        ({"ratelimit-reset": "500"}, 60.0),
        ({}, 5.0),
        ({"ratelimit-reset": "\u00b3"}, 5.0),
    ],
)
def test_waits_until_the_window_ends(
    client: PagerdutyClient, requests_mock: rm.Mocker, clock: Any, headers: dict[str, str], wait: float
) -> None:
    requests_mock.get(URL, [{"status_code": 429, "headers": headers}, {"json": {"abilities": []}}])
    started = clock.now
    client.abilities()
    assert clock.now - started == pytest.approx(wait)
