"""Deployments from a relation of the user's own into staging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from opsgenie_provider.compat import AirflowSkipException
from opsgenie_provider.operators.provider import ProviderOperator

if TYPE_CHECKING:
    from opsgenie_provider.operators.base import Outcome


class OwnDeploymentsToPostgresOperator(ProviderOperator):
    """Takes over the deployments of a table or view; where the settings name none, there are none of it.

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

    def perform(self, context: Context) -> Outcome:
        from opsgenie_provider.hooks.warehouse import warehouse
        from opsgenie_provider.operators.base import Outcome
        from opsgenie_provider.warehouse.own_deployments import forget, take_over

        store = warehouse(self.postgres_conn_id)
        with store.lock("deployments_relation"), store.connection() as connection:
            if self.relation:
                changed = take_over(connection, self.relation, self.columns or {})
            else:
                changed = forget(connection)
        if not self.relation and not changed:
            raise AirflowSkipException("The settings name no deployments_relation.")
        name = self.relation or "deployments_relation"
        self.log.info("%s: %d rows changed.", name, changed)
        return Outcome(account=name, stream="deployments", rows_changed=changed)
