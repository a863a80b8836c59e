"""Deployments from a relation of the user's own into staging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.operators.base import Outcome
from opsgenie_provider.warehouse.own_deployments import take_over


class OwnDeploymentsToPostgresOperator(BaseOperator):
    """Takes over the deployments of a table or view; skipped where the settings name none.

    :param relation: "table" or "schema.table".
    :param columns: column of ``staging.deployments`` -> column of the relation, where the names differ.
    :param postgres_conn_id: the warehouse, which has the relation, too.
    """

    template_fields: Sequence[str] = ("relation", "columns", "postgres_conn_id")
    ui_color = "#dbe7ff"

    def __init__(
        self,
        *,
        relation: str | None,
        columns: Mapping[str, str] | None = None,
        postgres_conn_id: str = "postgres_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.relation = relation
        self.columns = columns
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> Outcome:
        if not self.relation:
            raise AirflowSkipException("The settings name no deployments_relation.")
        store = warehouse(self.postgres_conn_id)
        with store.lock(f"deployments {self.relation}"), store.connection() as connection:
            changed = take_over(connection, self.relation, self.columns or {})
        self.log.info("%s: %d rows changed.", self.relation, changed)
        return Outcome(account=self.relation, stream="deployments", rows_changed=changed)
