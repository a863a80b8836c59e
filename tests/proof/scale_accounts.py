"""Many OpsGenie accounts behind one server, one for each key; and what tables must hold of them."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

from starlette.types import Receive, Scope, Send

from sandbox.gateway import Gateway
from sandbox.instants import HOUR, Clock, to_datetime
from sandbox.opsgenie import Key, Store, create_app, load
from sandbox.opsgenie.store import CONFIG, READ
from tests.support.expected_tables import catalogue_tables, differences, incident_tables, on_call_rows
from tests.support.postgres import Row, Warehouse
from tests.support.worlds import world_until

_DAYS = 6


class Accounts:
    """An ASGI app: every request goes to the account of its key."""

    def __init__(self, count: int) -> None:
        now = Clock()()
        self.stores: dict[str, Store] = {}
        self._keys: dict[str, str] = {}
        self._apps: dict[str, Gateway] = {}
        for number in range(count):
            name, key = f"opsgenie_{number:02}", str(uuid.UUID(int=number + 1, version=4))
            world = world_until(now, seed=number, days=_DAYS)
            # Frozen: what was to come when it was read is so still when it is compared.
            store = Store(clock=Clock(now), seed=number, keys={key: Key(name, frozenset({READ, CONFIG}))})
            self.stores[name] = load(world, store)
            self._keys[name] = key
            self._apps[f"GenieKey {key}"] = create_app(self.stores[name])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        await self._apps[headers[b"authorization"].decode()](scope, receive, send)

    def configure(self, **faults: Any) -> None:
        for app in self._apps.values():
            app.faults.configure(**faults)

    def change(self) -> None:
        """Give every account something new, and something different."""
        for store in self.stores.values():
            for one in store.incidents.all()[::2]:
                store.incidents.edit(one.id, message=f"{one.message}, as it turned out")
            store.incidents.add("And another", store.clock() - HOUR)
            store.add_team("Newcomers")

    def environment(self, url: str) -> dict[str, str]:
        """The connections to the accounts, and the setting that names them."""
        found = {
            f"AIRFLOW_CONN_{name.upper()}": json.dumps(
                {"conn_type": "opsgenie_api", "host": url, "password": key}
            )
            for name, key in self._keys.items()
        }
        return found | {"OPSGENIE_PROVIDER__ACCOUNTS": json.dumps(list(self._keys))}

    def differences(self, warehouse: Warehouse) -> list[str]:
        """Where the tables are not what the accounts hold."""
        found = []
        for name, store in self.stores.items():
            tables = incident_tables(store.incidents.all(), account=name)
            tables |= catalogue_tables(store, account=name)
            found += differences(warehouse, tables, account=name)
            found += self._on_call_differences(warehouse, name, store)
        return found

    def _on_call_differences(self, warehouse: Warehouse, name: str, store: Store) -> list[str]:
        """Of the last month on: where a first read began depends on when that was."""
        stored = [row for row in warehouse.table("opsgenie_on_call_periods") if row["account"] == name]
        since = to_datetime(store.clock()) - timedelta(days=30)
        horizon = max(row["end_at"] for row in stored)
        expected = [
            row for id_ in store.schedules for row in on_call_rows(store, id_, since, horizon, account=name)
        ]

        def shown(row: Row) -> tuple[Any, ...]:
            names = ("schedule_id", "rotation_id", "recipient_id", "recipient_type", "recipient_name")
            return (*(row[each] for each in names), max(row["start_at"], since), row["end_at"])

        there = {shown(row) for row in stored if row["end_at"] > since}
        return [f"{name}: on call: {one}" for one in there ^ {shown(row) for row in expected}]
