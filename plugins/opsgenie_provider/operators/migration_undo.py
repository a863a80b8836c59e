"""Takes a migration back: deletes what the ledger created in OpsGenie, and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from airflow.sdk import Context

from opsgenie_provider.api.errors import (
    NotFoundError,
    PermissionDeniedError,
    UnknownOutcomeError,
)
from opsgenie_provider.hooks.base import ConnectionSettingsError
from opsgenie_provider.hooks.opsgenie_import import IMPORT_THREADS
from opsgenie_provider.migration.importer import Importer
from opsgenie_provider.migration.ledger import Entry, Ledger
from opsgenie_provider.operators.base import Progress
from opsgenie_provider.operators.migration_base import MigrationFailedError, MigrationOperator
from opsgenie_provider.operators.migration_import import ImportOperator

_TRIES = 5


class PlanUndoOperator(MigrationOperator):
    """Says what an undo would delete.

    :returns: the summary, in Markdown.
    """

    def execute(self, context: Context) -> str:
        with self.ledger() as ledger:
            imported = ledger.imported()
        known = sum(entry.opsgenie_incident_id is not None for entry in imported)
        text = (
            f"# Undo of the migration from {self.account}\n\n**{known} incidents** that the ledger created "
            f"will be deleted from OpsGenie, and {len(imported) - known} more if they turn out to be "
            "there. Nothing else is touched; PagerDuty keeps its history, the ledger its rows, as skipped."
        )
        self.log.info("%s", text)
        return text


class UndoMigrationOperator(ImportOperator):
    """Deletes exactly the incidents whose ids the ledger has; may be repeated at any point.

    What may or may not have been created is looked up by its tag first.

    :returns: how many were deleted.
    """

    def execute(self, context: Context) -> dict[str, int]:
        with (
            self.ledger() as ledger,
            ThreadPoolExecutor(IMPORT_THREADS, thread_name_prefix="undo") as executor,
        ):
            importer = self.importer(ledger)
            entries = ledger.imported()
            progress = Progress(self.log, "incidents deleted", total=len(entries))

            def undo(entry: Entry) -> str | None:
                problem = self._undo(importer, ledger, entry)
                progress.advance(1)
                return problem

            problems = list(filter(None, executor.map(undo, entries)))
        if problems:
            raise MigrationFailedError(
                f"{len(problems)} of {len(entries)} incidents could not be deleted "
                f"({'; '.join(problems[:20])}). Run the undo again."
            )
        return {"deleted": len(entries)}

    def _undo(self, importer: Importer, ledger: Ledger, entry: Entry) -> str | None:
        """Delete an incident; returns why it could not be."""
        if entry.opsgenie_incident_id is None:
            entry = importer.decide(entry)
        incident_id = entry.opsgenie_incident_id
        if incident_id is None:
            ledger.undone(entry)
            return None
        why = "the outcome could not be found out"
        for _ in range(_TRIES):
            try:
                status = self.writer.outcome(self.writer.delete(incident_id))
            except UnknownOutcomeError as error:
                # Done twice, it is done once.
                self.log.info("%s Once more.", error)
                continue
            except NotFoundError:
                status = None
            except PermissionDeniedError as error:
                raise ConnectionSettingsError(
                    f"{error} To undo, the key of the connection {self.import_conn_id!r} needs Delete."
                ) from None
            if (status and status.isSuccess) or not self._exists(incident_id):
                ledger.undone(entry)
                return None
            why = status.status if status else why
        return f"{entry.pagerduty_id} ({incident_id}): {why}"

    def _exists(self, incident_id: str) -> bool:
        try:
            self.writer.incident(incident_id)
        except NotFoundError:
            return False
        return True
