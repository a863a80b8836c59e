"""Of each service a small account on a frozen clock, and the demo account, served over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from sandbox import github, jsm, pagerduty
from sandbox.github.store import SYNC_KEY as GH_TOKEN
from sandbox.instants import Clock
from sandbox.jsm.store import SYNC_EMAIL, SYNC_TOKEN
from sandbox.opsgenie import Key, Store, create_app, load
from sandbox.pagerduty.store import READ_KEY as PD_KEY
from sandbox.server import Slot, serve
from sandbox.world import World, build_world
from tests.sandbox.sandbox_client import NOW, READER, WRITER, Api, Jsm, Reader, basic


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


@pytest.fixture
def pd(slot: tuple[Slot, str]) -> Iterator[Reader[pagerduty.Store]]:
    """A PagerDuty account with a team, two users, a service and two priorities, and no incidents."""
    store = pagerduty.Store(clock=Clock(NOW))
    users = [
        store.add_user(f"{name}@example.com", name.title(), id=f"P{name.upper()}") for name in ("ann", "bob")
    ]
    team = store.add_team("Payments", users, id="PTEAM01")
    policy = store.add_policy("Payments escalation", users, team, id="PPOLICY")
    store.add_service("ledger", policy, id="PLEDGER")
    for name in ("SEV-1", "Minor"):
        store.add_priority(name, id=f"PRIO{name[:3]}")
    app = slot[0].app = pagerduty.create_app(store)
    with requests.Session() as session:
        yield Reader(slot[1], app, store, session, f"Token token={PD_KEY}")


@pytest.fixture(scope="session")
def pd_demo(world: World) -> Iterator[Reader[pagerduty.Store]]:
    """PagerDuty's demo account, for reading only."""
    store = pagerduty.load(world, pagerduty.Store(clock=Clock(NOW), seed=world.seed))
    app = pagerduty.create_app(store)
    app.limiter.configure({})
    with serve(app) as base, requests.Session() as session:
        yield Reader(base, app, store, session, f"Token token={PD_KEY}")


@pytest.fixture
def gh(slot: tuple[Slot, str]) -> Iterator[Reader[github.Store]]:
    """GitHub with one empty private repository."""
    store = github.Store(clock=Clock(NOW))
    store.add_repository("acme/ledger")
    app = slot[0].app = github.create_app(store)
    with requests.Session() as session:
        yield Reader(slot[1], app, store, session, f"Bearer {GH_TOKEN}")


@pytest.fixture(scope="session")
def gh_demo(world: World) -> Iterator[Reader[github.Store]]:
    """GitHub's demo repositories, for reading only."""
    store = github.load(world, github.Store(clock=Clock(NOW)))
    app = github.create_app(store)
    app.limiter.configure({})
    with serve(app) as base, requests.Session() as session:
        yield Reader(base, app, store, session, f"Bearer {GH_TOKEN}")


@pytest.fixture
def jira(slot: tuple[Slot, str]) -> Iterator[Jsm]:
    """A site with two agents (one hides its e-mail), a team and a service, and no issues."""
    store = jsm.Store(clock=Clock(NOW))
    ann = store.add_account("Ann", "ann@example.com", id="712020:ann", time_zone="Europe/Berlin")
    bob = store.add_account("Bob", "bob@example.com", id="5b10ac8d82e05b22cc7d4ef5", hides_email=True)
    team = store.add_team("Payments", [ann.id, bob.id], id="team-payments")
    store.add_service("ledger", team.id, ari="ari:cloud:graph::service/11/22")
    app = slot[0].app = jsm.create_app(store)
    app.limiter.configure({})
    with requests.Session() as session:
        yield Jsm(slot[1], app, store, session, basic(SYNC_EMAIL, SYNC_TOKEN))


@pytest.fixture(scope="session")
def jira_demo(world: World) -> Iterator[Jsm]:
    """Jira Service Management's demo site, for reading only."""
    store = jsm.load(world, jsm.Store(clock=Clock(NOW), seed=world.seed))
    app = jsm.create_app(store)
    app.limiter.configure({})
    with serve(app) as base, requests.Session() as session:
        yield Jsm(base, app, store, session, basic(SYNC_EMAIL, SYNC_TOKEN))
