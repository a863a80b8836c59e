"""Parts of the history: since and until, long histories, and a watermark that jumps over no gap."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from opsgenie_provider import planning
from opsgenie_provider.api import transport
from opsgenie_provider.dags import opsgenie_sync
from sandbox.instants import DAY, MINUTE, Clock, to_datetime
from sandbox.opsgenie import Store
from sandbox.opsgenie.seed import bulk
from sandbox.opsgenie.store import READ, Key
from tests.support.accounts import Account, Accounts, advance
from tests.support.expected_tables import differences, incident_tables
from tests.support.postgres import Warehouse
from tests.support.sync import Sync, outcomes, total

READ_KEY = "33333333-3333-4333-8333-333333333333"


def watermark(warehouse: Warehouse) -> datetime | None:
    value: datetime | None = warehouse.value(
        "select watermark_at from staging.sync_state where stream = 'opsgenie_incidents'"
    )
    return value


def not_as_in(store: Store, warehouse: Warehouse, since: datetime, until: datetime) -> list[str]:
    """How what is stored differs from the incidents created in [since, until)."""
    wanted = [
        incident for incident in store.incidents.all() if since <= to_datetime(incident.created_at) < until
    ]
    return differences(warehouse, incident_tables(wanted))


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

    run = sync()

    assert outcomes(run, "opsgenie_incidents")[0]["part_of"] == 1
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


def _fail_before(account: Account, instant: datetime) -> None:
    """Lists of incidents created before an instant fail for good."""

    def hook(path: str, count: int) -> int | None:
        if "createdAt+%3E%3D+" not in path:
            return None
        since = int(path.partition("createdAt+%3E%3D+")[2].split("+")[0])
        return 503 if since < instant.timestamp() * 1000 else None

    account.interceptor.hook = hook


def test_the_watermark_does_not_jump_over_a_window_that_failed(
    sync: Sync, account: Account, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_backoff", lambda state: 0.01)
    monkeypatch.setattr(planning, "WINDOW", timedelta(days=20))
    now = to_datetime(account.store.clock())
    beginning = now - timedelta(days=90)
    _fail_before(account, now - timedelta(days=75))

    run = sync(fails=True)

    assert len(outcomes(run, "opsgenie_incidents")) == 4
    assert not_as_in(account.store, warehouse, now - timedelta(days=70), now) == []
    mark = watermark(warehouse)
    assert mark is not None
    assert abs(mark - beginning) < timedelta(seconds=1)
    account.interceptor.hook = lambda path, count: None
    advance(account, hours=1)

    sync()

    assert not_as_in(account.store, warehouse, beginning, now) == []
    assert abs(watermark(warehouse) - now - timedelta(hours=1)) < timedelta(seconds=1)  # type: ignore[operator]


def test_a_later_window_that_succeeds_alone_does_not_move_the_watermark(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    sync()
    before = watermark(warehouse)
    advance(account, days=10)
    missed = account.store.incidents.add("in the gap", created_at=account.store.clock() - 5 * DAY)
    now = to_datetime(account.store.clock())
    sync(since=(now - timedelta(days=2)).isoformat())
    assert watermark(warehouse) == before

    sync()

    assert warehouse.value("select message from staging.opsgenie_incidents where incident_id = %s", missed.id)


def test_a_part_of_the_history_moves_no_watermark_past_older_changes(
    sync: Sync, account: Account, warehouse: Warehouse
) -> None:
    """A run with ``since`` reads up to now, and nothing of what changed before its window."""
    store = account.store
    sync()
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


def test_windows_that_end_in_another_order_move_the_watermark_to_the_end(
    sync: Sync, account: Account, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = opsgenie_sync.plan_accounts
    monkeypatch.setattr(opsgenie_sync, "plan_accounts", lambda *keys, **params: plan(*keys, **params)[::-1])

    run = sync(history_days=300)

    assert len(outcomes(run, "opsgenie_incidents")) == 4
    now = to_datetime(account.store.clock())
    assert abs(watermark(warehouse) - now) < timedelta(seconds=1)  # type: ignore[operator]
    ahead = warehouse.value("select read_ahead::text from staging.sync_state where watermark_at is not null")
    assert ahead == "{}"


def test_25000_incidents_of_which_120_share_a_second(
    warehouse: Warehouse, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bulk(25_000, same_second=120)
    # A key that may not read timelines: there would be as many requests as incidents.
    store.keys[READ_KEY] = Key("reader", frozenset({READ}))
    account = accounts.add("opsgenie_default", store, READ_KEY)
    sync = Sync([account], monkeypatch)

    sync(history_days=91)

    rows = warehouse.rows(
        "select count(*) as rows, count(distinct incident_id) as ids from staging.opsgenie_incidents"
    )
    assert rows == [{"rows": 25_000, "ids": 25_000}]
    assert warehouse.value("select count(*) from staging.opsgenie_incident_services") == 25_000
    assert (
        warehouse.value(
            "select count(*) from staging.opsgenie_incidents group by date_trunc('second', created_at) "
            "order by 1 desc limit 1"
        )
        >= 120
    )
    pages = account.pages()
    assert len(pages) == len(set(pages)), "no page is asked for twice"
    assert len(pages) <= 25_000 / 100 + len({query for query, _ in pages})
    assert {request.method for request in account.requests} == {"GET"}
    sample = store.incidents.all()[::500]
    ids = {item.id for item in sample}
    warehouse.rows(
        "delete from staging.opsgenie_incidents where not incident_id = any(%s) returning 1", list(ids)
    )
    expected = incident_tables(sample, timelines=False)
    assert differences(warehouse, {"opsgenie_incidents": expected["opsgenie_incidents"]}) == []


def test_more_in_one_second_than_can_be_listed_fails_and_says_which(
    warehouse: Warehouse, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bulk(20_001, same_second=20_001)
    account = accounts.add("opsgenie_default", store)
    sync = Sync([account], monkeypatch)

    run = sync(fails=True, history_days=91)

    message = str(run.error)
    second = to_datetime(store.incidents.all()[0].created_at).strftime("%Y-%m-%dT%H:%M:%S")
    assert "20001" in message
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
