"""Later syncs: nothing touched where nothing changed, and every change found, whatever its age."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from sandbox.instants import DAY, HOUR, Clock, to_datetime
from sandbox.opsgenie import Store
from sandbox.opsgenie.incidents import SORTS
from sandbox.opsgenie.model import Incident
from tests.support.accounts import Account, Accounts, advance, pages_of
from tests.support.expected_tables import (
    catalogue_tables,
    differences,
    incident_row,
    incident_tables,
)
from tests.support.postgres import Warehouse
from tests.support.sync import Sync, part, total


def in_history(store: Store, since: float = 90) -> list[Incident]:
    """The incidents of the past days."""
    return [
        incident for incident in store.incidents.all() if incident.created_at >= store.clock() - since * DAY
    ]


def of_age(store: Store, status: str, days: float, at_most: float = 89) -> list[Incident]:
    """Incidents in a state, from oldest to newest, between two ages."""
    now = store.clock()
    return [
        incident
        for incident in store.incidents.all()
        if incident.status == status and days * DAY <= now - incident.created_at < at_most * DAY
    ]


@pytest.mark.usefixtures("first_run")
def test_an_unchanged_account_costs_few_requests_and_touches_nothing(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    before = warehouse.versions()
    account.app.log.clear()

    run = sync()

    assert warehouse.versions() == before
    assert total(run, "rows_changed") == 0
    trailing = pages_of(len([incident for incident in in_history(account.store, 3)]))
    assert len(account.requests) <= len(account.store.schedules) + trailing + 15
    assert {request.method for request in account.requests} == {"GET"}


@pytest.mark.usefixtures("first_run")
def test_a_full_refresh_touches_nothing_that_is_right_already(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    before = warehouse.versions()
    sync(full_refresh=True)
    assert warehouse.versions() == before


def _change_everything(store: Store) -> None:
    """Each kind of change, to young and old incidents."""
    incidents = store.incidents
    for days, at_most in ((0, 2), (3, 40), (40, 89)):
        resolved = of_age(store, "resolved", days, at_most)
        closed = of_age(store, "closed", days, at_most)
        changes: list[Callable[[Incident], object]] = [
            lambda incident: incidents.edit(incident.id, message="Édité – 変更 \\ \t 'x'", description=""),
            lambda incident: incidents.edit(incident.id, tags=["new", 'a "b", {c}'], details={}),
            lambda incident: incidents.edit(incident.id, services=[], responders=[]),
            lambda incident: incidents.edit(
                incident.id,
                services=[next(iter(store.services)), *incident.services[1:]],
                responders=[*incident.responders, {"type": "user", "id": next(iter(store.users))}],
            ),
            lambda incident: incidents.reopen(incident.id),
            lambda incident: incidents.edit(
                incident.id, priority="P1", impact_start=incident.created_at - HOUR
            ),
            lambda incident: incidents.acknowledge(incident.id, at=incident.created_at + 1),
            lambda incident: incidents.edit(incident.id, impact_end=incident.created_at + 5),
        ]
        # Ended before and after the last sync, and again after a reopen.
        for item in resolved[:2]:
            incidents.close(item.id)
        for item in resolved[2:3]:
            incidents.reopen(item.id)
            incidents.resolve(item.id)
        for item, change in zip([*resolved[3:5], *closed], changes, strict=False):
            change(item)
    for incident in of_age(store, "open", 0)[:2]:
        incidents.resolve(incident.id)
    for incident in of_age(store, "open", 0)[:1]:
        incidents.close(incident.id)


@pytest.mark.parametrize("feed", [True, False], ids=["sorts by updatedAt", "does not sort by updatedAt"])
@pytest.mark.usefixtures("first_run")
def test_every_change_is_found(
    sync: Sync, account: Account, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, feed: bool
) -> None:
    known = in_history(account.store)
    if not feed:
        monkeypatch.delitem(SORTS, "updatedAt")
    advance(account, hours=1)
    _change_everything(account.store)
    known += [account.store.incidents.add("new", responders=[], services=[])]
    advance(account, minutes=1)

    # Without the feed an edit of an old closed incident waits for the full read of the day.
    sync(**({} if feed else {"full_refresh": True}))

    assert differences(warehouse, incident_tables(known)) == []


def test_without_the_feed_what_was_not_closed_is_followed_every_hour(
    sync: Sync, account: Account, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SORTS, "updatedAt")
    sync()
    known = in_history(account.store)
    advance(account, hours=1)
    for incident in of_age(account.store, "resolved", 3)[:3]:
        account.store.incidents.close(incident.id)
    for incident in of_age(account.store, "resolved", 3)[:3]:
        account.store.incidents.reopen(incident.id)

    sync()

    assert differences(warehouse, incident_tables(known)) == []


@pytest.mark.usefixtures("first_run")
def test_ended_in_odd_ways(sync: Sync, account: Account, warehouse: Warehouse) -> None:
    """The demo company has each case; here they are looked at one by one."""
    store = account.store
    rows = {row["incident_id"]: row for row in warehouse.table("opsgenie_incidents")}
    cases = {
        "closed without a resolve": lambda incident: (
            incident.status == "closed" and incident.impact_end is None
        ),
        "stale end of a reopened one": lambda incident: (
            incident.status == "open" and incident.impact_end is not None
        ),
        "more timeline entries than two pages": lambda incident: len(incident.entries) > 40,
    }
    for name, is_one in cases.items():
        found = [incident for incident in in_history(store) if is_one(incident)]
        assert found, name
        for item in found:
            row = rows[item.id]
            assert row["resolved_at"] is None or item.status != "open"
            assert row["resolved_at"] == incident_row(item, account.name)["resolved_at"]
            entries = warehouse.value(
                "select count(*) from staging.opsgenie_incident_timeline where incident_id = %s", item.id
            )
            assert entries == len(item.entries)
    closed_only = next(
        incident for incident in in_history(store) if cases["closed without a resolve"](incident)
    )
    assert rows[closed_only.id]["closed_at"] is not None
    assert rows[closed_only.id]["resolved_at_source"] is None


def test_last_page_of_a_timeline_with_a_next_offset(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    account.store.trailing_offset = True
    sync()
    assert differences(warehouse, incident_tables(in_history(account.store))) == []


@pytest.mark.usefixtures("first_run")
def test_what_is_found_late_by_the_search_is_found(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    known = in_history(account.store)
    account.store.incidents.index_lag_ms = 40_000
    late = account.store.incidents.add("indexed late", created_at=account.store.clock() - 5 * HOUR)
    sync()
    assert differences(warehouse, incident_tables(known)) == []
    advance(account, minutes=1)
    sync()
    assert differences(warehouse, incident_tables([*known, late])) == []


@pytest.mark.usefixtures("first_run")
def test_services_teams_users_and_policies_follow(sync: Sync, account: Account, warehouse: Warehouse) -> None:
    store = account.store
    next(iter(store.services.values())).name = "renamed"
    next(iter(store.teams.values())).name = "Renamed"
    next(iter(store.users.values())).full_name = "Renamed Person"
    policy = next(iter(store.escalations.values()))
    policy.rules = policy.rules[1:]
    policy.repeat = None
    store.drop_team(list(store.teams)[-1])
    sync()
    assert differences(warehouse, catalogue_tables(store)) == []


def test_incidents_that_come_and_go_while_pages_are_read(
    warehouse: Warehouse, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(clock=Clock(), seed=3)
    now = store.clock()
    for number in range(950):
        store.incidents.add(f"incident {number}", created_at=now - 3 * DAY + number * 60_000_000_000)
    account = accounts.add("opsgenie_default", store)
    sync = Sync([account], monkeypatch)
    oldest = store.incidents.all()[:2]
    meddled: list[Incident] = []

    def meddle(path: str, count: int) -> None:
        """Twice: what the offsets count changes under the reader's feet."""
        if "offset=400" in path and len(meddled) < 4:
            meddled.append(store.incidents.add("backfilled", created_at=now - 3 * DAY + len(meddled)))
            meddled.append(store.incidents.add("new"))
            for item in oldest:
                if store.incidents.get(item.id):
                    store.incidents.delete(item.id)

    account.interceptor.hook = meddle

    sync()

    assert len(meddled) == 4
    # The window ends where the run began: what is newer comes with the next run.
    listed = [incident for incident in store.incidents.all() if incident.message != "new"]
    assert differences(warehouse, incident_tables(listed)) == []
    sync()
    assert differences(warehouse, incident_tables(store.incidents.all())) == []


@pytest.mark.usefixtures("first_run")
def test_a_payload_that_cannot_be_read_is_kept_once_and_harms_no_other(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    store = account.store
    known = in_history(store)
    tables = incident_tables(known)
    broken = known[-1]
    broken._json = broken.json().replace(b'"createdAt":"', b'"createdAt":"once, ')
    store.incidents.forget_results()

    runs = [sync(full_refresh=full) for full in (True, False, True)]

    assert [part(run, "incidents")["rejected"] for run in runs] == [1, 1, 1]
    [kept] = warehouse.table("rejected_payloads")
    assert (kept["account"], kept["stream"]) == ("opsgenie_default", "opsgenie_incidents")
    assert "createdAt" in kept["reason"]
    assert kept["payload"]["id"] == broken.id
    # What is stored of it stays, and is not taken for deleted.
    assert differences(warehouse, tables) == []


def test_an_incident_counts_without_the_part_that_cannot_be_read(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    store = account.store
    known = in_history(store)
    odd = known[-1]
    good = odd.json()
    assert b'"tags":[' in good
    odd._json = good.replace(
        b'"tags":[', b'"tags":[{"name":"x"}' + (b"," if b'"tags":[]' not in good else b"")
    )

    runs = [sync(full_refresh=full) for full in (False, True)]

    assert [part(run, "incidents")["rejected"] for run in runs] == [1, 1]
    [kept] = warehouse.table("rejected_payloads")
    assert kept["payload"] == {"id": odd.id, "tags": [{"name": "x"}]}
    tables = incident_tables(known)
    tables["opsgenie_incidents"] = [
        row for row in tables["opsgenie_incidents"] if row["incident_id"] != odd.id
    ]
    [row] = warehouse.rows(
        "delete from staging.opsgenie_incidents where incident_id = %s returning *", odd.id
    )
    assert row["tags"] == odd.tags
    assert row["created_at"] == to_datetime(odd.created_at)
    assert differences(warehouse, tables) == []


@pytest.mark.usefixtures("first_run")
def test_a_run_after_a_long_pause_misses_nothing(sync: Sync, account: Account, warehouse: Warehouse) -> None:
    known = in_history(account.store)
    warehouse.rows(
        "update staging.sync_state set last_success_at = now() + interval '10 days' "
        "where stream = 'opsgenie_incidents_full_read' returning 1"
    )
    for _ in range(5):
        advance(account, days=2)
        known.append(account.store.incidents.add("new"))
    advance(account, minutes=1)

    # No full read is due: the trailing window must reach back to the last run.
    sync()

    assert differences(warehouse, incident_tables(known)) == []
    watermark = warehouse.value(
        "select watermark_at from staging.sync_state where stream = 'opsgenie_incidents'"
    )
    assert abs(watermark - to_datetime(account.store.clock())) <= timedelta(seconds=1)
