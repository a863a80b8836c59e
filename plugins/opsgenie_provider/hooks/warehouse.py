"""From a ``postgres`` connection to a warehouse."""

from __future__ import annotations

from typing import cast

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk.exceptions import AirflowNotFoundException

from opsgenie_provider.hooks.base import ConnectionSettingsError
from opsgenie_provider.warehouse.connection import Connection, Warehouse


def warehouse(postgres_conn_id: str) -> Warehouse:
    """The warehouse behind an Airflow connection; it connects on first use."""

    def connect() -> Connection:
        try:
            return cast(Connection, PostgresHook(postgres_conn_id=postgres_conn_id).get_conn())
        except AirflowNotFoundException:
            raise ConnectionSettingsError(
                f"There is no Airflow connection {postgres_conn_id!r} for the warehouse. Create it with "
                f"type 'postgres' (or set AIRFLOW_CONN_{postgres_conn_id.upper()}), or name another one "
                "in the settings."
            ) from None

    return Warehouse(connect, postgres_conn_id)
