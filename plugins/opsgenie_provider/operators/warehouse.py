"""Makes the warehouse ready for a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from airflow.sdk import BaseOperator, Context
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.settings import load_settings
from opsgenie_provider.warehouse.deployments import apply_repositories
from opsgenie_provider.warehouse.schema import upgrade


class PrepareWarehouseOperator(BaseOperator):
    """Checks the settings, creates or upgrades the tables, and applies the settings of GitHub to them.

    :param include_dir: the deployment's ``include`` directory.
    :returns: the settings, each also under its own XCom key.
    """

    template_fields: Sequence[str] = ("include_dir",)
    ui_color = "#e2f0d9"

    def __init__(self, *, include_dir: str, **kwargs: Any) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.include_dir = include_dir

    def output_of(self, name: str) -> Any:
        """A setting, for a task further down."""
        return cast(PlainXComArg, self.output)[name]

    def execute(self, context: Context) -> dict[str, Any]:
        include = Path(self.include_dir)
        settings = load_settings(include / "settings.yaml")
        store = warehouse(settings.postgres_conn_id)
        upgrade(store, include / "sql" / "schema")
        with store.connection() as connection:
            apply_repositories(connection, settings.github_conn_id, settings.github_repositories)
        # The arguments of notifiers may hold a secret of theirs.
        return settings.model_dump(mode="json", exclude={"notifiers"})
