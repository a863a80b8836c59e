"""A real PostgreSQL, and a fresh warehouse in it for every test."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from opsgenie_provider.dora import refresh as dora_refresh
from opsgenie_provider.warehouse.connection import Connection, Warehouse
from opsgenie_provider.warehouse.schema import upgrade
from tests.dora.dora_checkout import Checkout
from tests.dora.dora_world import delete_all
from tests.support import ROOT
from tests.support.postgres import embedded_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URI of a server of this session's own, or of ``DORA_TEST_SERVER``."""
    if uri := os.environ.get("DORA_TEST_SERVER"):
        yield uri
        return
    with embedded_postgres() as server:
        yield server.get_uri()


@pytest.fixture(scope="session")
def database(postgres: str) -> Iterator[Warehouse]:
    """A warehouse that the tests share: to create one takes longer than most of them."""
    name = f"dora_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"create database {name}")
    shared = Warehouse(lambda: psycopg.connect(postgres, dbname=name), name)
    upgrade(shared)
    yield shared
    # An embedded server goes as a whole, in a fraction of the time.
    if "DORA_TEST_SERVER" in os.environ:
        with psycopg.connect(postgres, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)")


@pytest.fixture
def warehouse(database: Warehouse) -> Warehouse:
    """An empty warehouse."""
    with database.connection() as connection:
        delete_all(connection)
    return database


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[Connection]:
    with warehouse.connection() as connection:
        yield connection


@pytest.fixture
def world(connection: Connection) -> Checkout:
    return Checkout(connection)


@pytest.fixture
def own_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of include/sql that refreshes use in place of the shipped files, to be changed by the test."""
    copy = tmp_path / "sql"
    shutil.copytree(ROOT / "include" / "sql", copy)
    monkeypatch.setattr(dora_refresh, "sql_directory", lambda name: copy / name)
    return copy
