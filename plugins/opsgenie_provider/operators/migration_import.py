"""The import: first one incident, checked, then all others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from opsgenie_provider.operators.migration_base import MigrationFailedError, MigrationOperator

if TYPE_CHECKING:
    from opsgenie_provider.migration.importer import Importer
    from opsgenie_provider.migration.ledger import Entry, Ledger
    from opsgenie_provider.migration.lookup import Lookup

# One incident that OpsGenie refuses is no reason to stop; several in a row are.
_CANARIES = 3


class ImportOperator(MigrationOperator):
    """Base of the tasks that write to OpsGenie."""

    # None: as long as OpsGenie's search needs.
    settle_seconds: float | None = None

    def importer(self, ledger: Ledger) -> Importer:
        from opsgenie_provider.migration.importer import Importer
        from opsgenie_provider.migration.lookup import SETTLE_SECONDS, Lookup

        settle = SETTLE_SECONDS if self.settle_seconds is None else self.settle_seconds
        return Importer(self.writer, ledger, Lookup(self.writer, self.account, settle))


class ImportCanaryOperator(ImportOperator):
    """Imports one incident completely and checks it: as planned, found by its tag, and quiet.

    One that OpsGenie refused in an earlier run is no canary: it would stop every run.

    :raises MigrationFailedError: it is not as planned; nothing else was imported.
    """

    def perform(self, context: Context) -> dict[str, Any]:
        from opsgenie_provider.hooks.opsgenie_import import IMPORT_THREADS

        with (
            self.ledger() as ledger,
            ThreadPoolExecutor(IMPORT_THREADS, thread_name_prefix="import") as executor,
        ):
            importer = self.importer(ledger)
            importer.adopt(executor)
            planned = ledger.entries(("planned",))
            candidates = [entry for entry in planned if not entry.refused][:_CANARIES]
            for candidate in candidates:
                [entry] = importer.import_all([candidate], executor, lambda count: None)
                if entry.state == "done":
                    self._check(importer.lookup, entry)
                    self.log.info(
                        "Imported %s as OpsGenie's incident %s.",
                        entry.pagerduty_id,
                        entry.opsgenie_incident_id,
                    )
                    return {"canary": entry.pagerduty_id, "incident": entry.opsgenie_incident_id}
                self.log.warning("%s: %s.", entry.pagerduty_id, entry.state)
            if candidates:
                tried = {entry.pagerduty_id for entry in candidates}
                reasons = "; ".join(f"{id_}: {reason}" for id_, reason in ledger.failures() if id_ in tried)
                raise MigrationFailedError(
                    f"None of the first {len(candidates)} incidents could be imported "
                    f"({reasons or 'see the log'}). The others were not tried."
                )
        self.log.info(
            "Nothing new is planned, so there is no canary%s.",
            f"; {len(planned)} incidents that OpsGenie refused before are tried again" if planned else "",
        )
        return {"canary": None}

    def _check(self, lookup: Lookup, entry: Entry) -> None:
        import msgspec

        from opsgenie_provider.migration.payloads import differences

        found = msgspec.json.decode(lookup.read(entry.opsgenie_incident_id or ""))
        problems = differences(found, entry.payload)
        if lookup.find_new(entry.pagerduty_id) != entry.opsgenie_incident_id:
            problems.append("a search by its tag does not find it, so duplicates could not be detected")
        if problems:
            raise MigrationFailedError(
                f"The first incident, {entry.pagerduty_id}, is not in OpsGenie as planned: "
                f"{'; '.join(problems)}. Nothing else was imported. Inspect incident "
                f"{entry.opsgenie_incident_id} in OpsGenie, fix the cause, then run the DAG again."
            )


class ImportIncidentsOperator(ImportOperator):
    """Imports all that is planned and finishes all that was begun, several at a time.

    What fails for one incident is in its ledger row; the verification fails the run for it.

    :returns: how many rows of the ledger each state has.
    """

    def perform(self, context: Context) -> dict[str, int]:
        from opsgenie_provider.hooks.opsgenie_import import IMPORT_THREADS
        from opsgenie_provider.migration.ledger import UNFINISHED
        from opsgenie_provider.progress import Progress

        with (
            self.ledger() as ledger,
            ThreadPoolExecutor(IMPORT_THREADS, thread_name_prefix="import") as executor,
        ):
            importer = self.importer(ledger)
            ledger.revive_failed()
            importer.adopt(executor)
            entries = ledger.entries(("planned", *UNFINISHED))
            progress = Progress(self.log, "incidents imported", total=len(entries))
            importer.import_all(entries, executor, progress.advance)
            counts = dict(ledger.counts())
            for pagerduty_id, reason in ledger.failures():
                self.log.warning("%s failed: %s", pagerduty_id, reason)
        requests = self.writer.transport.requests_sent
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        self.log.info("%d requests. The ledger's rows: %s.", requests, states or "none")
        return counts
