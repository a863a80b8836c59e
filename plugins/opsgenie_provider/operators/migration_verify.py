"""Reads the imported incidents back and proves that nothing is missing, double or different."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.sdk import Context

from opsgenie_provider.api.windows import THREADS
from opsgenie_provider.migration.importer import SETTLE_SECONDS
from opsgenie_provider.migration.payloads import IMPORT_TAG
from opsgenie_provider.migration.search import tagged_incidents
from opsgenie_provider.migration.verification import Mismatch, keep_read_back, mismatches, wrong_months
from opsgenie_provider.operators.migration_base import MigrationFailedError, MigrationOperator
from opsgenie_provider.warehouse.connection import Connection

_LISTED = 20
_LONGEST_PAUSE = 10.0


class VerifyMigrationOperator(MigrationOperator):
    """Fills ``migration.parity`` and fails if anything of it does not match, or any incident failed.

    The search index may lag behind the import: it is read again until it agrees, for a while.

    :returns: how many incidents were read back.
    """

    settle_seconds = SETTLE_SECONDS

    def execute(self, context: Context) -> dict[str, Any]:
        end = time.monotonic() + self.settle_seconds
        pause = 0.5
        with (
            self.warehouse.lock(f"{self.account}:migration"),
            self.warehouse.connection() as connection,
            ThreadPoolExecutor(THREADS, thread_name_prefix="verify") as executor,
        ):
            while True:
                over = time.monotonic() >= end
                with connection.transaction():
                    count, wrong, months = self._read_back(connection, executor)
                if over or not self._may_be_lag(wrong):
                    break
                self.log.info("%d incidents are not yet as they should be: reading again.", len(wrong))
                time.sleep(min(pause, max(0.0, end - time.monotonic())))
                pause = min(2 * pause, _LONGEST_PAUSE)
        for month in months:
            self.log.error("%s", month)
        for mismatch in wrong:
            self.log.error("%s: %s", *mismatch)
        if wrong or months:
            listed = "; ".join(f"{one.pagerduty_id}: {one.what}" for one in wrong[:_LISTED])
            more = f"; and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
            raise MigrationFailedError(
                f"{len(wrong)} incidents and {len(months)} months do not match ({listed}{more}). A rerun "
                "tries what failed once more and finishes what was begun; migration.ledger and "
                "migration.parity have the details."
            )
        self.log.info("%d imported incidents read back: everything matches.", count)
        return {"incidents": count}

    def _read_back(
        self, connection: Connection, executor: ThreadPoolExecutor
    ) -> tuple[int, list[Mismatch], list[str]]:
        imported = keep_read_back(
            connection, self.account, tagged_incidents(self.writer, executor, IMPORT_TAG)
        )
        count = sum(map(len, imported.values()))
        return count, mismatches(connection, self.account, imported), wrong_months(connection, self.account)

    @staticmethod
    def _may_be_lag(wrong: list[Mismatch]) -> bool:
        """Whether time may mend something: what failed or is double stays so."""
        return any("does not list" in one.what or "it is open" in one.what for one in wrong)
