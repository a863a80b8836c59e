"""Makes the warehouse ready for a run."""

from __future__ import annotations

from typing import Any, cast

from airflow.sdk import Context
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from opsgenie_provider.operators.provider import ProviderOperator


class PrepareWarehouseOperator(ProviderOperator):
    """Checks the settings, creates or upgrades the tables, and applies the settings of GitHub to them.

    :returns: the settings, each also under its own XCom key.
    """

    ui_color = "#e2f0d9"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})

    def output_of(self, name: str) -> Any:
        """A setting, for a task further down."""
        return cast(PlainXComArg, self.output)[name]

    def perform(self, context: Context) -> Any:
        from opsgenie_provider.hooks.warehouse import open_warehouse
        from opsgenie_provider.settings import load_settings
        from opsgenie_provider.warehouse.deployments import apply_repositories
        from opsgenie_provider.warehouse.schema import upgrade

        settings = load_settings()
        store = open_warehouse(settings.postgres_conn_id)
        upgrade(store)
        with store.connection() as connection:
            apply_repositories(connection, settings.github_conn_id, settings.github_repositories)
        # The arguments of notifiers may hold a secret of theirs.
        return settings.model_dump(mode="json", exclude={"notifiers"})
