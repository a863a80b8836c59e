"""Requests that go wrong on the way: what is repeated, how often, after what wait."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import requests_mock as rm

from opsgenie_provider.api.errors import (
    ApiConnectionError,
    ApiStatusError,
    InvalidRequestError,
    InvalidResponseError,
    RateLimitError,
    ServerError,
)
from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.opsgenie import DIALECT
from opsgenie_provider.api.transport import (
    CONNECT_TIMEOUT,
    MAX_ATTEMPTS,
    MAX_SECONDS_OF_429,
    READ_TIMEOUT,
    HeaderAuth,
    Transport,
)

BASE = "https://api.opsgenie.com"
URL = f"{BASE}/v1/incidents"
GOOD = {"json": {"data": []}}
# The service's own words (facts of real accounts).
THROTTLED = {
    "status_code": 429,
    "json": {"message": "You are making too many requests!", "took": 0.002, "requestId": "r-429"},
}


def throttled(**headers: str) -> dict[str, Any]:
    return THROTTLED | {"headers": {name.replace("_", "-"): value for name, value in headers.items()}}


@pytest.fixture
def transport(clock: Any) -> Transport:
    return Transport(
        requests.Session(),
        BASE + "/",
        auth=HeaderAuth("GenieKey ", "a-key"),
        dialect=DIALECT,
        limiter=RateLimiter(),
    )


def get(transport: Transport) -> Any:
    return transport.get("/v1/incidents", domain="incident", into=dict)


def test_sends_the_key_a_timeout_and_nothing_else(transport: Transport, requests_mock: rm.Mocker) -> None:
    requests_mock.get(URL, **GOOD)
    transport.get("/v1/incidents", domain="incident", params={"query": "a: b", "limit": 1}, into=dict)
    sent = requests_mock.last_request
    assert sent.url == f"{URL}?query=a%3A+b&limit=1"
    assert sent.headers["Authorization"] == "GenieKey a-key"
    assert sent.timeout == (CONNECT_TIMEOUT, READ_TIMEOUT)
    assert sent.body is None


@pytest.mark.parametrize(
    "failure",
    [
        {"status_code": 500, "json": {"message": "Internal"}},
        {"status_code": 503, "text": "<html>down</html>"},
        {"status_code": 408, "text": ""},
        {"exc": requests.ConnectionError},
        {"exc": requests.ReadTimeout},
        {"exc": requests.exceptions.ChunkedEncodingError},
        {"exc": requests.exceptions.ProxyError},
        {"text": '{"data": [{"id": "a"'},
        {"text": "<html>log in</html>", "headers": {"Content-Type": "text/html"}},
        {"text": ""},
        {"content": b'{"data": "\xff\xfe"}'},
        {"text": '{"data": NaN}'},
        {"text": "[" * 100_000},
        throttled(),
        throttled(X_RateLimit_Period_In_Sec="1"),
    ],
)
def test_transient_errors_are_retried(transport: Transport, requests_mock: rm.Mocker, failure: Any) -> None:
    requests_mock.get(URL, [failure, failure, GOOD])
    assert get(transport) == {"data": []}
    assert transport.requests_sent == 3
    assert transport.requests_refused == (2 if failure.get("status_code") == 429 else 0)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 410, 422, 501])
def test_permanent_errors_are_not_retried(
    transport: Transport, requests_mock: rm.Mocker, status: int
) -> None:
    requests_mock.get(URL, [{"status_code": status}, GOOD])
    with pytest.raises(ApiStatusError) as caught:
        get(transport)
    assert caught.value.status == status
    assert requests_mock.call_count == 1


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ({"status_code": 500}, ServerError),
        ({"status_code": 503, "headers": {"Retry-After": "2"}}, ServerError),
        ({"exc": requests.ConnectTimeout}, ApiConnectionError),
        ({"text": "<html>"}, InvalidResponseError),
    ],
)
def test_tries_are_bounded(
    transport: Transport, requests_mock: rm.Mocker, clock: Any, failure: Any, error: type[Exception]
) -> None:
    requests_mock.get(URL, **failure)
    with pytest.raises(error):
        get(transport)
    assert requests_mock.call_count == MAX_ATTEMPTS
    assert sum(clock.slept) <= 20 * MAX_ATTEMPTS


def test_patience_with_refusals_is_long_but_ends(
    transport: Transport, requests_mock: rm.Mocker, clock: Any
) -> None:
    requests_mock.get(URL, **throttled(X_RateLimit_Period_In_Sec="60"))
    started = clock.now
    with pytest.raises(RateLimitError) as caught:
        get(transport)
    assert MAX_SECONDS_OF_429 <= clock.now - started <= MAX_SECONDS_OF_429 + 60
    assert MAX_ATTEMPTS < requests_mock.call_count <= MAX_SECONDS_OF_429 / 10 + 2
    assert transport.requests_refused == requests_mock.call_count
    assert (caught.value.request_id, caught.value.retry_after) == ("r-429", 10.0)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"X_RateLimit_Period_In_Sec": "1"}, 1.0),
        ({"X_RateLimit_Period_In_Sec": "60"}, 10.0),  # a bucket refills all the time
        ({"X_RateLimit_Period_In_Sec": "0"}, 1.0),
        ({"X_RateLimit_Period_In_Sec": "soon"}, 1.0),
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": "7", "X_RateLimit_Period_In_Sec": "60"}, 7.0),
        ({"Retry_After": "0"}, 1.0),  # no hot loop
        ({"Retry_After": "-3"}, 1.0),
        ({"Retry_After": "\u00b2"}, 1.0),  # a digit to str.isdigit, not to float
        ({"Retry_After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1.0),
        ({"Retry_After": "86400"}, MAX_SECONDS_OF_429),
        ({}, 1.0),
    ],
)
def test_waits_as_long_as_a_refusal_says(
    transport: Transport, requests_mock: rm.Mocker, clock: Any, headers: dict[str, str], wait: float
) -> None:
    requests_mock.get(URL, [throttled(**headers), GOOD])
    started = clock.now
    get(transport)
    assert clock.now - started == pytest.approx(wait)


def test_a_refusal_holds_back_the_other_requests_of_its_domain(
    transport: Transport, requests_mock: rm.Mocker, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[tuple[str, float, float | None]] = []
    monkeypatch.setattr(
        transport.limiter,
        "pause_after_refusal",
        lambda domain, wait, period: held.append((domain, wait, period)),
    )
    requests_mock.get(URL, [throttled(X_RateLimit_Period_In_Sec="1"), GOOD])
    get(transport)
    assert held == [("incident", 1.0, 1.0)]


def test_maintenance_that_names_its_end_is_waited_for(
    transport: Transport, requests_mock: rm.Mocker, clock: Any
) -> None:
    requests_mock.get(URL, [{"status_code": 503, "headers": {"Retry-After": "120"}}, GOOD])
    started = clock.now
    get(transport)
    assert clock.now - started == 120


def test_an_error_answer_is_reported_in_full(transport: Transport, requests_mock: rm.Mocker) -> None:
    body = {
        "message": "Request body is not processable. Please check the errors.",
        "errors": {"recipients#type": "Invalid recipient type 'x'"},
        "took": 0.1,
        "requestId": "body-id",
    }
    requests_mock.get(URL, status_code=422, json=body, headers={"X-Request-Id": "header-id"})
    with pytest.raises(InvalidRequestError) as caught:
        get(transport)
    error = caught.value
    assert error.message == body["message"]
    assert error.request == "GET /v1/incidents"
    assert error.request_id == "body-id"
    assert error.fields == {"recipients#type": "Invalid recipient type 'x'"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"text": "<html>Bad gateway</html>", "reason": "Bad Gateway"}, "Bad Gateway"),
        ({"text": "", "reason": None}, "no message"),
        ({"json": [1, 2], "reason": "Nope"}, "Nope"),
        ({"json": {"message": None, "errors": ["a"], "requestId": None}, "reason": "Nope"}, "Nope"),
        ({"content": b"\xff\xfe\xfa", "reason": "Nope"}, "Nope"),
        ({"text": "[" * 100_000, "reason": "Nope"}, "Nope"),
        ({"text": "9" * 10_000, "reason": "Nope"}, "Nope"),
    ],
)
def test_any_error_page_becomes_an_error(
    transport: Transport, requests_mock: rm.Mocker, answer: Any, message: str
) -> None:
    requests_mock.get(URL, status_code=404, headers={"X-Request-Id": "header-id"}, **answer)
    with pytest.raises(ApiStatusError) as caught:
        get(transport)
    assert (caught.value.message, caught.value.request_id) == (message, "header-id")


def test_a_page_in_place_of_json_is_described_not_shown(
    transport: Transport, requests_mock: rm.Mocker
) -> None:
    requests_mock.get(URL, text="<html>secret portal</html>", headers={"Content-Type": "text/html"})
    with pytest.raises(InvalidResponseError) as caught:
        get(transport)
    assert "text/html, 26 bytes" in str(caught.value)
    assert "portal" not in str(caught.value)
