"""Stand-ins of OpsGenie behind Airflow connections, for tests that change what is in them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.gateway import Gateway, LoggedRequest
from sandbox.instants import DAY, Clock, to_datetime
from sandbox.opsgenie import Store, create_app, load
from sandbox.opsgenie.model import Incident
from sandbox.opsgenie.store import SYNC_KEY
from sandbox.server import Slot, serve
from sandbox.world import World
from tests.support.postgres import Warehouse
from tests.support.worlds import world_until

# Takes a path with its query and how many requests came before; returns a status to answer with.
Hook = Callable[[str, int], int | None]


class Interceptor:
    """An ASGI app before the stand-in: a test's hook runs before each request."""

    def __init__(self, app: Gateway) -> None:
        self.app = app
        self.hook: Hook = lambda path, count: None
        self.count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = self.hook(f"{scope['path']}?{scope['query_string'].decode()}", self.count)
        self.count += 1
        if status:
            await Response('{"message": "no"}', status)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


@dataclass
class Account:
    """A stand-in and the Airflow connection to it."""

    name: str
    url: str
    store: Store
    app: Gateway
    interceptor: Interceptor
    connect: Callable[..., None]

    @property
    def requests(self) -> list[LoggedRequest]:
        return self.app.log.snapshot()

    def history(self, days: float = 90) -> list[Incident]:
        """The incidents of the past days."""
        since = self.store.clock() - days * DAY
        return [incident for incident in self.store.incidents.all() if incident.created_at >= since]

    def pages(self) -> list[tuple[str, int]]:
        """Query and offset of each whole page of incidents that was asked for in the order of createdAt."""
        asked = [parse_qs(r.query) for r in self.requests if r.path == "/v1/incidents"]
        return [
            (params.get("query", [""])[0], int(params["offset"][0]))
            for params in asked
            if params["limit"] == ["100"] and params["sort"] == ["createdAt"]
        ]


class Accounts:
    """Puts stand-ins behind Airflow connections."""

    def __init__(self, slots: list[tuple[Slot, str]], monkeypatch: pytest.MonkeyPatch) -> None:
        self._slots = list(slots)
        self._monkeypatch = monkeypatch

    def add(self, name: str, store: Store, key: str = SYNC_KEY) -> Account:
        slot, base = self._slots.pop(0)
        app = create_app(store)
        slot.app = interceptor = Interceptor(app)

        def connect(key: str = key, **fields: object) -> None:
            value = {"conn_type": "opsgenie_api", "host": base, "password": key, **fields}
            self._monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(value))

        connect()
        return Account(name, base, store, app, interceptor, connect)


def advance(account: Account, **by: float) -> None:
    """Move the stand-in's clock, and with it that of the operators."""
    account.store.clock.advance(timedelta(**by).total_seconds())


def schedule_windows(account: Account) -> dict[str, list[tuple[datetime, datetime]]]:
    """Per schedule the windows of its timeline that were read."""
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for request in account.requests:
        match = re.fullmatch(r"/v2/schedules/([^/]+)/timeline", request.path)
        if match and request.status == 200:
            params = {name: values[0] for name, values in parse_qs(request.query).items()}
            start = datetime.fromisoformat(params["date"])
            assert params["intervalUnit"] == "weeks"
            end = start + timedelta(weeks=int(params["interval"]))
            found.setdefault(match[1], []).append((start, end))
    return found


def covered(account: Account, warehouse: Warehouse) -> dict[str, tuple[datetime, datetime]]:
    """Per schedule the window that the last read covers: at least two weeks ahead, the same for all."""
    now = to_datetime(account.store.clock())
    horizon = warehouse.value(
        "select max(end_at) from staging.opsgenie_on_call_periods where account = %s", account.name
    )
    assert horizon >= now + timedelta(days=14)
    read = schedule_windows(account)
    assert read.keys() == account.store.schedules.keys()
    assert all(windows[-1][1] >= horizon for windows in read.values())
    return {id_: (windows[-1][0], horizon) for id_, windows in read.items()}


def pages_of(count: int) -> int:
    return max(1, math.ceil(count / 100))


@pytest.fixture(scope="session")
def slots() -> Iterator[list[tuple[Slot, str]]]:
    """Two servers for all tests; each test puts its own stand-ins in."""
    with ExitStack() as stack:
        opened = [Slot(), Slot()]
        yield [(slot, stack.enter_context(serve(slot))) for slot in opened]


@pytest.fixture
def accounts(slots: list[tuple[Slot, str]], monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """Makes Airflow connections to stand-ins."""
    return Accounts(slots, monkeypatch)


@pytest.fixture(scope="session")
def world() -> World:
    return world_until(seed=11)


def demo_store(world: World) -> Store:
    """The demo company's account on a frozen clock."""
    return load(world, Store(clock=Clock(world.end), seed=world.seed))


@pytest.fixture
def store(world: World) -> Store:
    return demo_store(world)


@pytest.fixture
def account(accounts: Accounts, store: Store) -> Account:
    """``opsgenie_default``, with the demo company in it."""
    return accounts.add("opsgenie_default", store)
