"""GET /v1/incidents and what hangs below one incident."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.instants import MINUTE, SECOND, iso, to_nanos
from sandbox.opsgenie import Key
from sandbox.opsgenie.seed import bulk
from sandbox.world import World
from tests.sandbox.sandbox_client import NOW, READER, Api

START = to_nanos(NOW)


def fill(api: Api, count: int) -> None:
    for number in range(count):
        api.store.incidents.add(f"incident {number}", START - number * MINUTE)


def test_a_page_has_twenty_incidents_by_default_newest_first(api: Api) -> None:
    fill(api, 25)
    body = api.get("/v1/incidents").json()
    assert [item["message"] for item in body["data"]] == [f"incident {number}" for number in range(20)]
    assert body["totalCount"] == 25
    assert set(body) == {"data", "totalCount", "paging", "took", "requestId"}


def test_the_answer_carries_request_id_and_rate_headers(api: Api) -> None:
    response = api.get("/v1/incidents")
    assert response.headers["X-Request-Id"] == response.json()["requestId"]
    assert response.headers["X-RateLimit-State"] == "OK"


@pytest.mark.parametrize("limit", ["101", "0", "-1", "many"])
def test_limit_is_one_to_a_hundred(api: Api, limit: str) -> None:
    assert api.get("/v1/incidents", limit=limit).status_code == 422


def test_following_next_visits_each_incident_once_and_ends(api: Api) -> None:
    fill(api, 7)
    seen: list[str] = []
    url: str | None = "/v1/incidents?limit=3&query=status%3Aopen&order=asc"
    while url:
        body = api.get(url).json()
        seen += [item["message"] for item in body["data"]]
        url = body["paging"].get("next")
    assert seen == [f"incident {number}" for number in reversed(range(7))]


def test_paging_links_are_absolute_and_carry_every_parameter(api: Api) -> None:
    """airbyte#35020: limit, sort, offset and order are in the link even when nobody asked for them."""
    fill(api, 50)
    response = api.get("/v1/incidents", query="status: open")
    url = urlsplit(response.json()["paging"]["next"])
    assert f"{url.scheme}://{url.netloc}" == api.base
    assert parse_qs(url.query) == {
        "query": ["status: open"],
        "sort": ["createdAt"],
        "order": ["desc"],
        "limit": ["20"],
        "offset": ["20"],
    }
    assert response.headers["X-Paging-Next"] == response.json()["paging"]["next"]


def test_paging_links_can_be_made_to_name_a_foreign_host(api: Api) -> None:
    fill(api, 21)
    api.store.paging_base = "https://evil.example"
    assert api.get("/v1/incidents").json()["paging"]["next"].startswith("https://evil.example/v1/incidents?")


@pytest.mark.parametrize(("offset", "allowed"), [(19_899, True), (19_900, False), (30_000, False)])
def test_offset_and_limit_together_stay_below_twenty_thousand(api: Api, offset: int, allowed: bool) -> None:
    """K-Phoen/backstage-plugin-opsgenie#81"""
    response = api.get("/v1/incidents", limit=100, offset=offset)
    assert response.status_code == (200 if allowed else 422)
    if not allowed:
        assert response.json()["message"] == "Sum of offset and limit should be lower than 20000"


@pytest.mark.parametrize(
    "sort", ["createdAt", "insertedAt", "updatedAt", "status", "priority", "tinyId", "message"]
)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_sorting_orders_by_the_field(demo: Api, sort: str, order: str) -> None:
    items = demo.data("/v1/incidents", sort=sort, order=order, limit=100)
    field = "createdAt" if sort == "insertedAt" else sort
    value = int if sort == "tinyId" else to_nanos if field.endswith("At") else str
    values = [value(item[field]) for item in items]
    assert values == sorted(values, reverse=order == "desc")


def test_an_unknown_sort_is_refused(api: Api) -> None:
    assert api.get("/v1/incidents", sort="colour").status_code == 422


def test_one_incident_is_read_by_id_and_by_tiny_id(api: Api) -> None:
    made = api.store.incidents.add("one")
    by_id = api.data(f"/v1/incidents/{made.id}")
    assert by_id == api.data(f"/v1/incidents/{made.tiny_id}", identifierType="tiny")
    assert by_id == api.data("/v1/incidents")[0]


def test_a_deleted_incident_is_a_404_and_out_of_the_list(api: Api) -> None:
    made = api.store.incidents.add("one")
    assert len(api.data("/v1/incidents")) == 1
    api.store.incidents.delete(made.id)
    assert api.get(f"/v1/incidents/{made.id}").status_code == 404
    assert api.data("/v1/incidents") == []


def test_impact_end_date_is_absent_until_resolved_and_stale_after_a_reopen(api: Api) -> None:
    """The close time of the list payload; an open incident may still carry the old one."""
    made = api.store.incidents.add("one", START)
    path = f"/v1/incidents/{made.id}"
    assert "impactEndDate" not in api.data(path)
    api.store.clock.advance(60)
    api.store.incidents.resolve(made.id)
    resolved = api.data(path)
    assert resolved["status"] == "resolved"
    assert resolved["impactEndDate"] == resolved["updatedAt"] == "2024-06-12T12:01:00Z"
    api.store.clock.advance(60)
    api.store.incidents.reopen(made.id)
    again = api.data(path)
    assert (again["status"], again["impactEndDate"]) == ("open", "2024-06-12T12:01:00Z")
    assert again["updatedAt"] == "2024-06-12T12:02:00Z"


def test_closing_moves_updated_at_but_not_the_end_of_impact(api: Api) -> None:
    """Captured payload: resolved 15:42:42, closed and last updated 15:43:40."""
    made = api.store.incidents.add("one", START)
    api.store.incidents.resolve(made.id, START + MINUTE)
    api.store.incidents.close(made.id, START + 2 * MINUTE)
    closed = api.data(f"/v1/incidents/{made.id}")
    assert closed["impactEndDate"] == iso(START + MINUTE)
    assert closed["updatedAt"] == iso(START + 2 * MINUTE)


def test_closing_straight_from_open_leaves_no_end_of_impact(api: Api) -> None:
    made = api.store.incidents.add("one")
    api.store.incidents.close(made.id)
    assert "impactEndDate" not in api.data(f"/v1/incidents/{made.id}")
    entries = api.data(f"/v2/incident-timelines/{made.id}/entries")["entries"]
    assert [entry["type"] for entry in entries] == ["IncidentClosed", "IncidentOpened"]


def test_timeline_pages_have_twenty_entries_and_a_cursor(demo: Api, world: World) -> None:
    outage = max(world.outages, key=lambda item: item.chatter)
    path = f"/v2/incident-timelines/{outage.id}/entries"
    seen: list[dict[str, str]] = []
    offset: str | None = ""
    while offset is not None:
        page = demo.data(path, offset=offset, order="asc")
        assert 1 <= len(page["entries"]) <= 20
        seen += page["entries"]
        offset = page.get("nextOffset")
    assert len({entry["id"] for entry in seen}) == len(seen) > 40
    times = [to_nanos(entry["eventTime"]) for entry in seen]
    assert times == sorted(times)
    newest = demo.data(path)["entries"]
    assert [entry["id"] for entry in newest] == [entry["id"] for entry in reversed(seen)][:20]


def test_timeline_limit_is_at_most_twenty(api: Api) -> None:
    made = api.store.incidents.add("one")
    assert api.get(f"/v2/incident-timelines/{made.id}/entries", limit=21).status_code == 422


def test_timeline_filters_by_group_and_hidden(api: Api) -> None:
    made = api.store.incidents.add("one")
    api.store.incidents.acknowledge(made.id, START + SECOND, "ada@example.com")
    api.store.incidents.add_entry(made.id, "CustomUserEntry", START + MINUTE, text="looking")
    made.entries[-1].hidden = True
    path = f"/v2/incident-timelines/{made.id}/entries"
    acked = api.data(path, group="responderAlert")["entries"]
    assert [(entry["type"], entry["actor"]["name"]) for entry in acked] == [
        ("ResponderAlertAcked", "ada@example.com")
    ]
    assert len(api.data(path)["entries"]) == 3
    assert len(api.data(path, discardHidden="true")["entries"]) == 2
    assert api.get(path, group="weather").status_code == 422


def test_the_last_timeline_page_can_be_made_to_carry_a_cursor(api: Api) -> None:
    """The facts do not settle whether it does, so a client has to handle both."""
    made = api.store.incidents.add("one")
    api.store.trailing_offset = True
    path = f"/v2/incident-timelines/{made.id}/entries"
    cursor = api.data(path)["nextOffset"]
    assert api.data(path, offset=cursor) == {"entries": []}


def test_logs_and_notes_page_by_cursor(api: Api) -> None:
    made = api.store.incidents.add("one", START)
    for number in range(3):
        api.store.clock.advance(1)
        api.store.incidents.add_note(made.id, f"note {number}", "ada")
    body = api.get(f"/v1/incidents/{made.id}/notes", limit=2).json()
    assert [note["note"] for note in body["data"]] == ["note 2", "note 1"]
    rest = api.get(body["paging"]["next"]).json()
    assert [note["note"] for note in rest["data"]] == ["note 0"]
    assert "next" not in rest["paging"]
    logs = api.data(f"/v1/incidents/{made.id}/logs")
    assert logs[0]["log"] == "Incident with tinyId[1] has been created via API"
    assert logs[0]["type"] == "ACTION"


def test_a_team_key_sees_and_counts_only_its_team_s_incidents(api: Api) -> None:
    payments, storefront = api.store.teams.values()
    ledger = next(service for service in api.store.services.values() if service.name == "ledger")
    responding = api.store.incidents.add("responds", responders=[{"type": "team", "id": payments.id}])
    owning = api.store.incidents.add("owns the service", services=[ledger.id])
    other = api.store.incidents.add("other", responders=[{"type": "team", "id": storefront.id}])
    api.store.keys[READER] = Key("team", frozenset({"read", "config"}), team=payments.id)
    body = api.get("/v1/incidents", READER).json()
    assert {item["id"] for item in body["data"]} == {responding.id, owning.id}
    assert body["totalCount"] == 2
    assert api.get(f"/v1/incidents/{other.id}", READER).status_code == 404
    assert [service["name"] for service in api.get("/v1/services", READER).json()["data"]] == ["ledger"]


def test_a_large_account_pages_up_to_the_cap_and_can_be_bisected() -> None:
    store = bulk(5_000, 30, end=NOW, same_second=120)
    by_second: dict[int, int] = {}
    for incident in store.incidents.all():
        by_second[incident.created_ms // 1000] = by_second.get(incident.created_ms // 1000, 0) + 1
    assert len(store.incidents.select()) == 5_000
    assert max(by_second.values()) >= 120
    middle = (START - 15 * 24 * 60 * MINUTE) // 1_000_000
    older = store.incidents.select(f"createdAt < {middle}")
    newer = store.incidents.select(f"createdAt >= {middle}")
    assert len(older) + len(newer) == 5_000
    assert min(len(older), len(newer)) > 2_000
