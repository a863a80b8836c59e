"""Keys, rights, plans, rate limits."""

from __future__ import annotations

import base64

import pytest

from sandbox.limits import RateLimiter
from sandbox.opsgenie import Key
from tests.sandbox.sandbox_client import READER, WRITER, Api

UNKNOWN = "99999999-9999-4999-8999-999999999999"


@pytest.mark.parametrize("header", [None, f"Bearer {WRITER}", f"GenieKey {UNKNOWN}", "GenieKey ", "Basic !!"])
def test_a_request_without_a_known_key_is_a_401(api: Api, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = api.call("GET", "/v1/incidents", None, headers=headers)
    assert response.status_code == 401
    assert response.json()["message"] == "Could not authenticate"
    assert {"took", "requestId"} <= set(response.json())


def test_a_key_that_is_no_uuid_is_a_422(api: Api) -> None:
    """Seen on the live service: it reads a credential's shape before its value."""
    response = api.get("/v1/incidents", "abc")
    assert (response.status_code, response.json()["message"]) == (422, "Key format is not valid!")


def test_basic_authentication_takes_the_key_as_password(api: Api) -> None:
    token = base64.b64encode(f":{WRITER}".encode()).decode()
    response = api.call("GET", "/v1/incidents", None, headers={"Authorization": f"Basic {token}"})
    assert response.status_code == 200


def test_a_key_of_the_other_region_is_a_401(api: Api) -> None:
    """healthchecks#294: the US key on the EU host, and the other way round."""
    api.store.keys[READER] = Key("eu", region="eu")
    assert api.get("/v1/incidents", READER).status_code == 401
    api.store.region = "eu"
    assert api.get("/v1/incidents", READER).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v2/users",
        "/v2/teams",
        "/v2/escalations",
        "/v2/schedules",
        "/v2/schedules/x/overrides",
        "/v2/schedules/x/timeline",
        "/v2/schedules/on-calls",
        "/v1/services",
        "/v2/account",
        "/v2/incident-timelines/x/entries",
    ],
)
def test_configuration_access_is_needed_beyond_the_incidents(api: Api, path: str) -> None:
    response = api.get(path, READER)
    assert (response.status_code, response.json()["code"]) == (403, 40301)
    assert "Configuration Access" in response.json()["message"]
    assert api.get("/v1/incidents", READER).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", "/v1/incidents", "Read"),
        ("POST", "/v1/incidents/create", "Create and Update"),
        ("POST", "/v1/incidents/x/close", "Create and Update"),
        ("DELETE", "/v1/incidents/x", "Delete"),
    ],
)
def test_a_missing_right_is_a_403_that_names_it(api: Api, method: str, path: str, right: str) -> None:
    api.store.keys[READER] = Key("config only", frozenset({"config"}))
    response = api.call(method, path, READER)
    assert (response.status_code, response.json()["code"]) == (403, 40301)
    assert right in response.json()["message"]


@pytest.mark.parametrize("path", ["/v2/request-limits/", "/v2/account"])
def test_a_team_key_may_not_ask_about_the_account(api: Api, path: str) -> None:
    """opsgenie/opsgenie-configuration-backup#42"""
    api.store.keys[READER] = Key("team", team=next(iter(api.store.teams)))
    response = api.get(path, READER)
    assert response.status_code == 403
    assert response.json()["message"] == "Team API Keys are not authorized to perform this action."


@pytest.mark.parametrize("plan", ["Free", "Essentials"])
def test_a_plan_without_incidents_is_a_402_there_and_nowhere_else(api: Api, plan: str) -> None:
    api.store.plan = plan
    assert api.get("/v1/incidents").status_code == 402
    assert api.get("/v1/services").status_code == 402
    assert api.get("/v2/schedules").status_code == 200
    assert api.data("/v2/account")["plan"]["name"] == plan


def test_a_bucket_refills_over_its_window_and_each_window_counts() -> None:
    now = [0.0]
    limiter = RateLimiter(time=lambda: now[0])
    limiter.configure({"Incident": {60: 6, 1: 2}})
    assert [limiter.take("Incident") for _ in range(3)] == [None, None, 1]
    for _ in range(2):
        now[0] += 1
        assert [limiter.take("Incident") for _ in range(2)] == [None, None]
    assert limiter.take("Incident") == 60
    assert limiter.take("Search") is None
    now[0] += 10
    assert limiter.take("Incident") is None


def test_a_throttled_domain_answers_429_and_others_do_not(api: Api) -> None:
    """airbyte#35020 (body), opsgenie-go-sdk-v2 tests (headers)."""
    api.app.limiter.configure({"Incident": {60: 2}, "Configuration": {1: 100, 60: 1000}})
    codes = [api.get("/v1/incidents").status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    response = api.get("/v1/incidents")
    assert response.json()["message"] == (
        "You are making too many requests! To avoid errors, we recommend you limit requests."
    )
    assert response.headers["X-RateLimit-State"] == "THROTTLED"
    assert response.headers["X-RateLimit-Reason"] == "ACCOUNT"
    assert response.headers["X-RateLimit-Period-In-Sec"] == "60"
    assert "Retry-After" not in response.headers
    assert api.get("/v2/teams").status_code == 200


def test_buckets_belong_to_the_account_not_to_the_key(api: Api) -> None:
    api.app.limiter.configure({"Incident": {60: 1}})
    assert api.get("/v1/incidents", READER).status_code == 200
    assert api.get("/v1/incidents", WRITER).status_code == 429


def test_request_limits_reports_both_windows_of_each_domain(api: Api) -> None:
    """The shape that Atlassian's own backup tool reads."""
    api.app.limiter.configure({"Search": {60: 300, 1: 10}})
    assert api.data("/v2/request-limits/") == {
        "rateLimits": [
            {
                "domain": "search",
                "limits": [{"limit": 10, "periodInSeconds": 1}, {"limit": 300, "periodInSeconds": 60}],
            }
        ]
    }


def test_the_request_log_names_the_key_and_never_shows_it(api: Api) -> None:
    api.get("/v1/incidents", READER, limit=1)
    api.get("/v1/incidents", UNKNOWN)
    body = api.get("/_sandbox/requests", None)
    assert [entry["key"] for entry in body.json()["requests"]] == ["reader", "-"]
    assert READER not in body.text
    assert UNKNOWN not in body.text


def test_unknown_paths_and_methods_answer_in_the_service_s_envelope(api: Api) -> None:
    assert api.get("/v2/weather").json().keys() >= {"message", "requestId"}
    assert api.call("PUT", "/v1/incidents").status_code == 405
