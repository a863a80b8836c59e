"""Reverts a migration: deletes what the ledger created in OpsGenie, and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow.sdk import Context

from opsgenie_provider.operators.migration_base import MigrationFailedError, MigrationOperator
from opsgenie_provider.operators.migration_import import ImportOperator

if TYPE_CHECKING:
    from opsgenie_provider.migration.ledger import Entry

_LISTED = 20


class PlanUndoOperator(MigrationOperator):
    """Says what an undo would delete.

    :returns: the summary, in Markdown.
    """

    def perform(self, context: Context) -> str:
        with self.ledger() as ledger:
            imported = ledger.imported()
        known = sum(entry.opsgenie_incident_id is not None for entry in imported)
        text = (
            f"# Undo of the migration from {self.account}\n\n**{known} incidents** that the ledger created "
            f"will be deleted from OpsGenie, and {len(imported) - known} more if it turns out that they "
            "exist. Nothing else is touched; PagerDuty keeps its history, the ledger its rows, as skipped."
        )
        self.log.info("%s", text)
        return text


class UndoMigrationOperator(ImportOperator):
    """Deletes exactly the incidents whose ids the ledger has; may be repeated at any point.

    :returns: how many were deleted.
    """

    def perform(self, context: Context) -> dict[str, int]:
        from opsgenie_provider.api.errors import PermissionDeniedError
        from opsgenie_provider.hooks.base import ConnectionSettingsError
        from opsgenie_provider.hooks.opsgenie_import import IMPORT_THREADS
        from opsgenie_provider.migration.undo import delete_incident
        from opsgenie_provider.operators.base import Progress

        with (
            self.ledger() as ledger,
            ThreadPoolExecutor(IMPORT_THREADS, thread_name_prefix="undo") as executor,
        ):
            importer = self.importer(ledger)
            entries = ledger.imported()
            progress = Progress(self.log, "incidents deleted", total=len(entries))

            def delete(entry: Entry) -> str | None:
                problem = delete_incident(importer, self.writer, ledger, entry)
                progress.advance(1)
                return problem

            try:
                problems = list(filter(None, executor.map(delete, entries)))
            except PermissionDeniedError as error:
                raise ConnectionSettingsError(
                    f"{error} To undo, the key of the connection {self.import_conn_id!r} needs Delete."
                ) from None
        if problems:
            raise MigrationFailedError(
                f"{len(problems)} of {len(entries)} incidents could not be deleted "
                f"({'; '.join(problems[:_LISTED])}). Run the undo again."
            )
        return {"deleted": len(entries)}
