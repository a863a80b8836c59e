"""A stand-in of Jira Service Management behind an Airflow connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from sandbox.gateway import Gateway, LoggedRequest
from sandbox.instants import Clock, to_datetime
from sandbox.jsm import Store, create_app, load
from sandbox.jsm.store import SYNC_EMAIL, SYNC_TOKEN
from sandbox.server import Slot
from sandbox.world import World
from tests.support.clocks import set_clocks
from tests.support.expected_jsm import Expected
from tests.support.expected_tables import differences
from tests.support.postgres import Row, Warehouse
from tests.support.readers import read_account

NAME = "jsm_ops"


@dataclass
class JsmAccount:
    """A site and the Airflow connection to it."""

    name: str
    url: str
    store: Store
    app: Gateway
    connect: Callable[..., None]

    @property
    def requests(self) -> list[LoggedRequest]:
        return self.app.log.snapshot()


def put(
    slot: tuple[Slot, str], store: Store, monkeypatch: pytest.MonkeyPatch, name: str = NAME
) -> JsmAccount:
    """Put a site behind a server, and a connection before it."""
    server, url = slot
    # Other tests are about limits, the service's and the client's own; here they would only take time.
    server.app = app = create_app(store)
    app.limiter.configure({})
    monkeypatch.setattr("opsgenie_provider.hooks.jsm.LIMITS", {})

    def connect(email: str = SYNC_EMAIL, token: str = SYNC_TOKEN, **extra: Any) -> None:
        extras = {"api_url": url, "impact_end_field": "Impact end", "impact_start_field": "Impact start"}
        value = {
            "conn_type": "jsm_api",
            "host": url,
            "login": email,
            "password": token,
            "extra": extras | extra,
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(value))

    connect()
    return JsmAccount(name, url, store, app, connect)


class Site:
    """A site, and reads of it at the time of its clock."""

    def __init__(self, account: JsmAccount, warehouse: Warehouse) -> None:
        self.account, self.store, self._warehouse = account, account.store, warehouse
        self.expected = Expected(account.store, account.name)
        self.expected.site = account.url
        self._since: datetime | None = None

    @property
    def now(self) -> datetime:
        return to_datetime(self.store.clock())

    def read(self, **params: Any) -> dict[str, Any]:
        """Sync it."""
        self.account.app.log.clear()
        self._since = self._since or self.now - timedelta(days=90)
        return read_account(self.account.name, **params)

    def tables(self) -> dict[str, list[Row]]:
        """What must be stored of it, but for who is on call."""
        tables = self.expected.incident_tables(self.expected.incidents(self._since))
        return tables | self.expected.configuration()

    def differences(self, tables: Mapping[str, list[Row]]) -> list[str]:
        """What is stored in another way."""
        name = self.account.name
        return differences(self._warehouse, tables, account=name, backend="jsm", without={"raw"})


@pytest.fixture
def site(
    slots: list[tuple[Slot, str]], world: World, tables: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> Site:
    """The demo company's site on a frozen clock."""
    account = put(slots[1], load(world, Store(clock=Clock(world.end), seed=world.seed)), monkeypatch)
    set_clocks(monkeypatch.setattr, lambda: to_datetime(account.store.clock()))
    return Site(account, tables)
