"""A connection that becomes Jira Service Management's in place: what OpsGenie gave stays, and goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from opsgenie_provider.end_of_life import OPSGENIE_ENDS
from sandbox.instants import DAY, MINUTE, to_datetime
from sandbox.jsm import Store, load
from sandbox.server import Slot
from sandbox.world import World
from tests.support.accounts import Account
from tests.support.clocks import set_clocks
from tests.support.jsm import Site, put
from tests.support.postgres import STATE, Warehouse
from tests.support.readers import read_account, refresh_metrics

NAME = "opsgenie_default"
_HISTORY = """
select incident_id, service, web_url, on_call from dora.incident_history
where incident_id in (select incident_id from staging.opsgenie_incidents where backend = 'opsgenie')
order by 1, 2
"""
_OVERLAPS = """
select a.* from staging.opsgenie_on_call_periods as a join staging.opsgenie_on_call_periods as b
using (account, schedule_id, rotation_id)
where a.schedule_id = %s and (a.start_at, a.recipient_id) < (b.start_at, b.recipient_id)
    and a.start_at < b.end_at and b.start_at < a.end_at
"""
_COVERED = """
select range_agg(tstzrange(start_at, end_at)) from staging.opsgenie_on_call_periods where rotation_id = %s
"""


def rows_of(tables: Warehouse, backend: str) -> dict[str, list[Any]]:
    """The rows of a backend, with their versions."""
    return {
        name: tables.rows(f"select ctid::text, * from staging.{name} where backend = %s order by 1", backend)
        for name in tables.tables()
        if name not in STATE
        and "backend"
        in {
            row["column_name"]
            for row in tables.rows(
                "select column_name from information_schema.columns "
                "where table_schema = 'staging' and table_name = %s",
                name,
            )
        }
    }


@pytest.fixture
def moved_site(
    account: Account,
    slots: list[tuple[Slot, str]],
    world: World,
    tables: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    """The site that the company moves to; the connection is OpsGenie's until it is connected."""
    set_clocks(monkeypatch.setattr, lambda: to_datetime(account.store.clock()))
    store = load(world, Store(clock=account.store.clock, seed=world.seed))
    # Nobody shows an address there, so that names tell the two apart.
    for person in store.accounts.values():
        person.hides_email = True
    site = put(slots[1], store, monkeypatch, NAME)
    account.connect()
    return Site(site, tables)


def test_a_connection_that_changes_its_type(
    moved_site: Site, account: Account, tables: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    site, clock = moved_site, account.store.clock
    schedule = next(each for each in account.store.schedules.values() if each.name == "Payments_schedule")
    kept = next(each for each in site.store.operations.schedules.values() if each.name == schedule.name)
    for mine, theirs in zip(kept.rotations, schedule.rotations, strict=True):
        mine.id = theirs.id
    # Of this schedule the move keeps the ids, of the others not.
    del site.store.operations.schedules[kept.id]
    kept.id = schedule.id
    site.store.operations.schedules[kept.id] = kept
    read_account(NAME)
    assert str(OPSGENIE_ENDS) in caplog.text
    assert f"{len(account.history()):,} incidents since" in caplog.text
    refresh_metrics()
    before, history = rows_of(tables, "opsgenie"), tables.rows(_HISTORY)
    caplog.clear()
    clock.advance(3600)

    site.account.connect()
    site.read()

    assert str(OPSGENIE_ENDS) not in caplog.text
    after = rows_of(tables, "opsgenie")
    for name, rows in before.items():
        stays = [row for row in rows if row.get("schedule_id") != schedule.id]
        assert [row for row in after[name] if row.get("schedule_id") != schedule.id] == stays, name
    expected = site.tables()
    incidents = expected["opsgenie_incidents"]
    assert len(incidents) > 20
    # The others have rows of both.
    found = site.differences({name: expected[name] for name in before.keys() & expected.keys()})
    assert found == [], found[:5]
    assert tables.value("select count(*) from staging.opsgenie_incidents where deleted_at is not null") == 0

    # On call: of the schedule that kept its id one history; of the others both, of which the view shows one.
    for rotation in kept.rotations:
        assert tables.rows(_OVERLAPS, kept.id) == []
        covered = tables.value(_COVERED, rotation.id)
        read_at = to_datetime(clock()) - timedelta(hours=1)
        assert any(read_at - timedelta(days=2) in each and read_at in each for each in covered) == bool(
            covered and rotation.restriction is None and rotation.end is None
        )
    backends = tables.rows(
        "select distinct backend, end_at > %s as ahead from staging.opsgenie_on_call_periods "
        "where schedule_id = %s",
        to_datetime(clock()),
        kept.id,
    )
    assert {row["backend"] for row in backends if row["ahead"]} == {"jsm"}
    names = {person.name for person in site.store.accounts.values()}
    names |= {each.name for each in site.store.operations.escalations.values()}
    names |= {each.name for each in site.store.operations.teams.values()}
    now = {row["recipient_name"] for row in tables.rows("select recipient_name from dora.on_call_now")}
    assert now
    assert now <= names

    # Metrics go on: old incidents are as they were, new ones show who is on call now.
    service = next(each for each in site.store.services.values() if each.name == "checkout")
    new = site.store.issues.add("After the move", clock() - MINUTE, services=[service.ari])
    site.store.issues.settle()
    clock.advance(3600)
    site.read()
    refresh_metrics()
    assert tables.rows(_HISTORY) == history
    [row] = tables.rows("select * from dora.incident_history where incident_id = %s", new.id)
    assert row["web_url"] == f"{site.account.url}/browse/{new.key}"
    assert set(row["on_call"].split(", ")) <= names
    clock.advance(DAY / 1e9)
    assert site.read()["deleted"] == 0
    assert rows_of(tables, "opsgenie").keys() == before.keys()
    assert tables.value("select count(*) from staging.opsgenie_incidents where deleted_at is not null") == 0
