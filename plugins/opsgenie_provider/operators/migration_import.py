"""The import: first one incident, checked, then all others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from airflow.sdk import Context

from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.hooks.opsgenie_import import IMPORT_THREADS
from opsgenie_provider.migration.importer import SETTLE_SECONDS, Importer
from opsgenie_provider.migration.ledger import UNFINISHED, Entry, Ledger
from opsgenie_provider.migration.payloads import IMPORT_TAG, differences
from opsgenie_provider.migration.search import tagged_incidents
from opsgenie_provider.operators.base import Progress
from opsgenie_provider.operators.migration_base import MigrationFailedError, MigrationOperator

# An incident that OpsGenie refuses for its own sake is no reason to stop; several in a row are.
_CANARIES = 3


class _Adoptable(msgspec.Struct):
    id: str
    extraProperties: dict[str, Any] | None = None


class ImportOperator(MigrationOperator):
    """Base of the tasks that write to OpsGenie."""

    settle_seconds = SETTLE_SECONDS

    def importer(self, ledger: Ledger) -> Importer:
        return Importer(self.writer, ledger, self.account, settle_seconds=self.settle_seconds)

    def adopt(self, ledger: Ledger, executor: ThreadPoolExecutor) -> None:
        """Book what an earlier migration imported and this ledger does not know of: a lost warehouse, say."""
        planned = {entry.pagerduty_id: entry for entry in ledger.entries(("planned",))}
        if not planned:
            return
        for raw in tagged_incidents(self.writer, executor, IMPORT_TAG):
            incident = decode_into(raw, _Adoptable)
            details = incident.extraProperties or {}
            entry = planned.pop(str(details.get("pagerduty_id")), None)
            if entry is not None and details.get("pagerduty_account") == self.account:
                self.log.warning("%s is in OpsGenie already: taken over.", entry.pagerduty_id)
                ledger.created(entry, incident.id, adopted=True)


class ImportCanaryOperator(ImportOperator):
    """Imports one incident to its end and looks at it: as it was meant to be, found by its tag, and quiet.

    :raises MigrationFailedError: it is not; nothing else was imported.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        with (
            self.ledger() as ledger,
            ThreadPoolExecutor(IMPORT_THREADS, thread_name_prefix="import") as executor,
        ):
            self.adopt(ledger, executor)
            waiting = ledger.entries(("planned",))[:_CANARIES]
            importer = self.importer(ledger)
            for entry in waiting:
                [entry] = importer.carry_all([entry], executor, lambda count: None)
                if entry.state == "done":
                    self._check(importer, entry)
                    self.log.info("%s is OpsGenie's %s.", entry.pagerduty_id, entry.opsgenie_incident_id)
                    return {"canary": entry.pagerduty_id, "incident": entry.opsgenie_incident_id}
                self.log.warning("%s: %s.", entry.pagerduty_id, entry.state)
            if waiting:
                reasons = "; ".join(f"{id_}: {why}" for id_, why in ledger.failures()) or "see the log"
                raise MigrationFailedError(
                    f"None of the first {len(waiting)} incidents could be imported ({reasons}). The others "
                    "were not tried."
                )
        self.log.info("Nothing new is planned: no canary.")
        return {"canary": None}

    def _check(self, importer: Importer, entry: Entry) -> None:
        found = msgspec.json.decode(importer.read_raw(entry.opsgenie_incident_id or ""))
        problems = differences(found, entry.payload)
        if importer.find_settled(entry) != entry.opsgenie_incident_id:
            problems.append("a search by its tag does not find it, so doubles could not be told")
        if problems:
            raise MigrationFailedError(
                f"The first incident, {entry.pagerduty_id}, is not in OpsGenie as planned: "
                f"{'; '.join(problems)}. Nothing else was imported. Look at {entry.opsgenie_incident_id}."
            )


class ImportIncidentsOperator(ImportOperator):
    """Imports all that is planned and finishes all that was begun, several at a time.

    What fails for one incident is in its ledger row; the verification fails the run for it.

    :returns: how many rows of the ledger each state has.
    """

    def execute(self, context: Context) -> dict[str, int]:
        with (
            self.ledger() as ledger,
            ThreadPoolExecutor(IMPORT_THREADS, thread_name_prefix="import") as executor,
        ):
            ledger.revive_failed()
            self.adopt(ledger, executor)
            entries = ledger.entries(("planned", *UNFINISHED))
            progress = Progress(self.log, "incidents imported", total=len(entries))
            self.importer(ledger).carry_all(entries, executor, progress.advance)
            counts = dict(ledger.counts())
            for pagerduty_id, reason in ledger.failures():
                self.log.warning("%s failed: %s", pagerduty_id, reason)
        requests = self.writer.transport.requests_sent
        self.log.info("%d requests; the ledger: %s.", requests, counts)
        return counts
