"""Connections to the warehouse: what they set, what a user may set instead, and waits that end."""

from __future__ import annotations

import json
import logging
import os
import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from opsgenie_provider.hooks import warehouse as hook
from opsgenie_provider.operators.retry import ApiRetryPolicy
from opsgenie_provider.warehouse import connection as module
from opsgenie_provider.warehouse.connection import SESSION_SETTINGS, LockWaitError
from opsgenie_provider.warehouse.schema import EncodingError, upgrade
from opsgenie_provider.web import connection_pool
from tests.support.postgres import Warehouse, warehouse_of

# While PostgreSQL waits, its signal handler sees the real time, so that under tests/at no timeout ever ends.
needs_the_servers_timeouts = pytest.mark.skipif(
    "libfaketime" in os.environ.get("LD_PRELOAD", ""), reason="PostgreSQL's timeouts need the real clock"
)


@pytest.fixture
def connect(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The warehouse, with extras of its Airflow connection."""

    def made(**extra: Any) -> module.Warehouse:
        fields = warehouse.connection | {"extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(fields))
        return hook.open_warehouse("postgres_default")

    return made


def session(warehouse: module.Warehouse) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters that libpq was given, and where the session's settings come from."""
    with warehouse.connection() as connection:
        rows = connection.execute(
            "select name, setting || coalesce(unit, ''), source from pg_settings where name = any(%s)",
            (list(SESSION_SETTINGS),),
        ).fetchall()
        assert connection.execute("show time zone").fetchone() == ("UTC",)
        return connection.info.get_parameters(), {name: f"{source} {value}" for name, value, source in rows}


def test_a_peer_that_vanished_is_noticed_on_either_side(connect: Any) -> None:
    parameters, settings = session(connect())
    assert {name: str(parameters[name]) for name in module.CONNECTION_PARAMETERS} == {
        name: str(value) for name, value in module.CONNECTION_PARAMETERS.items()
    }
    seconds = 60 + 6 * 10
    assert int(parameters["keepalives_idle"]) + 6 * int(parameters["keepalives_interval"]) == seconds
    # Over a socket of the machine itself, PostgreSQL takes them and shows 0.
    assert {name for name in settings if settings[name].startswith("session")} == set(SESSION_SETTINGS)
    assert settings["lock_timeout"] == "session 600000ms"
    assert settings["idle_in_transaction_session_timeout"] == "session 3600000ms"


def test_what_the_user_set_stays(connect: Any, warehouse: Warehouse) -> None:
    warehouse.execute(f"alter database {warehouse.connection['schema']} set work_mem = '7MB'")
    extras = {
        "keepalives_idle": 5,
        "connect_timeout": 3,
        "options": "-c lock_timeout=5s -c timezone=Asia/Tokyo",
    }
    parameters, settings = session(connect(**extras, application_name="etl"))
    assert (parameters["keepalives_idle"], parameters["connect_timeout"]) == ("5", "3")
    assert parameters["keepalives_interval"] == "10"
    assert parameters["application_name"] == "etl"
    assert settings["lock_timeout"] == "client 5000ms"
    assert settings["work_mem"] == "database 7168kB"
    assert settings["idle_session_timeout"] == "session 0ms"


@pytest.mark.parametrize("where", ["task", "page"])
def test_instants_are_read_whatever_style_the_database_shows_them_in(
    connect: Any, warehouse: Warehouse, where: str
) -> None:
    """psycopg reads no other styles than ISO's and its own, and sends no text that the encoding lacks."""
    database = warehouse.connection["schema"]
    styles = {"datestyle": "German", "intervalstyle": "iso_8601", "timezone": "Asia/Tokyo"}
    for name, style in (styles | {"client_encoding": "latin1"}).items():
        warehouse.execute(f"alter database {database} set {name} = '{style}'")
    query = "select timestamptz '2026-11-26 12:00Z', '[2026-11-26,)'::tstzrange, interval '26 hours', %s"
    store = connect()
    with (
        store.connection()
        if where == "task"
        else connection_pool.connection("postgres_default") as connection
    ):
        instant, span, hours, text = connection.execute(query, ("– 🚀",)).fetchone()
    assert (instant.isoformat(), hours) == ("2026-11-26T12:00:00+00:00", timedelta(hours=26))
    assert text == "– 🚀"
    assert span.lower.isoformat() == "2026-11-26T00:00:00+00:00"
    connection_pool.close()


def test_a_database_of_another_encoding_is_refused_with_the_remedy(postgres: str) -> None:
    """SQL_ASCII is what initdb takes where nobody sets a locale."""
    name = f"ascii_{uuid.uuid4().hex}"
    with psycopg.connect(host=postgres, user="postgres", dbname="postgres", autocommit=True) as admin:
        admin.execute(f"create database {name} template template0 locale 'C' encoding 'SQL_ASCII'")
        with pytest.raises(EncodingError, match=r"SQL_ASCII.*encoding 'UTF8'"):
            upgrade(warehouse_of(postgres, name))
        admin.execute(f"drop database {name} with (force)")


def test_psycopg_3_connects_also_where_the_postgres_provider_would_not(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Beside SQLAlchemy 1.4, as Airflow 3.1 has it under its constraints.
    monkeypatch.setattr("airflow.providers.postgres.hooks.postgres.USE_PSYCOPG3", False)
    with connect(cursor="dictcursor").connection() as connection:
        assert isinstance(connection, psycopg.Connection)
        assert connection.execute("select 1").fetchone() == (1,)


@needs_the_servers_timeouts
def test_a_wait_for_another_task_ends_with_its_name(
    connect: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "opsgenie_sync")
    monkeypatch.setenv("AIRFLOW_CTX_TASK_ID", "incidents")
    monkeypatch.setattr(module.take_lock, "__kwdefaults__", {"wait": "100ms"})
    caplog.set_level(logging.INFO)
    store = connect()
    with store.lock("account"):
        with store.lock("another"):
            pass
        described = r"opsgenie_sync\.incidents .*backend (\d+).*terminate"
        with pytest.raises(LockWaitError, match=described) as error, store.lock("account"):
            pass
    assert "opsgenie_sync.incidents" in caplog.text
    assert ApiRetryPolicy().evaluate(error.value, 1, 3).action.name != "FAIL"
    with store.lock("account") as connection:
        assert connection.execute("show lock_timeout").fetchone() == ("10min",)


@needs_the_servers_timeouts
def test_a_wait_for_a_table_ends_with_a_remedy(connect: Any, warehouse: Warehouse) -> None:
    warehouse.execute("create table busy ()")
    with connect().connection() as holder:
        holder.execute("lock table busy in access exclusive mode")
        hurried = connect(options="-c lock_timeout=100ms")
        with (
            pytest.raises(LockWaitError, match="pg_stat_activity"),
            hurried.connection() as connection,
        ):
            connection.execute("table busy")
