"""From a ``postgres`` connection to a warehouse."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import psycopg
from airflow.sdk import BaseHook
from airflow.sdk import Connection as AirflowConnection

from opsgenie_provider.compat import AirflowNotFoundException
from opsgenie_provider.hooks.base import ConnectionSettingsError, extras_of
from opsgenie_provider.warehouse.connection import CONNECTION_PARAMETERS, Connection, Warehouse

# Extras that are the postgres provider's, not libpq's.
_NOT_OF_LIBPQ = {
    "cursor", "iam", "redshift", "redshift-serverless", "cluster-identifier", "workgroup-name", "aws_conn_id",
    "azure_conn_id", "sqlalchemy_scheme", "sqlalchemy_query", "enable_log_db_messages",
}  # fmt: skip


def open_warehouse(postgres_conn_id: str) -> Warehouse:
    """The warehouse behind an Airflow connection; it connects on first use."""
    return Warehouse(lambda: connect(postgres_conn_id), postgres_conn_id)


def connect(postgres_conn_id: str) -> Connection:
    """A new connection to the warehouse, with ``CONNECTION_PARAMETERS`` where its extras say nothing else.

    :raises ConnectionSettingsError: there is no such Airflow connection.
    """
    # So that pg_stat_activity says which task holds a lock.
    task = (os.environ.get(f"AIRFLOW_CTX_{name}") for name in ("DAG_ID", "TASK_ID"))
    name = ".".join(filter(None, task)) or "opsgenie_provider"
    connection = find_connection(postgres_conn_id)
    return open_connection(connection, {**CONNECTION_PARAMETERS, "fallback_application_name": name})


def find_connection(conn_id: str) -> AirflowConnection:
    """The Airflow connection of the warehouse.

    :raises ConnectionSettingsError: there is none.
    """
    try:
        found: AirflowConnection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConnectionSettingsError(
            f"There is no Airflow connection {conn_id!r} for the warehouse. Create it with type 'postgres' "
            f"(or set AIRFLOW_CONN_{conn_id.upper()}), or name another one in the settings."
        ) from None
    return found


def open_connection(connection: AirflowConnection, defaults: Mapping[str, Any]) -> Connection:
    """Connect by psycopg 3; ``PostgresHook.get_conn`` does so beside SQLAlchemy 2 only.

    :param defaults: libpq's parameters where the connection's extras say nothing else.
    """
    extras = extras_of(connection)
    login, password, port = connection.login, connection.password, connection.port
    if extras.get("iam"):
        # It takes long to import, so it is left to those who need it.
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        # A token for some minutes, by the hook of Amazon's or Microsoft's provider.
        login, password, port = PostgresHook(connection=connection).get_iam_token(connection)
    fields = {
        "host": connection.host,
        "user": login,
        "password": password,
        "dbname": connection.schema,
        "port": port,
    }
    named = {name: value for name, value in extras.items() if name not in _NOT_OF_LIBPQ}
    return psycopg.connect(**{**defaults, **fields, **named})
