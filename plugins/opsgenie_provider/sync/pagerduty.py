"""Reads a PagerDuty account's history into staging: incidents, log entries, notes, catalogue; no task."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any

from msgspec import Raw

from opsgenie_provider import absence
from opsgenie_provider.api.concurrency import THREADS
from opsgenie_provider.api.errors import UNREADABLE_ERRORS, PlanError
from opsgenie_provider.api.listing import Listing
from opsgenie_provider.api.pagerduty import PagerdutyClient
from opsgenie_provider.api.pagerduty_windows import MAX_WINDOW, PagerdutyWindows
from opsgenie_provider.planning import parse_instant
from opsgenie_provider.progress import Progress
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.pagerduty import pagerduty_incident_row, service_rows, team_rows
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.rows.tables import PAGERDUTY_SERVICES, PAGERDUTY_TEAMS
from opsgenie_provider.sync.pagerduty_details import DetailsReader
from opsgenie_provider.warehouse.connection import Connection, Warehouse
from opsgenie_provider.warehouse.pagerduty import (
    Details,
    DueDetails,
    derive_times,
    due_details,
    merge_details,
    merge_pagerduty_incidents,
    merge_priorities,
)
from opsgenie_provider.warehouse.snapshots import Snapshot
from opsgenie_provider.warehouse.state import keep_rejected, record_success

log = logging.getLogger(__name__)

# Where an account's history begins if nothing later is known: PagerDuty is no older.
_PAGERDUTY_EPOCH = datetime(2009, 1, 1, tzinfo=UTC)
_BATCH = 500
# A key may see some of the teams only, and no request says which: what it does not list stays.
_REACH = "what the key sees"


class PagerdutySync:
    """Reads the incidents created in [since, until), then the details of those that are new or changed.

    Each 10,000 or fewer incidents, and each 500 incidents' details, are one transaction. The list is
    read whole on every run, for an incident may change at any age; it takes a request per 100.

    :param account: the id of PagerDuty's connection.
    :param since: ISO 8601; None: from the account's first incident on.
    :param until: ISO 8601; None: up to now.
    :param with_notes: read notes, too.
    :param log: for progress, and for what the key does not see.
    """

    stream = "pagerduty_incidents"

    def __init__(
        self,
        client: PagerdutyClient,
        warehouse: Warehouse,
        *,
        account: str,
        since: str | None = None,
        until: str | None = None,
        with_notes: bool = True,
        log: Any = log,
    ) -> None:
        self.client = client
        self.warehouse = warehouse
        self.account = account
        self.since = since
        self.until = until
        self.with_notes = with_notes
        self.log = log
        self._rejected: set[int] = set()

    def read(self) -> dict[str, int]:
        """Bring staging up to date; returns how many incidents, changed rows and rejected payloads it met."""
        done: Counter[str] = Counter(incidents=0, rows_changed=0, rejected=0)
        with (
            self.warehouse.lock(f"{self.account}:pagerduty"),
            self.warehouse.connection() as connection,
            ThreadPoolExecutor(THREADS, thread_name_prefix="pagerduty") as executor,
        ):
            done["rejected"] += self._catalogue(connection)
            span = self._span()
            if span:
                done.update(self._incidents(connection, executor, *span))
                done.update(self._details(connection, executor, *span))
            with connection.transaction():
                done["rows_changed"] += derive_times(connection, self.account)
                record_success(
                    connection, self.account, self.stream, rows_changed=done["rows_changed"], read=span
                )
        return dict(done)

    def _span(self) -> tuple[datetime, datetime] | None:
        """What to read; None where the account has no incidents."""
        # The service's clock may be ahead of ours.
        latest = datetime.now(UTC) + timedelta(hours=1)
        until = min(parse_instant(self.until, "until") or latest, latest)
        since = parse_instant(self.since, "since")
        if since is None:
            first = self.client.first_incident()
            if not first:
                return None
            try:
                since = pagerduty_incident_row(first[0], account=self.account).created_at
            except UnreadablePayloadError:
                since = _PAGERDUTY_EPOCH
        since = max(since, _PAGERDUTY_EPOCH)
        return (since, until) if since < until else None

    def _catalogue(self, connection: Connection) -> int:
        """Services, teams and priorities: whole lists; one that the plan or key lacks is left out.

        Services and teams that are no longer listed stay: nothing says whether the key sees all of them.

        :returns: how many payloads could not be read.
        """
        count = 0
        for name, read, table, rows in (
            ("services", self.client.services, PAGERDUTY_SERVICES, service_rows),
            ("teams", self.client.teams, PAGERDUTY_TEAMS, team_rows),
        ):
            listed = self._listed(name, read)
            if listed is None:
                continue
            with connection.transaction():
                snapshot = Snapshot(connection, self.account, [(table, partial(rows, account=self.account))])
                snapshot.add(listed.items)
                snapshot.merge(may_prune=partial(absence.is_fact, reach=_REACH, complete=listed.complete))
                count += self._keep_rejected(connection, f"pagerduty_{name}", snapshot.rejected)
        priorities = self._listed("priorities", self.client.priorities)
        if priorities is not None:
            with connection.transaction():
                # Priorities belong to the account, and not to its teams.
                gone = absence.is_fact(reach=absence.WHOLE_ACCOUNT, complete=priorities.complete)
                rejected = merge_priorities(connection, self.account, priorities.items, prune=gone)
                count += self._keep_rejected(connection, "pagerduty_priorities", rejected)
        return count

    def _keep_rejected(self, connection: Connection, stream: str, rejected: Rejected) -> int:
        """Keep what could not be read; returns how much is new to this run: windows that touch share some."""
        keep_rejected(connection, self.account, stream, rejected)
        new = {hash((stream, payload)) for payload, _ in rejected} - self._rejected
        self._rejected |= new
        return len(new)

    def _listed(self, name: str, read: Callable[[], Listing]) -> Listing | None:
        """A whole list; None, and logged, where the plan or the key lacks it."""
        try:
            return read()
        except (*UNREADABLE_ERRORS, PlanError) as error:
            self.log.info("%s: no %s. %s", self.account, name, error)
            return None

    def _incidents(
        self, connection: Connection, executor: ThreadPoolExecutor, since: datetime, until: datetime
    ) -> dict[str, int]:
        done: Counter[str] = Counter()
        windows = PagerdutyWindows(self.client.incidents, executor)
        parts = windows.parts(since, until)
        progress = Progress(self.log, "incidents", total=sum(part.total for part in parts))
        for part in parts:
            items = windows.items(part)
            with connection.transaction():
                found, changed, rejected = merge_pagerduty_incidents(
                    connection, self.account, items, since, until
                )
                new = self._keep_rejected(connection, self.stream, rejected)
            done.update(incidents=found, rows_changed=changed, rejected=new)
            progress.advance(len(items))
        return done

    # --- details

    def _seen(self, due: Sequence[DueDetails], seen: Container[str]) -> list[DueDetails]:
        found = [incident for incident in due if incident.incident_id in seen]
        if len(found) < len(due):
            self.log.warning(
                "%s: this key may not read the details of %d incidents (403 or 404). What is stored of them "
                "is kept.",
                self.account,
                len(due) - len(found),
            )
        return found

    def _details(
        self, connection: Connection, executor: ThreadPoolExecutor, since: datetime, until: datetime
    ) -> dict[str, int]:
        due = due_details(connection, self.account, since, until, with_notes=self.with_notes)
        connection.commit()
        self.log.info("%d incidents are new or changed: reading their log entries.", len(due))
        done: Counter[str] = Counter()
        reader = DetailsReader(self.client, executor, self.log)
        progress = Progress(self.log, "incidents' details", total=len(due))
        for _, grouped in groupby(due, lambda incident: (incident.created_at - since) // MAX_WINDOW):
            group = list(grouped)
            logs, unreadable = reader.logs(group)
            # What the key does not see stays as it is stored, and due.
            group = self._seen(group, logs)
            with connection.transaction():
                done["rejected"] += self._keep_rejected(connection, "pagerduty_details", unreadable)
            asked = reader.to_ask_for_notes(group, logs) if self.with_notes else set[str]()
            for start in range(0, len(group), _BATCH):
                batch = group[start : start + _BATCH]
                changed, rejected = self._write(connection, batch, logs, asked, reader)
                done.update(rows_changed=changed, rejected=rejected)
                progress.advance(len(batch))
        return done

    def _write(
        self,
        connection: Connection,
        batch: Sequence[DueDetails],
        logs: dict[str, list[Raw]],
        asked: set[str],
        reader: DetailsReader,
    ) -> tuple[int, int]:
        notes: dict[str, list[Raw]] = {}
        if self.with_notes:
            ids = [incident.incident_id for incident in batch]
            notes = reader.notes(id_ for id_ in ids if id_ in asked)
            batch = self._seen(batch, notes.keys() | (logs.keys() - asked))
        details = {
            incident.incident_id: Details(
                logs[incident.incident_id], notes.get(incident.incident_id, []) if self.with_notes else None
            )
            for incident in batch
        }
        with connection.transaction():
            changed, rejected = merge_details(connection, self.account, batch, details)
            new = self._keep_rejected(connection, "pagerduty_details", rejected)
        return changed, new
