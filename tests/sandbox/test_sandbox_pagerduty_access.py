"""Keys, rate limits, error bodies, the control surface."""

from __future__ import annotations

import pytest

from sandbox.pagerduty import Key, Store
from sandbox.pagerduty.store import FULL_KEY, READ_KEY
from tests.sandbox.sandbox_client import Reader

Pd = Reader[Store]


@pytest.mark.parametrize(
    "header",
    [f"Bearer {READ_KEY}", f"Token {READ_KEY}", f"token token={READ_KEY}", "Token token=nope", READ_KEY],
)
def test_only_the_exact_form_of_the_header_is_accepted(pd: Pd, header: str) -> None:
    """02-Authentication"""
    response = pd.call("GET", "/abilities", header)
    assert (response.status_code, response.json()["error"]["code"]) == (401, 2006)
    assert pd.get("/abilities").status_code == 200


def test_a_key_of_the_other_region_is_a_401(pd: Pd) -> None:
    pd.store.region = "eu"
    assert pd.get("/incidents").status_code == 401


def test_a_read_only_key_may_only_get(pd: Pd) -> None:
    response = pd.call("POST", "/incidents", json={})
    assert (response.status_code, response.json()["error"]["code"]) == (403, 2010)
    assert pd.call("POST", "/incidents", f"Token token={FULL_KEY}", json={}).status_code == 405
    assert pd.get("/weather").json()["error"]["code"] == 2100


def test_users_me_needs_a_user_s_key_and_says_so_in_a_string(pd: Pd) -> None:
    response = pd.get("/users/me")
    assert response.status_code == 400
    assert "account-level access token" in response.json()["error"]
    pd.store.keys["mine"] = Key("mine", user="PANN")
    assert pd.call("GET", "/users/me", "Token token=mine").json()["user"]["email"] == "ann@example.com"


def test_abilities_are_there_missing_or_unknown(pd: Pd) -> None:
    assert [pd.get(f"/abilities/{name}").status_code for name in ("teams", "sso", "flying")] == [
        204,
        402,
        404,
    ]


def test_the_published_limit_is_960_a_minute_and_in_every_answer(pd: Pd) -> None:
    headers = pd.get("/abilities").headers
    assert (headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("960", "959")
    assert 0 < int(headers["ratelimit-reset"]) <= 60


def test_an_exhausted_limit_says_when_it_ends(pd: Pd) -> None:
    """04-Rate-Limits: ratelimit-reset is in seconds."""
    now = [1000.0]
    pd.app.limiter.time = lambda: now[0]
    pd.app.limiter.configure({"rest": {60: 2}})
    assert [pd.get("/abilities").status_code for _ in range(2)] == [200, 200]
    now[0] += 40
    response = pd.get("/incidents")
    assert response.status_code == 429
    assert response.json() == {"error": {"message": "Rate Limit Exceeded", "code": 2020}}
    assert response.headers["ratelimit-remaining"] == "0"
    assert response.headers["ratelimit-reset"] == "20"
    assert pd.call("GET", "/abilities", f"Token token={FULL_KEY}").status_code == 200, "a limit per key"
    now[0] += 20
    assert pd.get("/abilities").headers["ratelimit-remaining"] == "1"


def test_a_429_may_come_without_headers_and_body(pd: Pd) -> None:
    pd.store.bare_429 = True
    pd.app.faults.configure(script=["429"])
    response = pd.get("/abilities")
    assert (response.status_code, response.content) == (429, b"")
    assert "ratelimit-reset" not in response.headers


def test_errors_come_as_a_list_a_map_or_a_string(pd: Pd) -> None:
    bodies = {}
    for style in ("list", "map", "string"):
        pd.store.error_style = style
        bodies[style] = pd.get("/incidents", limit="x").json()["error"]
    assert isinstance(bodies["list"]["errors"], list)
    assert isinstance(bodies["map"]["errors"], dict)
    assert isinstance(bodies["string"], str)


@pytest.mark.parametrize(("status", "code"), [(408, 2016), (500, 2000)])
def test_what_may_be_retried_has_its_own_code(pd: Pd, status: int, code: int) -> None:
    pd.app.faults.configure(script=[str(status)])
    response = pd.get("/incidents")
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_settings_keys_and_incidents_are_steered_over_http(pd: Pd) -> None:
    def control(method: str, path: str, body: object) -> dict[str, object]:
        return dict(pd.call(method, f"/_sandbox{path}", json=body).json())

    assert control("POST", "/settings", {"time_zone": "Asia/Tokyo"})["time_zone"] == "Asia/Tokyo"
    added = control("POST", "/incidents", {"action": "add", "title": "x", "service": "PLEDGER"})
    assert control("POST", "/incidents", {"action": "resolve", "id_": added["id"]})["status"] == "resolved"
    assert "error" in control("POST", "/incidents", {"action": "explode"})
    assert control("PUT", "/keys", {"k": {"name": "k", "read_only": False}}) == {"keys": 1}
    assert pd.get("/incidents").status_code == 401


def test_catalogue_lists_are_paged_and_filtered(pd: Pd) -> None:
    assert [each["name"] for each in pd.json("/users", limit=1, offset=1)["users"]] == ["Bob"]
    assert pd.json("/services", query="LED")["services"][0]["escalation_policy"]["id"] == "PPOLICY"
    assert pd.json("/services", query="some_non_existing_service")["services"] == []
    rules = pd.json("/escalation_policies")["escalation_policies"][0]["escalation_rules"]
    assert [rule["targets"][0]["id"] for rule in rules] == ["PANN", "PBOB"]
    assert pd.json("/teams", total="true")["total"] == 1


def test_a_service_is_as_bad_as_its_worst_open_incident(pd: Pd) -> None:
    def status() -> str:
        return str(pd.json("/services/PLEDGER")["service"]["status"])

    assert status() == "active"
    incident = pd.store.incidents.add("x", "PLEDGER")
    assert status() == "critical"
    pd.store.incidents.acknowledge(incident.id)
    assert status() == "warning"
    pd.store.services["PLEDGER"].status = "disabled"
    assert status() == "disabled"
