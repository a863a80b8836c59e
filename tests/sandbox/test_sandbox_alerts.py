"""GET /v2/alerts: what lists have and what only a read by id has, queries, counting, plans."""

from __future__ import annotations

import pytest

from sandbox.instants import HOUR, MINUTE, to_nanos
from sandbox.opsgenie import Key
from tests.sandbox.sandbox_client import NOW, Api

AT = to_nanos(NOW) - HOUR
TEAM_KEY = "33333333-3333-4333-8333-333333333333"


def test_a_list_lacks_what_a_read_by_id_has(api: Api) -> None:
    alert = api.store.alerts.add("CPU", AT, priority="P1", entity="host", details={"service": "ledger"})
    api.store.alerts.acknowledge(alert.id, AT + MINUTE)
    api.store.alerts.close(alert.id, AT + 2 * MINUTE)
    body = api.get("/v2/alerts").json()
    [listed] = body["data"]
    assert "totalCount" not in body
    assert listed["report"] == {"ackTime": 60_000, "closeTime": 120_000}
    single = api.data(f"/v2/alerts/{alert.id}", identifierType="id")
    assert single.keys() - listed.keys() == {"actions", "entity", "description", "details"}
    assert api.get("/v2/alerts/unknown").status_code == 404


def test_queries_sorts_and_counts(api: Api) -> None:
    alerts = [api.store.alerts.add(f"a{n}", AT + n * MINUTE, priority=f"P{n % 3 + 1}") for n in range(6)]
    api.store.alerts.close(alerts[0].id)
    api.store.alerts.edit(alerts[1].id, priority="P4")
    start = AT // 10**6

    def found(query: str, **params: str) -> list[str]:
        return [item["message"] for item in api.data("/v2/alerts", query=query, **params)]

    assert found(f"(priority: P1 OR priority: P3) AND createdAt < {start + 240_000}", order="asc") == [
        "a0", "a2", "a3",
    ]  # fmt: skip
    assert found("status: closed") == ["a0"]
    assert found(f"updatedAt > {to_nanos(NOW) // 10**6 - 1}", sort="message", order="asc") == ["a0", "a1"]
    assert api.data("/v2/alerts/count", query="status: open") == {"count": 5}
    for wrong in ("team: x", "priority >= P1", "createdAt < soon"):
        assert api.get("/v2/alerts", query=wrong).status_code == 422
    assert api.get("/v2/alerts", limit=100, offset=19_900).status_code == 422
    api.store.counts_alerts = False
    assert api.get("/v2/alerts/count").status_code == 404


def test_an_open_alert_with_the_same_alias_is_counted(api: Api) -> None:
    first = api.store.alerts.add("CPU", AT, alias="cpu")
    assert api.store.alerts.add("CPU", AT + MINUTE, alias="cpu") is first
    assert (first.count, first.last_occurred_at) == (2, AT + MINUTE)
    api.store.alerts.close(first.id)
    assert api.store.alerts.add("CPU", alias="cpu") is not first


@pytest.mark.parametrize("refusal", [402, 403])
def test_a_plan_without_incidents_has_alerts(api: Api, refusal: int) -> None:
    api.store.plan, api.store.plan_refusal = "Free", refusal
    assert api.get("/v1/incidents").status_code == refusal
    assert api.data("/v2/alerts") == []


def test_a_teams_key_sees_its_alerts(api: Api) -> None:
    team = next(iter(api.store.teams))
    api.store.keys[TEAM_KEY] = Key("team", team=team)
    own = api.store.alerts.add("own", responders=[{"type": "team", "id": team}])
    other = api.store.alerts.add("other")
    assert [item["id"] for item in api.get("/v2/alerts", TEAM_KEY).json()["data"]] == [own.id]
    assert api.get(f"/v2/alerts/{other.id}", TEAM_KEY).status_code == 404
