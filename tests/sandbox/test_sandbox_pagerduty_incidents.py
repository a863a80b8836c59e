"""GET /incidents: windows, time zones, filters, paging."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.instants import Clock, to_nanos
from sandbox.pagerduty import Store, create_app
from sandbox.pagerduty.bulk import bulk
from sandbox.server import Slot
from tests.sandbox.sandbox_client import NOW, Reader

Pd = Reader[Store]


def titles(pd: Pd, **params: Any) -> list[str]:
    return [incident["title"] for incident in pd.json("/incidents", **params)["incidents"]]


def add(pd: Pd, title: str, at: str, **fields: Any) -> str:
    return pd.store.incidents.add(title, "PLEDGER", at, **fields).id


def test_without_dates_only_the_last_month_is_there(pd: Pd) -> None:
    add(pd, "old", "2024-05-12T11:59:59Z")
    add(pd, "new", "2024-05-12T12:00:00Z")
    assert titles(pd) == ["new"]
    assert titles(pd, date_range="all", since="2024-06-01T00:00:00Z") == ["old", "new"]


def test_since_without_until_is_one_month_from_since(pd: Pd) -> None:
    """pdpyras#46"""
    add(pd, "in", "2024-02-28T23:00:00Z")
    add(pd, "out", "2024-03-01T00:00:00Z")
    assert titles(pd, since="2024-01-31T00:00:00Z") == ["in"]
    assert titles(pd, until="2024-03-01T00:00:01Z") == ["in", "out"]


def test_more_than_six_months_is_refused_or_empty(pd: Pd) -> None:
    """grafana-pagerduty#19; "will just return nothing" in DevLake."""
    add(pd, "x", "2024-01-15T00:00:00Z")
    window = {"since": "2023-12-31T00:00:00Z", "until": "2024-06-30T00:00:01Z"}
    response = pd.get("/incidents", **window)
    assert response.status_code == 400
    assert response.json() == {
        "error": {"message": "Invalid Input Provided", "code": 2001, "errors": [" is invalid."]}
    }
    assert titles(pd, since="2023-12-31T00:00:00Z", until="2024-06-30T00:00:00Z") == ["x"]
    pd.store.long_range = "empty"
    assert titles(pd, **window) == []


def test_dates_without_an_offset_count_in_the_account_s_time_zone(pd: Pd) -> None:
    """go-pagerduty#244: an account in New York; at noon there it is 16:00 in UTC."""
    add(pd, "x", "2024-06-10T16:00:00Z")
    assert titles(pd, since="2024-06-10T12:00:00", until="2024-06-10T12:00:01") == ["x"]
    assert titles(pd, since="2024-06-10T16:00:00", until="2024-06-10T16:00:01") == []
    assert titles(pd, since="2024-06-10T16:00:00", until="2024-06-10T16:00:01", time_zone="UTC") == ["x"]
    assert titles(pd, since="2024-06-10T16:00:00Z", until="2024-06-10T16:00:01Z") == ["x"]
    assert titles(pd, since="2024-06-10", until="2024-06-11") == ["x"]


def test_timestamps_are_utc_unless_a_time_zone_is_asked_for(pd: Pd) -> None:
    id_ = add(pd, "x", "2024-06-10T16:00:00Z")
    assert pd.json(f"/incidents/{id_}")["incident"]["created_at"] == "2024-06-10T16:00:00Z"
    shown = pd.json("/incidents", time_zone="Asia/Kolkata")["incidents"][0]["created_at"]
    assert shown == "2024-06-10T21:30:00+05:30"
    assert pd.get("/incidents", time_zone="Mars/Olympus").status_code == 400


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("since=yesterday", 2004),
        ("since=2024-06-01T00:00:00+02:00", 2004),  # an unencoded plus sign arrives as a space
        ("since=2024-06-02T00:00:00Z&until=2024-06-01T00:00:00Z", 2005),
        ("limit=x", 2001),
        ("statuses[]=closed", 2001),
        ("sort_by=title", 2001),
        ("sort_by=created_at,urgency,resolved_at", 2001),
    ],
)
def test_what_makes_no_sense_is_a_400_with_a_code(pd: Pd, query: str, code: int) -> None:
    response = pd.get(f"/incidents?{query}")
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)


def test_the_window_is_half_open_or_closed(pd: Pd) -> None:
    """PagerDuty/developer-docs#74 asks which; a client must work with both."""
    add(pd, "x", "2024-06-10T16:00:00Z")
    window = {"since": "2024-06-10T15:00:00Z", "until": "2024-06-10T16:00:00Z"}
    assert titles(pd, **window) == []
    pd.store.until_inclusive = True
    assert titles(pd, **window) == ["x"]


def test_the_window_goes_by_created_at_not_by_updated_at(pd: Pd) -> None:
    id_ = add(pd, "x", "2024-06-01T00:00:00Z")
    pd.store.incidents.resolve(id_, "2024-06-11T00:00:00Z")
    assert titles(pd, since="2024-06-10T00:00:00Z") == []


def test_filters_take_several_values(pd: Pd) -> None:
    store = pd.store
    first = add(pd, "a", "2024-06-10T01:00:00Z", urgency="low")
    second = add(pd, "b", "2024-06-10T02:00:00Z")
    third = add(pd, "c", "2024-06-10T03:00:00Z")
    for id_ in (first, second):
        store.incidents.assign(id_, "PANN")
    store.incidents.acknowledge(second, by="PANN")
    store.incidents.resolve(first, by="PANN")
    assert titles(pd, **{"statuses[]": ["resolved", "triggered"]}) == ["a", "c"]
    assert titles(pd, statuses="resolved") == ["a", "b", "c"], "there is no such parameter"
    assert titles(pd, **{"urgencies[]": "low"}) == ["a"]
    assert titles(pd, **{"service_ids[]": ["PLEDGER", "PNONE"]}) == ["a", "b", "c"]
    assert titles(pd, **{"service_ids[]": "PNONE"}) == []
    assert titles(pd, **{"team_ids[]": "PTEAM01"}) == ["a", "b", "c"]
    assert titles(pd, **{"user_ids[]": "PANN"}) == ["b"], "resolved ones are assigned to nobody"
    key = pd.json(f"/incidents/{third}")["incident"]["incident_key"]
    assert titles(pd, incident_key=key) == ["c"]


def test_sorting_by_two_fields(pd: Pd) -> None:
    for number, urgency in enumerate(("high", "low", "high")):
        add(pd, f"{urgency} {number}", f"2024-06-10T0{number}:00:00Z", urgency=urgency)
    assert titles(pd, sort_by="urgency,created_at:desc") == ["low 1", "high 2", "high 0"]
    assert titles(pd, sort_by="incident_number:desc")[0] == "high 2"


def test_pages_hold_25_by_default_and_100_at_most(pd: Pd) -> None:
    for number in range(110):
        add(pd, str(number), "2024-06-10T00:00:00Z")
    body = pd.json("/incidents")
    assert (len(body["incidents"]), body["limit"], body["more"], body["total"]) == (25, 25, True, None)
    body = pd.json("/incidents", limit=500)
    assert (len(body["incidents"]), body["limit"]) == (100, 100)
    body = pd.json("/incidents", limit=100, offset=100, total="true")
    assert (len(body["incidents"]), body["offset"], body["more"], body["total"]) == (10, 100, False, 110)


def test_nothing_is_read_beyond_10_000(slot: tuple[Slot, str], pd: Pd) -> None:
    """apache/devlake#5107: the total may be more, the rest needs a narrower filter."""
    store = bulk(10_100, 1, end=NOW, store=Store(clock=Clock(NOW)))
    slot[0].app = create_app(store)
    last = pd.json("/incidents", limit=100, offset=9_900, total="true")
    assert (last["more"], last["total"]) == (True, 10_100)
    response = pd.get("/incidents", limit=100, offset=9_901)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["message"], error["code"]) == ("Arguments Caused Error", 2002)
    assert error["errors"][0].startswith("Offset+limit exceeds maximum allowed value of 10000.")
    half = pd.json("/incidents", since="2024-06-12T00:00:00Z", until=NOW, limit=1, total="true")
    assert half["total"] == 5_050


def test_bulk_can_put_more_than_a_page_into_one_second() -> None:
    store = bulk(400, 10, end=NOW, same_second=150)
    created = [incident.created_at for incident in store.incidents.all()]
    middle = to_nanos("2024-06-07T12:00:00Z")
    assert created.count(middle) >= 150
    assert created == sorted(created)
