"""The first sync of an account: every column of every table."""

from __future__ import annotations

from datetime import datetime, timedelta

from sandbox.instants import to_datetime
from tests.support.accounts import Account, covered
from tests.support.expected_tables import KEYS, differences, whole_account
from tests.support.postgres import Warehouse
from tests.support.sync import Sync, total


def test_every_column_of_every_table(sync: Sync, account: Account, warehouse: Warehouse) -> None:
    beginning = to_datetime(account.store.clock()) - timedelta(days=90)

    run = sync()

    read = covered(account, warehouse)
    assert all(start <= beginning for start, _ in read.values())
    expected = whole_account(account.store, read, since=beginning)
    assert expected.keys() == KEYS.keys()
    assert differences(warehouse, expected) == []
    for period in warehouse.table("opsgenie_on_call_periods"):
        assert datetime.fromisoformat(period["raw"]["endDate"]) >= period["end_at"]
    assert warehouse.table("rejected_payloads") == []
    assert total(run, "rows_changed") >= sum(len(warehouse.table(table)) for table in KEYS)
