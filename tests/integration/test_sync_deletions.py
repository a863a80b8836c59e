"""What is gone at the source is marked, and nothing else ever is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from opsgenie_provider.api import transport
from sandbox.instants import to_datetime
from sandbox.opsgenie.model import Incident
from sandbox.opsgenie.store import CONFIG, READ, Key
from tests.support.accounts import Account, advance
from tests.support.expected_tables import catalogue_tables, differences, incident_tables
from tests.support.postgres import Warehouse
from tests.support.sync import Sync, part, total

TEAM_KEY = "33333333-3333-4333-8333-333333333333"
REDUCED_KEY = "44444444-4444-4444-8444-444444444444"


@pytest.fixture
def known(account: Account) -> list[Incident]:
    """The incidents of the past 90 days."""
    return account.history()


def deleted(warehouse: Warehouse) -> set[str]:
    rows = warehouse.rows("select incident_id from staging.opsgenie_incidents where deleted_at is not null")
    return {row["incident_id"] for row in rows}


def _team_key(account: Account) -> Key:
    team = next(item for item in account.store.teams.values() if item.name == "Payments")
    key = account.store.keys[TEAM_KEY] = Key("team", frozenset({READ, CONFIG}), team=team.id)
    account.connect(key=TEAM_KEY)
    return key


@pytest.mark.usefixtures("first_run")
def test_a_full_read_marks_what_is_gone(
    sync: Sync, account: Account, warehouse: Warehouse, known: list[Incident]
) -> None:
    gone = known[3], known[60], known[-1]
    for incident in gone:
        account.store.incidents.delete(incident.id)

    run = sync(full_refresh=True)

    assert total(run, "deleted") == 3
    assert deleted(warehouse) == {incident.id for incident in gone}
    before = warehouse.versions()
    sync(full_refresh=True)
    assert warehouse.versions() == before


@pytest.mark.usefixtures("first_run")
def test_an_hourly_run_leaves_older_deletions_to_the_daily_one(
    sync: Sync, account: Account, warehouse: Warehouse, known: list[Incident]
) -> None:
    account.store.incidents.delete(known[3].id)
    advance(account, hours=1)
    sync()
    assert deleted(warehouse) == set()
    advance(account, hours=23)

    run = sync()

    assert total(run, "deleted") == 1
    assert deleted(warehouse) == {known[3].id}


@pytest.mark.usefixtures("first_run")
def test_one_that_comes_back_is_not_deleted_any_more(
    sync: Sync, account: Account, warehouse: Warehouse, known: list[Incident]
) -> None:
    account.store.incidents.delete(known[5].id)
    sync(full_refresh=True)
    assert deleted(warehouse) == {known[5].id}
    account.store.incidents.add_many([known[5]])
    sync(full_refresh=True)
    assert differences(warehouse, incident_tables(known)) == []


@pytest.mark.usefixtures("first_run")
def test_a_page_that_fails_for_good_marks_nothing(
    sync: Sync,
    account: Account,
    warehouse: Warehouse,
    known: list[Incident],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "_backoff", lambda state: 0.01)
    before = warehouse.versions()
    account.store.incidents.delete(known[3].id)
    account.store.incidents.edit(known[4].id, message="changed")
    account.interceptor.hook = lambda path, count: 500 if "offset=100&sort=createdAt" in path else None

    run = sync(full_refresh=True, fails=True)

    assert "500" in str(run.error)
    assert deleted(warehouse) == set()
    assert warehouse.versions()["opsgenie_incidents"] == before["opsgenie_incidents"]
    account.interceptor.hook = lambda path, count: None
    sync(full_refresh=True)
    assert deleted(warehouse) == {known[3].id}


@pytest.mark.usefixtures("first_run")
def test_a_list_that_lacks_what_is_there_marks_nothing(
    sync: Sync, account: Account, warehouse: Warehouse, known: list[Incident]
) -> None:
    """A search index that lost some: the service still knows them by id."""
    store = account.store
    for incident in known[:4]:
        store.incidents.unindex(incident.id)
    store.incidents.edit(known[0].id, message="changed")

    run = sync(full_refresh=True)

    assert total(run, "deleted") == 0
    assert differences(warehouse, incident_tables(known)) == []


@pytest.mark.usefixtures("first_run")
def test_a_key_that_sees_less_marks_nothing_and_prunes_nothing(
    sync: Sync, account: Account, warehouse: Warehouse, known: list[Incident]
) -> None:
    store = account.store
    key = _team_key(account)
    seen = [incident for incident in known if store.sees(key, incident)]
    assert 10 < len(seen) < len(known)
    unseen = next(incident for incident in known if incident not in seen)
    # Gone for real: one that the team's key could see, and one that it could not.
    for item in (seen[5], unseen):
        store.incidents.delete(item.id)
    catalogue = catalogue_tables(store)

    sync(full_refresh=True)

    assert unseen.id not in deleted(warehouse)
    assert deleted(warehouse) <= {seen[5].id}
    assert differences(warehouse, catalogue) == []
    # One that only the team's key has read so far goes, too.
    newly = store.incidents.add("new", responders=[{"type": "team", "id": str(key.team)}])
    advance(account, minutes=1)
    sync()
    store.incidents.delete(newly.id)
    account.connect()

    sync(full_refresh=True)

    assert deleted(warehouse) == {seen[5].id, unseen.id, newly.id}


@pytest.mark.usefixtures("first_run")
def test_a_key_that_loses_a_right_marks_nothing(
    sync: Sync, account: Account, warehouse: Warehouse, known: list[Incident]
) -> None:
    store = account.store
    before = warehouse.versions()
    store.keys[REDUCED_KEY] = Key("reduced", frozenset({READ}))
    account.connect(key=REDUCED_KEY)

    run = sync(full_refresh=True)

    [outcome] = run.found("skipped_parts")
    assert "schedules" in outcome["skipped_parts"]
    assert {name for name in before if warehouse.versions()[name] != before[name]} <= {"opsgenie_incidents"}
    assert differences(warehouse, incident_tables(known)) == []
    store.keys[REDUCED_KEY] = Key("reduced", frozenset({CONFIG}))
    run = sync(full_refresh=True, fails=True)
    # Whenever the refusal of the incidents came, the check of the key fails for it.
    assert "403" in str(run.error)
    assert "Read" in str(run.error)
    assert deleted(warehouse) == set()


@pytest.mark.usefixtures("first_run")
def test_a_window_marks_only_what_lies_in_it(
    sync: Sync, account: Account, warehouse: Warehouse, known: list[Incident]
) -> None:
    since = to_datetime(known[20].created_at)
    until = to_datetime(known[30].created_at) + timedelta(milliseconds=1)
    inside, outside = known[25], known[40]
    for item in (inside, outside):
        account.store.incidents.delete(item.id)
    sync(since=since.isoformat(), until=until.isoformat())
    assert deleted(warehouse) == {inside.id}


def _timelines_asked(account: Account) -> int:
    return sum(request.path.endswith("/entries") for request in account.requests)


@pytest.mark.parametrize("refusal", [404, 403])
@pytest.mark.usefixtures("first_run")
def test_a_key_that_sees_less_keeps_the_timelines(
    sync: Sync, account: Account, warehouse: Warehouse, known: list[Incident], refusal: int
) -> None:
    """What a team's key is refused stays, is not asked for every hour, and is repaired by the first key."""
    store = account.store
    tables = incident_tables(known)
    key = _team_key(account)
    unseen = {incident.id for incident in known if not store.sees(key, incident)}
    account.interceptor.hook = lambda path, count: (
        refusal if path.endswith("/entries?limit=20") and path.split("/")[3] in unseen else None
    )

    run = sync(full_refresh=True)

    counts = part(run, "timelines")
    assert counts["refused"] == len(unseen)
    # One that is refused does not keep the others from being read.
    assert counts["timelines"] == len(known) - len(unseen)
    assert differences(warehouse, tables) == []
    account.app.log.clear()
    advance(account, hours=1)
    sync()
    assert _timelines_asked(account) == 0

    changed = next(incident for incident in known if incident.id in unseen and incident.status == "resolved")
    store.incidents.close(changed.id)
    account.interceptor.hook = lambda path, count: None
    account.connect()
    sync()

    assert differences(warehouse, incident_tables(known)) == []


@pytest.mark.usefixtures("first_run")
def test_the_first_key_reads_what_a_teams_key_did_not_see_meanwhile(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    store = account.store
    key = _team_key(account)
    advance(account, days=1)
    sync()
    other = next(id_ for id_ in store.teams if id_ != key.team)
    made = store.incidents.add("not the team's", responders=[{"type": "team", "id": other}])
    store.incidents.close(made.id)
    # Longer than what every run reads again; the team's key has read its whole history an hour ago.
    advance(account, hours=60)
    sync()
    # The database's clock is not the stand-in's.
    warehouse.execute(
        "update staging.sync_state set last_success_at = %s", to_datetime(account.store.clock())
    )
    account.connect()
    advance(account, hours=1)
    # Otherwise, the latest hundred changes of the account hold it.
    account.interceptor.hook = lambda path, count: 422 if "sort=updatedAt" in path else None
    sync()

    assert made.id in {row["incident_id"] for row in warehouse.table("opsgenie_incidents")}


def test_an_incident_that_a_teams_key_loses_sight_of_lives_on(
    sync: Sync, account: Account, warehouse: Warehouse, known: list[Incident]
) -> None:
    store = account.store
    key = _team_key(account)
    sync()
    seen = [incident for incident in known if store.sees(key, incident)]
    other = next(id_ for id_ in store.teams if id_ != key.team)
    for incident in seen[:3]:
        store.incidents.edit(incident.id, services=[], responders=[{"type": "team", "id": other}])

    run = sync(full_refresh=True)

    assert total(run, "deleted") == 0
    assert deleted(warehouse) == set()


def test_a_service_that_lives_on_stays_when_another_goes_between_two_pages(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    store = account.store
    team = next(iter(store.teams.values()))
    for number in range(120):
        store.add_service(f"a service {number:03}", team)
    sync()
    first = min(store.services.values(), key=lambda service: service.name)

    def hook(path: str, count: int) -> None:
        if path.startswith("/v1/services") and "offset=99" in path and first.id in store.services:
            store.drop_service(first.id)

    account.interceptor.hook = hook
    sync()

    assert first.id not in store.services
    wanted = {"opsgenie_services": catalogue_tables(store)["opsgenie_services"]}
    assert differences(warehouse, wanted) == []
