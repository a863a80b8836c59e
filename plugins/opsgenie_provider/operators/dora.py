"""From the staging tables to the dora tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from opsgenie_provider.operators.provider import ProviderOperator


class RefreshDoraOperator(ProviderOperator):
    """Creates or upgrades the tables, then refreshes those of dora and checks them, in one transaction.

    :param full_refresh: compute everything again, not only what was touched.
    :returns: what the refresh did, as ``dora.summary.Summary``.
    """

    template_fields: Sequence[str] = ("full_refresh",)
    ui_color = "#e2f0d9"

    def __init__(self, *, full_refresh: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.full_refresh = full_refresh

    def perform(self, context: Context) -> dict[str, Any]:
        from opsgenie_provider.dora.refresh import refresh
        from opsgenie_provider.hooks.warehouse import open_warehouse
        from opsgenie_provider.settings import load_settings
        from opsgenie_provider.warehouse.schema import upgrade

        settings = load_settings()
        # A template renders to a text.
        full = str(self.full_refresh).lower() == "true"
        database = open_warehouse(settings.postgres_conn_id)
        upgrade(database)
        with database.connection() as connection:
            return dataclasses.asdict(refresh(connection, settings, full))
