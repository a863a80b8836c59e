"""From the staging tables to the dora tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context

from opsgenie_provider.dora.refresh import refresh
from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.settings import load_settings
from opsgenie_provider.warehouse.schema import upgrade


class RefreshDoraOperator(BaseOperator):
    """Creates or upgrades the tables, then refreshes those of dora, with their data checks, in one transaction.

    :param include_dir: the deployment's ``include`` directory, with its settings and SQL.
    :param full_refresh: compute everything again, not only what was touched.
    :returns: what the refresh did, as ``dora.summary.Summary``.
    """

    template_fields: Sequence[str] = ("include_dir", "full_refresh")
    ui_color = "#e2f0d9"

    def __init__(self, *, include_dir: str, full_refresh: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.include_dir = include_dir
        self.full_refresh = full_refresh

    def execute(self, context: Context) -> dict[str, Any]:
        include = Path(self.include_dir)
        settings = load_settings(include / "settings.yaml")
        # A template renders to a text.
        full = str(self.full_refresh).lower() == "true"
        database = warehouse(settings.postgres_conn_id)
        upgrade(database, include / "sql" / "schema")
        with database.connection() as connection:
            return dataclasses.asdict(refresh(connection, include / "sql", settings, full))
