"""The supported Airflows below that of the lock, each of the two ways in, and the two kinds of login.

The suite itself runs on the newest. These install what a user would, and so need an index that answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sandbox.connections import connections, settings
from tests.compat.compat_airflow import InstalledAirflow, requirements
from tests.support.postgres import connection_fields, temporary_database

DAGS = ("opsgenie_sync", "deployments_sync", "dora_metrics", "pagerduty_migration")
TABLES = (
    "staging.opsgenie_incidents", "staging.opsgenie_on_call_periods", "staging.deployments",
    "staging.pagerduty_incidents", "dora.incidents", "migration.ledger",
)  # fmt: skip
METRICS = "select * from dora.overall_metrics order by grain, period_start"
PERSON = {"username": "person", "password": "secret"}
RunDags = Callable[..., None]


@pytest.fixture(scope="module")
def metrics() -> list[Any]:
    """What each Airflow made of the same stand-ins."""
    return []


@pytest.fixture
def run_dags(postgres: str, stand_ins: dict[str, str], metrics: list[Any]) -> Any:
    """Runs the DAGs of an Airflow into a new database, after commands of its own."""
    with temporary_database(postgres) as database:

        def run(airflow: InstalledAirflow, *commands: list[str]) -> None:
            found = connections(Path(postgres), stand_ins)
            warehouse = json.dumps(connection_fields(postgres, database))
            airflow.environment |= found | settings(found) | {"AIRFLOW_CONN_POSTGRES_DEFAULT": warehouse}
            airflow.commands(
                ["db", "migrate"],
                *commands,
                ["dags", "list-import-errors", "--local"],
                *(["dags", "test", dag_id] for dag_id in DAGS),
            )
            with psycopg.connect(host=postgres, user="postgres", dbname=database) as connection:
                empty = [table for table in TABLES if not connection.execute(f"select from {table}").rowcount]
                metrics.append(connection.execute(METRICS).fetchall())
            assert empty == []
            assert all(each == metrics[0] for each in metrics)

        yield run


def user_fields(name: str) -> list[str]:
    """What else a user of FAB must have."""
    fields = {"username": name, "firstname": name, "lastname": name, "email": f"{name}@example.com"}
    return [part for field, value in fields.items() for part in (f"--{field}", value)]


def test_the_wheel_alone_on_the_lowest_airflow(wheel: Path, directory: Path, run_dags: RunDags) -> None:
    """With SQLAlchemy 1.4, the oldest FastAPI and the oldest providers."""
    airflow = InstalledAirflow(directory / "lowest", ["apache-airflow==3.1.8", str(wheel)], "airflow-3.1.txt")
    # As they are copied to a dags folder; neither plugins/ nor include/ is anywhere.
    airflow.copy("dags")
    run_dags(airflow)
    passwords = airflow.home / "passwords.json"
    passwords.write_text(json.dumps({PERSON["username"]: PERSON["password"]}))
    airflow.environment |= {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{PERSON['username']}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    with airflow.api_server() as page:
        assert page.get()[0] == 401
        token = page.log_in(PERSON)
        status, text = page.get(token)
        assert (status, "Change failure rate" in text) == (200, True)


def test_a_checkout_on_the_next_airflow_with_fab(
    package_index: None, directory: Path, run_dags: RunDags
) -> None:
    """Where FAB decides who may see the page, by the commands of docs/deploying.md."""
    packages = ["apache-airflow==3.2.1", "apache-airflow-providers-fab", *requirements()]
    airflow = InstalledAirflow(directory / "fab", packages, "airflow-3.2.txt")
    airflow.copy("dags", "plugins", "include")
    fab = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
    airflow.environment["AIRFLOW__CORE__AUTH_MANAGER"] = fab
    names = ("viewer", "reader")
    create = ["users", "create", "--role", "Viewer", "--password", PERSON["password"]]
    run_dags(
        airflow,
        *([*create, *user_fields(name)] for name in names),
        # As docs/deploying.md says.
        ["roles", "create", "Incidents"],
        ["roles", "add-perms", "Incidents", "-a", "can_read", "-r", "Plugins"],
        ["users", "add-role", "--username", "reader", "--role", "Incidents"],
    )
    with airflow.api_server() as page:
        found = {name: page.get(page.log_in(PERSON | {"username": name}))[0] for name in names}
    assert found == {"viewer": 403, "reader": 200}


def test_the_wheel_alone_in_an_empty_environment(wheel: Path, directory: Path) -> None:
    """Without constraints: whatever the index has today."""
    airflow = InstalledAirflow(directory / "empty", [str(wheel)])
    airflow.copy("dags")
    code = """
from airflow.dag_processing.dagbag import DagBag
from airflow.plugins_manager import get_plugin_info
bag = DagBag("dags")
print("errors", bag.import_errors)
print("dags", *sorted(bag.dags))
print("plugins", *[each["name"] for each in get_plugin_info(["name"])])
"""
    said = airflow.run("python", "-c", code).splitlines()
    assert "errors {}" in said
    assert "dags deployments_sync dora_metrics dora_report opsgenie_sync pagerduty_migration" in said
    assert any(line.startswith("plugins") and "opsgenie_provider" in line for line in said)
