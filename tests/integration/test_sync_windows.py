"""Parts of the history: since and until, long histories, and a watermark that jumps over no gap."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from opsgenie_provider.api import changes, opsgenie, opsgenie_windows, transport
from opsgenie_provider.sync import account as account_module
from sandbox.instants import DAY, MINUTE, Clock, to_datetime
from sandbox.opsgenie import Store, web
from sandbox.opsgenie.seed import bulk
from sandbox.opsgenie.store import READ, Key
from tests.support.accounts import Account, Accounts, advance
from tests.support.expected_tables import differences, incident_tables
from tests.support.postgres import Warehouse
from tests.support.sync import Sync, total

READ_KEY = "33333333-3333-4333-8333-333333333333"


def watermark(warehouse: Warehouse) -> datetime | None:
    value: datetime | None = warehouse.value(
        "select watermark_at from staging.sync_state where stream = 'opsgenie_incidents'"
    )
    return value


def not_as_in(
    store: Store, warehouse: Warehouse, since: datetime, until: datetime, *, timelines: bool = True
) -> list[str]:
    """How what is stored differs from the incidents created in [since, until)."""
    wanted = [
        incident for incident in store.incidents.all() if since <= to_datetime(incident.created_at) < until
    ]
    return differences(warehouse, incident_tables(wanted, timelines=timelines))


def test_since_and_until_bound_what_is_read(sync: Sync, account: Account, warehouse: Warehouse) -> None:
    now = to_datetime(account.store.clock())
    since, until = now - timedelta(days=60), now - timedelta(days=30)
    sync(since=since.isoformat(), until=until.isoformat())
    assert not_as_in(account.store, warehouse, since, until) == []


def test_the_end_of_a_window_is_not_in_it(sync: Sync, account: Account, warehouse: Warehouse) -> None:
    store = account.store
    for minute in range(4):
        store.incidents.add(f"minute {minute}", created_at=store.clock() // DAY * DAY - (9 - minute) * MINUTE)
    day = to_datetime(store.clock() // DAY * DAY)
    since, until = day - timedelta(minutes=8), day - timedelta(minutes=6)
    sync(since=since.strftime("%Y-%m-%dT%H:%M"), until=until.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert {"minute 1", "minute 2"} <= {row["message"] for row in warehouse.table("opsgenie_incidents")}
    assert not_as_in(store, warehouse, since, until) == []


def test_a_first_run_with_a_part_leaves_the_rest_to_the_next(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    now = to_datetime(account.store.clock())
    sync(since=(now - timedelta(days=5)).isoformat())
    assert not_as_in(account.store, warehouse, now - timedelta(days=5), now) == []

    sync()

    assert not_as_in(account.store, warehouse, now - timedelta(days=90), now) == []
    assert watermark(warehouse) == now.replace(microsecond=now.microsecond // 1000 * 1000)


@pytest.mark.parametrize(("first", "then"), [(10, 95), (95, 10)])
def test_more_or_less_history_later(
    sync: Sync, account: Account, warehouse: Warehouse, first: int, then: int
) -> None:
    sync(history_days=first)
    sync(history_days=then, full_refresh=True)
    now = to_datetime(account.store.clock())
    assert not_as_in(account.store, warehouse, now - timedelta(days=95), now) == []


def test_another_try_reads_only_what_the_first_one_left(
    warehouse: Warehouse, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watermark stops before what failed, and neither windows nor lists are read twice in a run."""
    monkeypatch.setattr(transport, "_backoff", lambda state: 0.01)
    monkeypatch.setattr(opsgenie_windows, "REACHABLE", 200)
    monkeypatch.setattr(opsgenie_windows, "_PART_SIZE", 150)
    parts = tuple(part for part in account_module.PARTS if part != "timelines")
    monkeypatch.setattr(account_module, "PARTS", parts)
    # dag.test() gives every run another id.
    progress_of = account_module.RunProgress
    monkeypatch.setattr(
        account_module, "RunProgress", lambda connection, name, run_id: progress_of(connection, name, "run")
    )
    store = bulk(600)
    account = accounts.add("opsgenie_default", store)
    sync = Sync([account], monkeypatch)
    now = to_datetime(store.clock())
    middle = int((now - timedelta(days=40)).timestamp() * 1000)

    def fail_late_windows(path: str, count: int) -> int | None:
        since = re.search(r"createdAt\+%3E%3D\+(\d+)", path)
        return 503 if since and int(since[1]) > middle and "offset=100&" in path else None

    account.interceptor.hook = fail_late_windows
    run = sync(fails=True, history_days=91)
    [outcome] = run.found("failed")
    assert set(outcome["failed"]) == {"incidents"}
    assert outcome["stored"]
    assert 100 < warehouse.value("select count(*) from staging.opsgenie_incidents") < 500
    mark = watermark(warehouse)
    assert mark is not None
    assert now - timedelta(days=85) < mark < now - timedelta(days=15)
    [progress] = warehouse.table("sync_progress")
    until = datetime.fromisoformat(progress["plan"]["until"])
    first = set(account.pages())
    account.interceptor.hook = lambda path, count: None
    account.app.log.clear()
    advance(account, minutes=1)

    sync(history_days=91)

    assert {request.path for request in account.requests} == {"/v1/incidents"}
    oldest = min(int(query.split()[2]) for query, _ in account.pages())
    assert oldest == int(mark.timestamp() * 1000)
    assert len(account.pages()) < len(first)
    assert not_as_in(store, warehouse, now - timedelta(days=91), now, timelines=False) == []
    # To where the run was planned to read, though its second try came later.
    assert abs(watermark(warehouse) - until) < timedelta(milliseconds=2)  # type: ignore[operator]
    # The run is complete: the next run begins at the beginning.
    assert warehouse.table("sync_progress") == []


@pytest.mark.usefixtures("first_run")
def test_a_later_window_that_succeeds_alone_does_not_move_the_watermark(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    before = watermark(warehouse)
    advance(account, days=10)
    missed = account.store.incidents.add("in the gap", created_at=account.store.clock() - 5 * DAY)
    now = to_datetime(account.store.clock())
    sync(since=(now - timedelta(days=2)).isoformat())
    assert watermark(warehouse) == before

    sync()

    assert warehouse.value("select message from staging.opsgenie_incidents where incident_id = %s", missed.id)


@pytest.mark.usefixtures("first_run")
def test_a_part_of_the_history_moves_no_watermark_past_older_changes(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    """A run with ``since`` reads up to now, and nothing of what changed before its window."""
    store = account.store
    before = watermark(warehouse)
    now = to_datetime(store.clock())
    old = next(
        incident
        for incident in store.incidents.all()
        if incident.status == "closed" and 20 * DAY < store.clock() - incident.created_at < 80 * DAY
    )
    advance(account, minutes=10)
    store.incidents.edit(old.id, message="edited")
    advance(account, hours=3)
    sync(since=(now - timedelta(days=5)).isoformat())
    assert watermark(warehouse) == before
    advance(account, hours=1)

    sync()

    query = "select message from staging.opsgenie_incidents where incident_id = %s"
    assert warehouse.value(query, old.id) == "edited"


@pytest.fixture
def a_tenth_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service lists 2,000 in place of 20,000, so that fewer incidents are more than that."""
    assert opsgenie.REACHABLE + opsgenie.PAGE_SIZE == web.MAX_WINDOW == 20_000
    monkeypatch.setattr(web, "MAX_WINDOW", 2_000)
    for module in (opsgenie_windows, changes):
        monkeypatch.setattr(module, "REACHABLE", 2_000 - opsgenie.PAGE_SIZE)
    monkeypatch.setattr(opsgenie_windows, "_PART_SIZE", 950)


@pytest.mark.usefixtures("a_tenth_is_listed")
def test_more_than_can_be_listed_of_which_120_share_a_second(
    warehouse: Warehouse, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bulk(2_500, same_second=120)
    # A key that may not read timelines: there would be as many requests as incidents.
    store.keys[READ_KEY] = Key("reader", frozenset({READ}))
    account = accounts.add("opsgenie_default", store, READ_KEY)
    sync = Sync([account], monkeypatch)

    sync(history_days=91)

    rows = warehouse.rows(
        "select count(*) as rows, count(distinct incident_id) as ids from staging.opsgenie_incidents"
    )
    assert rows == [{"rows": 2_500, "ids": 2_500}]
    assert warehouse.value("select count(*) from staging.opsgenie_incident_services") == 2_500
    assert (
        warehouse.value(
            "select count(*) from staging.opsgenie_incidents group by date_trunc('second', created_at) "
            "order by 1 desc limit 1"
        )
        >= 120
    )
    pages = account.pages()
    assert len(pages) == len(set(pages)), "no page is asked for twice"
    assert len(pages) <= 2_500 / 100 + len({query for query, _ in pages})
    assert {request.method for request in account.requests} == {"GET"}
    sample = store.incidents.all()[::50]
    ids = {item.id for item in sample}
    warehouse.rows(
        "delete from staging.opsgenie_incidents where not incident_id = any(%s) returning 1", list(ids)
    )
    expected = incident_tables(sample, timelines=False)
    assert differences(warehouse, {"opsgenie_incidents": expected["opsgenie_incidents"]}) == []


@pytest.mark.usefixtures("a_tenth_is_listed")
def test_more_in_one_second_than_can_be_listed_fails_and_says_which(
    warehouse: Warehouse, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bulk(2_001, same_second=2_001)
    account = accounts.add("opsgenie_default", store)
    sync = Sync([account], monkeypatch)

    run = sync(fails=True, history_days=91)

    message = str(run.error)
    second = to_datetime(store.incidents.all()[0].created_at).strftime("%Y-%m-%dT%H:%M:%S")
    assert "2001" in message
    assert second in message
    assert warehouse.table("opsgenie_incidents") == []


def test_an_account_without_incidents(
    warehouse: Warehouse, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = accounts.add("opsgenie_default", Store(clock=Clock()))
    sync = Sync([account], monkeypatch)
    for _ in range(2):
        run = sync()
        assert total(run, "rows_changed") == 0
    assert warehouse.table("opsgenie_incidents") == []
