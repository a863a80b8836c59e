"""Credentials, each wrong one with its own answer; rate limits; the control surface."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests

from sandbox.jsm import Token
from sandbox.jsm.store import JIRA_USER, JIRA_WORK, OPS_ALERT, OPS_CONFIG, SYNC_EMAIL, SYNC_TOKEN
from tests.sandbox.sandbox_client import Jsm, basic

INCIDENTS = 'issuetype = "[System] Incident"'


def everywhere(jira: Jsm) -> dict[str, requests.Response]:
    """One read of each family."""
    paths = {
        "user": f"{jira.jira_base}/myself",
        "search": f"{jira.jira_base}/search/jql?jql={INCIDENTS}",
        "ops": f"{jira.ops_base}/schedules",
        "alerts": f"{jira.ops_base}/alerts",
        "services": f"/jsm/api/{jira.store.cloud_id}/v1/services/",
    }
    return {name: jira.get(path) for name, path in paths.items()}


def statuses(jira: Jsm) -> dict[str, int]:
    return {name: response.status_code for name, response in everywhere(jira).items()}


def token(jira: Jsm, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(jira.store.tokens[SYNC_TOKEN], name, value)


def test_anybody_may_ask_for_the_cloud_id(jira: Jsm) -> None:
    jira.authorization = None
    assert jira.json("/_edge/tenant_info") == {"cloudId": jira.store.cloud_id}
    assert jira.app.log.snapshot()[-1].key == "-"
    jira.call("GET", "/_edge/tenant_info", basic("who@example.com", "what"))
    assert jira.app.log.snapshot()[-1].key == "?", "the log shows that a credential was sent"


def test_an_unknown_site_is_a_404_everywhere(jira: Jsm) -> None:
    assert set(statuses(jira).values()) == {200}
    other = jira.get(f"/jsm/ops/api/{jira.store.cloud_id[::-1]}/v1/schedules")
    assert (other.status_code, other.json()["code"]) == (404, 404)
    jira.store.switches.site_known = False
    assert set(statuses(jira).values()) == {404}
    assert jira.get("/_edge/tenant_info").status_code == 404


@pytest.mark.parametrize(
    "header",
    [
        basic(SYNC_EMAIL, "wrong"),
        basic("wrong@example.com", SYNC_TOKEN),
        f"Bearer {SYNC_TOKEN}",
        f"GenieKey {SYNC_TOKEN}",
        f"Basic {SYNC_TOKEN}",
    ],
)
def test_a_wrong_token_or_e_mail_is_a_401_with_code_and_message(jira: Jsm, header: str) -> None:
    jira.authorization = header
    for response in everywhere(jira).values():
        assert (response.status_code, response.json()) == (401, {"code": 401, "message": "Unauthorized"})


def test_jira_may_take_a_wrong_token_for_nobody(jira: Jsm) -> None:
    issue = jira.store.issues.add("Down")
    jira.store.switches.anonymous_search = True
    for authorization in (basic(SYNC_EMAIL, "wrong"), jira.authorization):
        jira.authorization = authorization
        jira.store.expire(SYNC_TOKEN)
        assert jira.jira("/search/jql", jql=INCIDENTS)["issues"] == []
        for path in ("", "/changelog"):
            # As for an issue that the caller may not see.
            assert jira.get(f"{jira.jira_base}/issue/{issue.id}{path}").status_code == 404
        assert statuses(jira)["ops"] == statuses(jira)["user"] == 401


def test_a_token_expires_by_the_clock_or_in_the_middle_of_a_run(jira: Jsm) -> None:
    jira.store.expire(SYNC_TOKEN, after=2)
    assert [jira.get(f"{jira.jira_base}/myself").status_code for _ in range(3)] == [200, 200, 401]
    token(jira, expires_after=None, expires_at=jira.store.clock() + 1_000_000_000)
    assert jira.get(f"{jira.jira_base}/myself").status_code == 200
    jira.store.clock.advance(1)
    jira.store.switches.expired_message = "Token expired"
    assert jira.get(f"{jira.jira_base}/myself").json() == {"code": 401, "message": "Token expired"}


@pytest.mark.parametrize(
    ("scope", "lost"),
    [
        (JIRA_WORK, {"search"}),
        (JIRA_USER, {"user"}),
        (OPS_CONFIG, {"ops", "services"}),
        (OPS_ALERT, {"alerts"}),
    ],
)
def test_a_missing_scope_is_a_401_that_says_scope(jira: Jsm, scope: str, lost: set[str]) -> None:
    """Not a 403; the credential is fine then."""
    token(jira, scopes=frozenset({JIRA_WORK, JIRA_USER, OPS_CONFIG, OPS_ALERT}) - {scope})
    refused = {name: found for name, found in everywhere(jira).items() if found.status_code != 200}
    assert set(refused) == lost
    for response in refused.values():
        assert (response.status_code, response.json()["code"]) == (401, 401)
        assert "scope does not match" in response.json()["message"]


def test_scoped_tokens_may_be_taken_through_the_gateway_alone(jira: Jsm) -> None:
    token(jira, scopes=frozenset({OPS_CONFIG}))
    through = f"/ex/jira/{jira.store.cloud_id}/jsm/ops/api/v1/schedules"
    assert jira.get(f"{jira.ops_base}/schedules").status_code == jira.get(through).status_code == 200
    jira.store.switches.scoped_tokens_on_ops = False
    assert "scope" in jira.get(f"{jira.ops_base}/schedules").json()["message"]
    assert jira.get(through).status_code == 200


def test_operations_may_be_outside_the_plan_while_jira_goes_on(jira: Jsm) -> None:
    for plan, status in (("402", 402), ("40301", 403)):
        jira.store.switches.operations = plan
        found = statuses(jira)
        assert (found["ops"], found["alerts"]) == (status, status)
        assert (found["search"], found["user"], found["services"]) == (200, 200, 200)
    body = jira.get(f"{jira.ops_base}/schedules").json()
    assert body["code"] == 40301
    assert "opsgenie" in body["message"].lower(), "the text still names it"
    assert {"took", "requestId"} <= set(body)


@pytest.mark.parametrize("status", [401, 403])
def test_operations_refuses_service_accounts(jira: Jsm, status: int) -> None:
    token(jira, service_account=True)
    jira.store.switches.service_account_status = status
    found = statuses(jira)
    assert (found["ops"], found["alerts"], found["search"]) == (status, status, 200)


def test_a_user_without_a_licence_gets_an_error_or_empty_lists(jira: Jsm) -> None:
    token(jira, licensed=False)
    assert statuses(jira)["ops"] == 403
    jira.store.switches.unlicensed = "empty"
    assert jira.ops("/schedules")["values"] == []
    assert jira.ops("/teams") == {"platformTeams": []}


def test_errors_of_operations_have_a_list_or_opsgenie_s_shape(jira: Jsm) -> None:
    path = f"{jira.ops_base}/schedules/missing"
    error = jira.get(path).json()["errors"][0]
    assert (jira.get(path).status_code, set(error)) == (404, {"title", "code"})
    jira.store.switches.error_shape = "opsgenie"
    assert set(jira.get(path).json()) == {"code", "message", "took", "requestId"}
    body = jira.get(f"{jira.jira_base}/issue/1").json()
    assert set(body) == {"errorMessages", "errors"}


def test_nothing_but_get_is_taken(jira: Jsm) -> None:
    """But for the one read that the API has as a POST alone."""
    paths = [f"{jira.jira_base}/search/jql", f"{jira.jira_base}/issue/1", f"{jira.ops_base}/alerts"]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert {jira.call(method, path, json={}).status_code for path in paths} == {405}
    assert jira.get(f"{jira.jira_base}/search", jql=INCIDENTS).status_code == 410, "the old search is gone"


def test_each_family_has_a_bucket_of_its_own(jira: Jsm) -> None:
    jira.app.limiter.time = lambda: 1000.0
    jira.app.limiter.configure({name: {60: 1} for name in ("search", "user", "ops", "services", "issue")})
    # Alerts are of Operations, whose token the schedules took.
    expected = {"user": 200, "search": 200, "ops": 200, "alerts": 429, "services": 200}
    assert statuses(jira) == expected
    assert set(statuses(jira).values()) == {429}


def test_jira_warns_before_a_limit_and_says_why_after_it(jira: Jsm) -> None:
    now = [1000.0]
    jira.app.limiter.time = lambda: now[0]
    jira.app.limiter.configure({"user": {10: 10}})
    answers = [jira.get(f"{jira.jira_base}/myself") for _ in range(10)]
    near = [answer.headers.get("X-RateLimit-NearLimit") for answer in answers]
    assert near == [None] * 8 + ["true", "true"], "under a fifth is left"
    now[0] += 4
    refused = jira.get(f"{jira.jira_base}/myself")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "6"
    assert refused.headers["RateLimit-Reason"] == "jira-burst-based"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", refused.headers["X-RateLimit-Reset"])
    jira.store.switches.limit_reason, jira.store.switches.retry_after = "jira-quota-tenant-based", 2_400
    jira.store.switches.beta_headers = True
    quota = jira.get(f"{jira.jira_base}/myself")
    assert (quota.headers["Retry-After"], quota.headers["Beta-RateLimit-Reason"]) == (
        "2400",
        "jira-quota-tenant-based",
    )
    now[0] += 6
    assert jira.get(f"{jira.jira_base}/myself").status_code == 200


def test_operations_answers_429_with_retry_after_only(jira: Jsm) -> None:
    jira.app.limiter.configure({"ops": {60: 1}})
    assert "X-RateLimit-State" not in jira.get(f"{jira.ops_base}/teams").headers
    refused = jira.get(f"{jira.ops_base}/teams")
    assert (refused.status_code, "RateLimit-Reason" in refused.headers) == (429, False)
    assert int(refused.headers["Retry-After"]) > 0
    jira.store.switches.ops_limit_headers = True
    assert jira.get(f"{jira.ops_base}/teams").headers["X-RateLimit-State"] == "THROTTLED"


def test_faults_have_jira_s_words(jira: Jsm) -> None:
    jira.store.switches.retry_after = 7
    jira.app.faults.configure(script=["429", "503", "500"])
    answers = [jira.get(f"{jira.jira_base}/myself") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 503, 500]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["7", "7", None]
    assert answers[0].headers["RateLimit-Reason"] == "jira-burst-based"


def test_everything_is_steered_over_http(jira: Jsm) -> None:
    def control(method: str, path: str, body: object) -> dict[str, Any]:
        return dict(jira.call(method, f"/_sandbox{path}", json=body).json())

    added = control("POST", "/issues", {"action": "add", "summary": "x", "responders": [["team", "t"]]})
    for action in ("acknowledge", "resolve", "reopen", "close"):
        control("POST", "/issues", {"action": action, "id_": added["id"]})
    moved = control("POST", "/issues", {"action": "move", "id_": added["id"], "project": "OPS"})
    assert moved == {"id": added["id"], "key": "OPS-1"}
    body = jira.jira(f"/issue/{added['id']}", fields="status")
    assert (body["key"], body["fields"]["status"]["name"]) == ("OPS-1", "Closed")
    control("POST", "/issues", {"action": "hide", "id_": added["id"], "tokens": ["sync"]})
    assert jira.get(f"{jira.jira_base}/issue/{added['id']}").status_code == 404
    assert "error" in control("POST", "/issues", {"action": "explode"})
    alert = control("POST", "/alerts", {"action": "add", "message": "x", "priority": "P1"})
    control("POST", "/alerts", {"action": "close", "id_": alert["id"]})
    assert jira.ops(f"/alerts/{alert['id']}")["status"] == "closed"
    control("POST", "/catalogue", {"action": "rename_status", "name": "Open", "new": "Offen"})
    control("POST", "/catalogue", {"action": "hide_email", "id_": "712020:ann"})
    assert "Offen" in [status["name"] for status in jira.jira("/status")]
    assert "emailAddress" not in jira.jira("/user", accountId="712020:ann")
    assert control("POST", "/settings", {"page_most": 3})["page_most"] == 3
    assert "error" in control("POST", "/settings", {"no_such": 3})
    control("POST", "/clock", {"advance": 60})
    control("POST", "/tokens", {"secret": SYNC_TOKEN})
    assert jira.get(f"{jira.jira_base}/myself").status_code == 401
    control("PUT", "/tokens", {SYNC_TOKEN: {"name": "m", "account_id": "712020:ann", "scopes": [JIRA_WORK]}})
    assert jira.store.tokens[SYNC_TOKEN].scopes == {JIRA_WORK}
    assert isinstance(jira.store.tokens[SYNC_TOKEN], Token)
