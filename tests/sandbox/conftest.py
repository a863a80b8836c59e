"""A small account on a frozen clock, and the demo account, both served over real HTTP."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

HERE = Path(__file__).resolve().parent
# The tests' own client, and the package: neither is installed.
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "include")]

from sandbox.instants import Clock  # noqa: E402
from sandbox.opsgenie import Key, Store, create_app, load  # noqa: E402
from sandbox.server import Slot, serve  # noqa: E402
from sandbox.world import World, build_world  # noqa: E402
from sandbox_client import NOW, READER, WRITER, Api  # noqa: E402


@pytest.fixture
def store() -> Store:
    """An account with two teams, a user each, a service each, and no incidents."""
    made = Store(
        clock=Clock(NOW),
        keys={READER: Key("reader", frozenset({"read"})), WRITER: Key("writer")},
    )
    for team, service in (("Payments", "ledger"), ("Storefront", "checkout")):
        user = made.add_user(f"{team.lower()}@example.com", f"{team} Person")
        made.add_service(service, made.add_team(team, [user]))
    return made


@pytest.fixture(scope="session")
def slot() -> Iterator[tuple[Slot, str]]:
    """One server for all tests; each puts its own stand-in in."""
    slot = Slot()
    with serve(slot) as base:
        yield slot, base


@pytest.fixture
def api(store: Store, slot: tuple[Slot, str]) -> Iterator[Api]:
    app = slot[0].app = create_app(store)
    with requests.Session() as session:
        yield Api(slot[1], app, store, session)


@pytest.fixture(scope="session")
def world() -> World:
    return build_world(seed=7, end=NOW)


@pytest.fixture(scope="session")
def demo(world: World) -> Iterator[Api]:
    """The demo account, for reading only."""
    store = load(world, Store(clock=Clock(NOW), seed=world.seed, keys={WRITER: Key("writer")}))
    with ExitStack() as stack:
        app = create_app(store)
        base = stack.enter_context(serve(app))
        yield Api(base, app, store, stack.enter_context(requests.Session()))
