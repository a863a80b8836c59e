"""Incidents into staging: windows of them, and what changed before the windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Context
from msgspec import Raw

from opsgenie_provider import absence
from opsgenie_provider.api.changes import ChangeReader
from opsgenie_provider.api.concurrency import THREADS, in_parallel
from opsgenie_provider.api.errors import NotFoundError, PermissionDeniedError
from opsgenie_provider.api.opsgenie_windows import Window, WindowReader
from opsgenie_provider.operators.base import OpsgenieToPostgresOperator, Outcome, Progress
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.incidents import IncidentBatch
from opsgenie_provider.warehouse.state import keep_rejected, record_success


class OpsgenieIncidentsToPostgresOperator(OpsgenieToPostgresOperator):
    """Reads the incidents created in [since, until), with their services and responders.

    Each 20,000 or fewer are one transaction together with the watermark. Incidents that are stored,
    lie in the window and are gone at the source are marked deleted, only after a complete read with a
    key that sees the whole account.

    :param since: ISO 8601; the window's start.
    :param until: ISO 8601; the window's end.
    :param changed_from: ISO 8601; also read, of the incidents created from here up to ``since``, ...
    :param changed_since: ISO 8601; ... those that are not closed, or changed since then.
    :param part_of: of how many windows of a full read this is one; None: it is no full read. A window
        that is neither part of one nor read with ``changed_since`` moves no watermark: nobody has read
        what changed before it.
    """

    template_fields: Sequence[str] = (
        *OpsgenieToPostgresOperator.template_fields,
        "since",
        "until",
        "changed_from",
        "changed_since",
        "part_of",
    )
    stream = "opsgenie_incidents"

    def __init__(
        self,
        *,
        since: str,
        until: str,
        changed_from: str | None = None,
        changed_since: str | None = None,
        part_of: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.since = since
        self.until = until
        self.changed_from = changed_from
        self.changed_since = changed_since
        self.part_of = part_of

    def execute(self, context: Context) -> Outcome:
        window = Window.between(datetime.fromisoformat(self.since), datetime.fromisoformat(self.until))
        done: Counter[str] = Counter(incidents=0, rows_changed=0, rejected=0, deleted=0, incomplete=0)
        with (
            self.turn("incidents"),
            self.warehouse.connection(autocommit=True) as connection,
            ThreadPoolExecutor(THREADS, thread_name_prefix="opsgenie") as executor,
        ):
            # First, so that the watermark stands for both.
            if self.changed_from and self.changed_since:
                with connection.transaction(), self._batch(connection) as batch:
                    self._read_changes(batch, executor)
                    done.update(self._write(connection, batch))
            reader = WindowReader(self.client, executor)
            parts = reader.parts(window)
            progress = Progress(self.log, "incidents", total=sum(part.first.total or 0 for part in parts))
            for part, pages in reader.pages(parts):
                with connection.transaction(), self._batch(connection) as batch:
                    complete = reader.read(part, progress.watch(pages), batch)
                    deleted = 0
                    if absence.is_fact(reach=self.access["reach"], complete=complete):
                        deleted = self._mark_deleted(batch, part.window, executor)
                    done.update(self._write(connection, batch), deleted=deleted, incomplete=not complete)
                    record_success(
                        connection,
                        self.account,
                        self.stream,
                        rows_changed=done["rows_changed"],
                        # What may lack something is read again by the next run.
                        read=(_instant(part.window.since), _instant(part.window.until))
                        if complete and (self.part_of or self.changed_since)
                        else None,
                    )
        return self.outcome(**done, part_of=None if done["incomplete"] else self.part_of)

    def _batch(self, connection: Connection) -> IncidentBatch:
        return IncidentBatch(connection, self.account, self.access["reach"])

    def _write(self, connection: Connection, batch: IncidentBatch) -> dict[str, int]:
        changed = batch.merge()
        keep_rejected(connection, self.account, self.stream, batch.rejected.items())
        return {"incidents": len(batch.ids), "rows_changed": changed, "rejected": len(batch.rejected)}

    def _read_changes(self, batch: IncidentBatch, executor: ThreadPoolExecutor) -> None:
        """What is not closed, or changed lately, among the incidents before the window."""
        before = datetime.fromisoformat(self.since)
        reader = ChangeReader(
            self.client,
            executor,
            among=Window.between(datetime.fromisoformat(str(self.changed_from)), before),
            since=datetime.fromisoformat(str(self.changed_since)),
        )
        for page in reader.pages():
            batch.add(page)
        for _, found in self._look_up(batch.left_status(reader.listed, before=before), executor):
            batch.add(found or ())

    def _mark_deleted(self, batch: IncidentBatch, window: Window, executor: ThreadPoolExecutor) -> int:
        """Mark what is missing from a complete read, once the service confirms that it is gone."""
        missing = batch.missing(_instant(window.since), _instant(window.until))
        gone = []
        for incident_id, found in self._look_up(missing, executor):
            if found is None:
                gone.append(incident_id)
            else:
                batch.add(found)
        return batch.mark_deleted(gone)

    def _look_up(
        self, incident_ids: Iterable[str], executor: ThreadPoolExecutor
    ) -> Iterator[tuple[str, list[Raw] | None]]:
        """Each id with the incident in a list: an empty one for a 403, None for a 404."""

        def look_up(incident_id: str) -> tuple[str, list[Raw] | None]:
            try:
                return incident_id, [self.client.incident(incident_id)]
            except NotFoundError:
                return incident_id, None
            except PermissionDeniedError:
                return incident_id, []

        return in_parallel(executor, look_up, incident_ids)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
