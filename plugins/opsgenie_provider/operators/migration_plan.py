"""The plan of a migration: what the import will do with each incident."""

from __future__ import annotations

from airflow.sdk import Context

from opsgenie_provider.operators.migration_base import MigrationOperator


class PlanMigrationOperator(MigrationOperator):
    """Writes one ledger row per incident, ``planned`` or ``skipped`` with the reason.

    :returns: the summary, in Markdown.
    """

    def perform(self, context: Context) -> str:
        from opsgenie_provider.migration.plan import write_plan

        with self.ledger() as ledger, self.warehouse.connection() as connection:
            summary = write_plan(connection, ledger, self.account, self.chosen)
        self.log.info("%s", summary)
        return summary
