"""A warehouse as the clouds have it: an older PostgreSQL, TLS required, no superuser, a pooler in between."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import psycopg
import pytest

from opsgenie_provider.hooks.warehouse import open_warehouse
from opsgenie_provider.operators.retry import is_permanent
from opsgenie_provider.warehouse.connection import PoolerError, WarehouseUnavailableError
from opsgenie_provider.warehouse.schema import upgrade
from sandbox.stack import free_port, wait_for
from tests.dora.dora_checkout import HOUR, NOON, Checkout
from tests.security.documented_roles import DATABASE, blocks

ROLE, PASSWORD = "opsgenie_sync", "choose-one"
# Neither server runs as root.
USER = "postgres" if os.geteuid() == 0 else None


@dataclass(frozen=True)
class Server:
    """A server that takes nothing but TLS over TCP."""

    directory: Path
    port: int

    @property
    def certificate(self) -> str:
        return str(self.directory / "server.crt")

    def connect(self, monkeypatch: pytest.MonkeyPatch, port: int | None = None, **extra: object) -> None:
        """The Airflow connection of the documented role."""
        fields = {
            "conn_type": "postgres", "host": "127.0.0.1", "port": port or self.port, "login": ROLE,
            "password": PASSWORD, "schema": DATABASE, "extra": extra,
        }  # fmt: skip
        monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(fields))


def programs() -> Path | None:
    """Where Debian's lowest PostgreSQL is."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda each: int(each.parts[4]))
    return found[0].parent if found else None


@contextmanager
def running(log: Path, *command: str | Path) -> Iterator[None]:
    """A server's process."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, user=USER, stdout=output, stderr=output, cwd=log.parent)
    try:
        yield
    finally:
        # PostgreSQL's fast shutdown; PgBouncer's too.
        process.send_signal(2)
        process.wait(60)


def answers(port: int) -> bool:
    try:
        psycopg.connect(host="127.0.0.1", port=port, user="nobody", dbname="nowhere", connect_timeout=5)
    except psycopg.OperationalError as error:
        return "refused" not in str(error) and "starting up" not in str(error)
    return True


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    directory = programs()
    if directory is None:
        pytest.skip("needs the Debian package postgresql")
    with ExitStack() as stack:
        # Short: a socket's path may have 107 bytes.
        made = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="managed")))
        server = Server(made, free_port(0))
        data = made / "data"

        def run(*command: str | Path) -> None:
            subprocess.run(command, user=USER, cwd=made, check=True, capture_output=True, timeout=120)

        made.chmod(0o777)
        run(directory / "initdb", "--auth=trust", "--username=postgres", "--no-sync", "--pgdata", data)
        run(
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=warehouse",
            ),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "server.key", "-out", "server.crt"),
        )
        (data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        settings = {
            "listen_addresses": "127.0.0.1", "port": server.port, "unix_socket_directories": made,
            "ssl": "on", "ssl_cert_file": made / "server.crt", "ssl_key_file": made / "server.key",
            "fsync": "off",
        }  # fmt: skip
        options = [f"-c{name}={value}" for name, value in settings.items()]
        stack.enter_context(running(made / "postgres.log", directory / "postgres", "-D", data, *options))
        wait_for(lambda: answers(server.port), "PostgreSQL", 60)
        with psycopg.connect(
            host=str(made), port=server.port, user="postgres", dbname="postgres", autocommit=True
        ) as admin:
            admin.execute(f"create database {DATABASE}")
            admin.execute(blocks()[ROLE])
        yield server


def test_tables_and_metrics_on_the_oldest_postgresql_at_hand(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.connect(monkeypatch, sslmode="disable")
    with pytest.raises(WarehouseUnavailableError, match="no encryption"):
        upgrade(open_warehouse("postgres_default"))

    server.connect(monkeypatch, sslmode="verify-full", sslrootcert=server.certificate)
    store = open_warehouse("postgres_default")
    assert upgrade(store)
    assert upgrade(store) == []
    with store.connection() as connection:
        assert connection.execute("show is_superuser").fetchone() == ("off",)
        world = Checkout(connection)
        world.deployment("caused", NOON - HOUR)
        world.incident("first", NOON, status="resolved", resolved_at=NOON + HOUR)
        # Each is compared with the model of tests/dora.
        assert world.refresh().full
        world.incident("second", NOON + 2 * HOUR)
        world.deployment("later", NOON + 9 * HOUR)
        assert not world.refresh().full
        assert world.refresh(full=True).full


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_is_refused_in_transaction_mode_only(
    mode: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = which("pgbouncer") or which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("needs the Debian package pgbouncer")
    port = free_port(0)
    settings = server.directory / f"{mode}.ini"
    settings.write_text(
        textwrap.dedent(f"""\
            [databases]
            {DATABASE} = host={server.directory} port={server.port} user={ROLE}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            auth_type = any
            pool_mode = {mode}
            """)
    )
    server.connect(monkeypatch, port)
    store = open_warehouse("postgres_default")
    with running(server.directory / f"{mode}.log", program, settings):
        wait_for(lambda: answers(port), "PgBouncer", 60)
        if mode == "session":
            with store.lock("anything") as connection, store.lock("another"):
                assert connection.execute("show time zone").fetchone() == ("UTC",)
        else:
            with pytest.raises(PoolerError, match="a pool in session mode") as error:
                upgrade(store)
            assert is_permanent(error.value)
