"""Reads the imported incidents back and proves that nothing is missing, double or different."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.sdk import Context

from opsgenie_provider.operators.migration_base import MigrationFailedError, MigrationOperator

_LISTED = 20


class VerifyMigrationOperator(MigrationOperator):
    """Fills ``migration.parity`` and fails if anything of it does not match, or any incident failed.

    :returns: how many incidents were read back.
    """

    def perform(self, context: Context) -> dict[str, Any]:
        from opsgenie_provider.api.concurrency import THREADS
        from opsgenie_provider.migration.verification import verify

        with (
            self.ledger(),
            self.warehouse.connection() as connection,
            ThreadPoolExecutor(THREADS, thread_name_prefix="verify") as executor,
        ):
            count, mismatches, months = verify(connection, self.account, self.writer, executor)
        for month in months:
            self.log.error("%s", month)
        for mismatch in mismatches:
            self.log.error("%s: %s", mismatch.pagerduty_id, mismatch.what)
        if mismatches or months:
            shown = [f"{mismatch.pagerduty_id}: {mismatch.what}" for mismatch in mismatches[:_LISTED]]
            more = f"; and {len(mismatches) - _LISTED} more" if len(mismatches) > _LISTED else ""
            raise MigrationFailedError(
                f"{len(mismatches)} incidents and {len(months)} months do not match "
                f"({'; '.join(shown)}{more}). A rerun tries what failed again and finishes what was begun; "
                "migration.ledger and migration.parity have the details."
            )
        self.log.info("%d imported incidents read back: everything matches.", count)
        return {"incidents": count}
