"""From a ``postgres`` connection to a warehouse."""

from __future__ import annotations

import copy
import json
import os
from typing import cast

from airflow.providers.postgres.hooks.postgres import PostgresHook

from opsgenie_provider.compat import AirflowNotFoundException
from opsgenie_provider.hooks.base import ConnectionSettingsError
from opsgenie_provider.warehouse.connection import CONNECTION_PARAMETERS, Connection, Warehouse


def warehouse(postgres_conn_id: str) -> Warehouse:
    """The warehouse behind an Airflow connection; it connects on first use."""
    return Warehouse(lambda: connect(postgres_conn_id), postgres_conn_id)


def connect(postgres_conn_id: str) -> Connection:
    """A new connection to the warehouse, with ``CONNECTION_PARAMETERS`` where its extras say nothing else.

    :raises ConnectionSettingsError: there is no such Airflow connection.
    """
    try:
        settings = copy.deepcopy(PostgresHook(postgres_conn_id=postgres_conn_id).connection)
    except AirflowNotFoundException:
        raise ConnectionSettingsError(
            f"There is no Airflow connection {postgres_conn_id!r} for the warehouse. Create it with "
            f"type 'postgres' (or set AIRFLOW_CONN_{postgres_conn_id.upper()}), or name another one "
            "in the settings."
        ) from None
    # So that pg_stat_activity says which task holds a lock.
    task = (os.environ.get(f"AIRFLOW_CTX_{name}") for name in ("DAG_ID", "TASK_ID"))
    defaults = {
        **CONNECTION_PARAMETERS,
        "fallback_application_name": ".".join(filter(None, task)) or "opsgenie_provider",
    }
    settings.extra = json.dumps(defaults | settings.extra_dejson)
    return cast(Connection, PostgresHook(postgres_conn_id=postgres_conn_id, connection=settings).get_conn())
