"""What can go wrong on the way, and the control surface that makes it so."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sandbox.faults import Faults
from tests.sandbox.sandbox_client import Api


def script(api: Api, *faults: str | None, **more: object) -> None:
    response = api.call("POST", "/_sandbox/faults", None, json={"script": list(faults), **more})
    assert response.status_code == 200


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_injected_status_has_the_service_s_own_body(api: Api, status: int) -> None:
    script(api, str(status))
    response = api.get("/v1/incidents")
    assert response.status_code == status
    assert {"message", "took", "requestId"} <= set(response.json())
    assert response.headers["X-RateLimit-State"] == ("THROTTLED" if status == 429 else "OK")
    assert api.get("/v1/incidents").status_code == 200


def test_a_dropped_connection_gives_no_response(api: Api) -> None:
    script(api, "drop")
    with pytest.raises(requests.ConnectionError):
        api.get("/v1/incidents")
    assert api.get("/v1/incidents").status_code == 200


def test_cut_json_is_a_complete_response_that_cannot_be_read(api: Api) -> None:
    script(api, "cut_json")
    response = api.get("/v1/incidents")
    assert response.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        response.json()


def test_a_cut_body_ends_before_its_announced_length(api: Api) -> None:
    script(api, "cut_body")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        api.get("/v1/incidents")


def test_an_html_page_comes_from_a_proxy(api: Api) -> None:
    script(api, "html")
    response = api.get("/v1/incidents")
    assert (response.status_code, response.headers["Content-Type"]) == (503, "text/html; charset=utf-8")


def test_a_hang_outlasts_the_client_s_patience(api: Api) -> None:
    script(api, "hang", hang_seconds=5)
    with pytest.raises(requests.Timeout):
        api.session.get(api.base + "/v1/incidents", timeout=0.2)


def test_a_fault_does_not_change_anything_but_the_answer(api: Api) -> None:
    """The client cannot tell whether a write was done when its answer is lost."""
    script(api, "500", "cut_body")
    assert api.post("/v1/incidents/create", {"message": "x"}).status_code == 500
    assert len(api.store.incidents) == 0
    with pytest.raises(requests.RequestException):
        api.post("/v1/incidents/create", {"message": "x"})
    assert len(api.store.incidents) == 1


def test_faults_can_be_kept_to_some_paths(api: Api) -> None:
    script(api, "500", path="^/v2/teams")
    assert api.get("/v1/incidents").status_code == 200
    assert api.get("/v2/teams").status_code == 500


def test_random_faults_repeat_from_their_seed() -> None:
    def draws(seed: int) -> list[str | None]:
        faults = Faults()
        faults.configure(probabilities={"429": 0.2, "drop": 0.1}, seed=seed)
        return [faults.draw("/") for _ in range(2_000)]

    assert draws(1) == draws(1) != draws(2)
    counts = Counter(draws(1))
    assert 300 < counts["429"] < 500
    assert 120 < counts["drop"] < 280


def test_an_unknown_fault_is_refused(api: Api) -> None:
    assert api.call("POST", "/_sandbox/faults", None, json={"script": ["meteor"]}).status_code == 400
    assert api.call("POST", "/_sandbox/faults", None, json={"colour": 1}).status_code == 400


def test_latency_is_per_request_so_requests_overlap(api: Api) -> None:
    api.app.faults.configure(latency_ms=150)
    started = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: api.get("/v2/teams").status_code, range(8))) == {200}
    assert 0.15 <= time.perf_counter() - started < 8 * 0.15
    assert api.app.log.max_in_flight > 1


def test_the_log_counts_and_can_be_cleared(api: Api) -> None:
    api.get("/v1/incidents", limit=5)
    script(api, "500")
    api.get("/v2/teams")
    body = api.get("/_sandbox/requests", None).json()
    assert [
        (request["method"], request["path"], request["query"], request["status"], request["fault"])
        for request in body["requests"]
    ] == [
        ("GET", "/v1/incidents", "limit=5", 200, None),
        ("GET", "/v2/teams", "", 500, "500"),
    ]
    assert body["counts"] == {"total": 2, "status:200": 1, "status:500": 1, "method:GET": 2, "fault:500": 1}
    assert len(api.get("/_sandbox/requests?path=teams", None).json()["requests"]) == 1
    assert api.call("DELETE", "/_sandbox/requests", None).json()["requests"] == []


def test_limits_settings_clock_and_keys_are_steered_over_http(api: Api) -> None:
    control = "/_sandbox"
    assert api.call("PUT", f"{control}/limits", None, json={"Incident": {"60": 1}}).json() == {
        "Incident": {"60": 1}
    }
    assert [api.get("/v1/incidents").status_code for _ in range(2)] == [200, 429]
    assert api.call("DELETE", f"{control}/limits", None).json() == {}
    assert api.call("POST", f"{control}/clock", None, json={"advance": 60}).json() == {
        "now": "2024-06-12T12:01:00Z"
    }
    settings = api.call("POST", f"{control}/settings", None, json={"plan": "Free", "index_lag_ms": 5}).json()
    assert (settings["plan"], settings["index_lag_ms"]) == ("Free", 5)
    assert api.get("/v1/incidents").status_code == 402
    assert api.call("POST", f"{control}/settings", None, json={"colour": 1}).status_code == 400
    keys = {"33333333-3333-4333-8333-333333333333": {"name": "new", "rights": ["read", "config"]}}
    assert api.call("PUT", f"{control}/keys", None, json=keys).json() == {"keys": 1}
    assert api.get("/v2/teams").status_code == 401
    assert api.get("/v2/teams", next(iter(keys))).status_code == 200


def test_incidents_are_changed_over_http(api: Api) -> None:
    def change(**body: object) -> requests.Response:
        return api.call("POST", "/_sandbox/incidents", None, json=body)

    made = change(action="add", message="one", created_at="2024-06-12T11:00:00Z").json()
    change(action="resolve", id_=made["id"])
    assert change(action="edit", id_=made["id"], priority="P1").json()["priority"] == "P1"
    assert api.data(f"/v1/incidents/{made['id']}")["status"] == "resolved"
    assert change(action="delete", id_=made["id"]).json() == {}
    assert change(action="explode").status_code == 400
    assert change(action="resolve", id_="missing").status_code == 400
