"""Tokens, both kinds of rate limit, conditional requests, the control surface."""

from __future__ import annotations

import time

import pytest

from sandbox.github import Store, Token
from tests.sandbox.sandbox_client import Reader

Gh = Reader[Store]
PATH = "/repos/acme/ledger/deployments"


@pytest.mark.parametrize("header", ["Bearer nope", "token nope", "GenieKey x", "Bearer"])
def test_an_unknown_token_is_a_401(gh: Gh, header: str) -> None:
    response = gh.call("GET", PATH, header)
    assert (response.status_code, response.json()["message"]) == (401, "Bad credentials")


def test_bearer_and_token_are_both_accepted(gh: Gh) -> None:
    gh.store.tokens["t"] = Token("t")
    assert [gh.call("GET", PATH, f"{scheme} t").status_code for scheme in ("Bearer", "token")] == [200, 200]


def test_a_repository_out_of_sight_is_a_404(gh: Gh) -> None:
    """GitHub answers for a private repository as for none; without a token every private one is hidden."""
    gh.store.tokens["t"] = Token("t", frozenset({"acme/other"}))
    assert gh.call("GET", PATH, "token t").status_code == 404
    gh.authorization = None
    assert gh.get(PATH).status_code == 404
    gh.store.repositories["acme/ledger"].private = False
    assert gh.get(PATH).status_code == 200


def test_a_missing_permission_is_a_403_that_is_no_rate_limit(gh: Gh) -> None:
    gh.store.tokens["t"] = Token("t", deployments=False)
    response = gh.call("GET", PATH, "token t")
    assert response.status_code == 403
    assert response.json()["message"] == "Resource not accessible by personal access token"
    assert int(response.headers["x-ratelimit-remaining"]) > 0
    assert "retry-after" not in response.headers
    assert gh.call("GET", "/repos/acme/ledger", "token t").status_code == 200


def test_every_answer_has_the_remaining_quota(gh: Gh) -> None:
    """docs.github.com, "Rate limits for the REST API": the reset is in UTC epoch seconds."""
    headers = gh.get(PATH).headers
    shown = {name.removeprefix("x-ratelimit-"): headers[name] for name in headers if "x-ratelimit" in name}
    reset = int(shown.pop("reset"))
    assert shown == {"limit": "5000", "remaining": "4999", "used": "1", "resource": "core"}
    assert time.time() < reset <= time.time() + 3601
    assert gh.get("/repos/acme/nothing").headers["x-ratelimit-remaining"] == "4998"


def test_an_exhausted_primary_limit_is_a_403_until_its_reset(gh: Gh) -> None:
    now = [1_700_000_000.0]
    gh.app.limiter.time = lambda: now[0]
    gh.app.limiter.configure({"core": {3600: 1}})
    assert gh.get(PATH).status_code == 200
    response = gh.get(PATH)
    assert response.status_code == 403
    assert response.json()["message"].startswith("API rate limit exceeded")
    assert response.headers["x-ratelimit-remaining"] == "0"
    assert response.headers["x-ratelimit-reset"] == "1700003600"
    assert "retry-after" not in response.headers
    now[0] += 3600
    assert gh.get(PATH).status_code == 200


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_is_a_403_or_a_429_with_retry_after(gh: Gh, status: int) -> None:
    gh.store.secondary_status = status
    gh.app.limiter.configure({"core": {3600: 5000}, "secondary": {60: 1}})
    assert gh.get(PATH).status_code == 200
    response = gh.get(PATH)
    assert response.status_code == status
    assert "secondary rate limit" in response.json()["message"]
    assert response.headers["retry-after"] == "60"
    assert int(response.headers["x-ratelimit-remaining"]) > 0
    gh.store.retry_after = 0
    assert "retry-after" not in gh.get(PATH).headers


def test_an_injected_429_is_a_secondary_limit(gh: Gh) -> None:
    gh.app.faults.configure(script=["429", "500"])
    response = gh.get(PATH)
    assert (response.status_code, response.headers["retry-after"]) == (403, "60")
    assert gh.get(PATH).json()["message"] == "Server Error"


def test_a_304_does_not_count_against_the_limit(gh: Gh) -> None:
    """docs.github.com, "Best practices for using the REST API"."""
    first = gh.get(PATH)
    etag = first.headers["etag"]
    assert etag.startswith('W/"')
    again = gh.call("GET", PATH, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    gh.store.add_deployment("acme/ledger", "a" * 40)
    changed = gh.call("GET", PATH, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert int(changed.headers["x-ratelimit-remaining"]) == int(again.headers["x-ratelimit-remaining"]) - 1


def test_asking_for_the_rate_limit_is_free(gh: Gh) -> None:
    gh.get(PATH)
    for _ in range(2):
        core = gh.json("/rate_limit")["resources"]["core"]
        assert (core["limit"], core["used"], core["remaining"]) == (5000, 1, 4999)
    gh.app.limiter.configure({})
    assert gh.get("/rate_limit").status_code == 404
    assert "x-ratelimit-limit" not in gh.get(PATH).headers


def test_settings_tokens_and_deployments_are_steered_over_http(gh: Gh) -> None:
    def control(method: str, path: str, body: object) -> dict[str, object]:
        return dict(gh.call(method, f"/_sandbox{path}", json=body).json())

    assert control("POST", "/settings", {"retry_after": 5})["retry_after"] == 5
    body = {"action": "add_deployment", "repository": "acme/ledger", "sha": "a" * 40}
    id_ = control("POST", "/changes", body)["id"]
    control("POST", "/changes", {"action": "add_status", "deployment": id_, "state": "success"})
    assert [item["state"] for item in gh.json(f"{PATH}/{id_}/statuses")] == ["success"]
    assert "error" in control("POST", "/changes", {"action": "delete_everything"})
    assert control("PUT", "/tokens", {"t": {"name": "t", "repositories": []}}) == {"tokens": 1}
    assert gh.call("GET", PATH, "token t").status_code == 404
    assert gh.get("/_sandbox/requests").json()["requests"][-1]["key"] == "t"
