"""Reads a PagerDuty account's history into staging: incidents, log entries, notes, catalogue; no task."""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby, islice
from typing import Any

import msgspec
from msgspec import Raw

from opsgenie_provider import absence
from opsgenie_provider.api.concurrency import THREADS, in_parallel
from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import UNREADABLE_ERRORS, PlanError
from opsgenie_provider.api.listing import Listing
from opsgenie_provider.api.pagerduty import PAGE_SIZE, PagerdutyClient
from opsgenie_provider.api.pagerduty_windows import MAX_WINDOW, PagerdutyWindows, Part
from opsgenie_provider.planning import parse_instant
from opsgenie_provider.progress import Progress
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.pagerduty import pagerduty_incident_row, service_rows, team_rows
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.rows.tables import PAGERDUTY_SERVICES, PAGERDUTY_TEAMS
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

# Clocks differ: the first log entry of a captured incident is a second older than the incident.
_SKEW = timedelta(minutes=5)
# What happens to an incident after its last change as its payload has it: a late note, say.
_AFTERMATH = timedelta(days=1)
# A few that went on for long would stretch the window that is read for all the others.
_LONG, _LONG_LASTING = timedelta(days=3), 0.05
_FEW = 3
# Where an account's history begins if nothing later is known: PagerDuty is no older.
_FOUNDED = datetime(2009, 1, 1, tzinfo=UTC)
_BATCH = 500
# A key may see some of the teams only, and no request says which: what it does not list stays.
_REACH = "what the key sees"
# How many of the incidents without a note in their log are asked for notes all the same.
_ASKED_FIRST, _ASKED_LATER, _ASKED_SHARE, _ASKED_AT_MOST = 20, 5, 0.1, 60


class PagerdutyReader:
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
                since = _FOUNDED
        since = max(since, _FOUNDED)
        return (since, until) if since < until else None

    def _catalogue(self, connection: Connection) -> int:
        """Services, teams and priorities: whole lists; one that the plan or key lacks is left out.

        Services and teams that are no longer listed stay: nothing says whether the key sees all of them.

        :returns: how many payloads could not be read.
        """
        count = 0
        for name, table, rows in (
            ("services", PAGERDUTY_SERVICES, service_rows),
            ("teams", PAGERDUTY_TEAMS, team_rows),
        ):
            listed = self._listed(name)
            if listed is None:
                continue
            with connection.transaction():
                snapshot = Snapshot(connection, self.account, [(table, partial(rows, account=self.account))])
                snapshot.add(listed.items)
                snapshot.merge(may_prune=partial(absence.is_fact, reach=_REACH, complete=listed.complete))
                count += self._keep_rejected(connection, f"pagerduty_{name}", snapshot.rejected)
        priorities = self._listed("priorities")
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

    def _listed(self, name: str) -> Listing | None:
        try:
            listing: Listing = getattr(self.client, name)()
            return listing
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
                aside = self._keep_rejected(connection, self.stream, rejected)
            done.update(incidents=found, rows_changed=changed, rejected=aside)
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
        trusted: bool | None = None
        progress = Progress(self.log, "incidents' details", total=len(due))
        for _, grouped in groupby(due, lambda one: (one.created_at - since) // MAX_WINDOW):
            group = list(grouped)
            logs, unreadable = self._logs(group, executor)
            # What the key does not see stays as it is stored, and due.
            group = self._seen(group, logs)
            with connection.transaction():
                done["rejected"] += self._keep_rejected(connection, "pagerduty_details", unreadable)
            noted = {one.incident_id for one in group if _tells_of_a_note(logs[one.incident_id])}
            if self.with_notes and trusted is not False:
                at_least = _ASKED_FIRST if trusted is None else _ASKED_LATER
                trusted = self._log_tells_of_notes(group, noted, at_least, executor)
            asked = noted if trusted else {one.incident_id for one in group}
            for batch in _batches(group, _BATCH):
                changed, rejected = self._write(connection, batch, logs, asked, executor)
                done.update(rows_changed=changed, rejected=rejected)
                progress.advance(len(batch))
        return done

    def _write(
        self,
        connection: Connection,
        batch: Sequence[DueDetails],
        logs: dict[str, list[Raw]],
        asked: set[str],
        executor: ThreadPoolExecutor,
    ) -> tuple[int, int]:
        notes: dict[str, list[Raw]] = {}
        if self.with_notes:
            ids = [one.incident_id for one in batch if one.incident_id in asked]
            answers = dict(in_parallel(executor, self._notes, ids))
            notes = {id_: found for id_, found in answers.items() if found is not None}
            batch = self._seen(batch, notes.keys() | (logs.keys() - asked))
        details = {
            one.incident_id: Details(
                logs[one.incident_id], notes.get(one.incident_id, []) if self.with_notes else None
            )
            for one in batch
        }
        with connection.transaction():
            changed, rejected = merge_details(connection, self.account, batch, details)
            aside = self._keep_rejected(connection, "pagerduty_details", rejected)
        return changed, aside

    def _logs(
        self, group: Sequence[DueDetails], executor: ThreadPoolExecutor
    ) -> tuple[dict[str, list[Raw]], Rejected]:
        """The log entries of incidents: the account's in bulk, or each incident's where that is cheaper.

        Also entries of the account that do not name their incident.
        """
        soon = group[-1].created_at + _LONG
        together = [one for one in group if one.changed_at <= soon]
        if len(together) < len(group) * (1 - _LONG_LASTING):
            together = list(group)
        logs: dict[str, list[Raw]] = defaultdict(list)
        in_bulk: set[str] = set()
        unreadable: Rejected = []
        if len(together) > _FEW:
            windows = PagerdutyWindows(self.client.log_entries, executor)
            parts = windows.parts(
                together[0].created_at - _SKEW, max(one.changed_at for one in together) + _AFTERMATH
            )
            pages = sum(math.ceil(part.total / PAGE_SIZE) for part in parts)
            if pages <= len(together):
                in_bulk = {one.incident_id for one in together}
                unreadable = self._bulk(windows, parts, in_bulk, logs)
        # Every incident has an entry: one without any in bulk may be one that this key does not see.
        alone = [one.incident_id for one in group if one.incident_id not in logs]
        for incident_id, entries in in_parallel(executor, self._log, alone):
            if entries is not None:
                logs[incident_id] = entries
        return logs, unreadable

    def _bulk(
        self,
        windows: PagerdutyWindows,
        parts: Iterable[Part],
        wanted: set[str],
        logs: dict[str, list[Raw]],
    ) -> Rejected:
        unreadable: Rejected = []
        for part in parts:
            for raw in windows.items(part):
                entry = _entry(raw)
                if entry is None:
                    unreadable.append((bytes(raw), "incident: a log entry must name one"))
                elif entry.incident and entry.incident.id in wanted:
                    logs[entry.incident.id].append(raw)
        return unreadable

    def _log(self, incident_id: str) -> tuple[str, list[Raw] | None]:
        """The log entries of an incident; None where the key does not see it."""
        try:
            return incident_id, self.client.incident_log_entries(incident_id)
        except UNREADABLE_ERRORS:
            return incident_id, None

    def _notes(self, incident_id: str) -> tuple[str, list[Raw] | None]:
        """The notes of an incident; None where the key does not see them."""
        try:
            return incident_id, self.client.notes(incident_id)
        except UNREADABLE_ERRORS:
            return incident_id, None

    def _log_tells_of_notes(
        self, group: Sequence[DueDetails], noted: set[str], at_least: int, executor: ThreadPoolExecutor
    ) -> bool:
        """Whether an incident without a note in its log has none: tried on some of them.

        It saves a request for most incidents, but no document promises it.
        """
        quiet = [one.incident_id for one in group if one.incident_id not in noted]
        count = min(_ASKED_AT_MOST, max(at_least, int(len(quiet) * _ASKED_SHARE)))
        some = quiet[:: max(1, len(quiet) // count)][:count]
        if any(notes for _, notes in in_parallel(executor, self._notes, some)):
            self.log.info("The log does not list every note: the notes of each incident are requested.")
            return False
        return True


class _Reference(msgspec.Struct):
    id: str


class _Entry(msgspec.Struct):
    type: str = ""
    incident: _Reference | None = None


def _entry(raw: Raw) -> _Entry | None:
    """What a log entry is about; None where it cannot be read."""
    try:
        return decode_into(raw, _Entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _tells_of_a_note(log: Iterable[Raw]) -> bool:
    """Whether a note was written; what cannot be read may be one."""
    entries = map(_entry, log)
    return any(entry is None or entry.type.startswith("annotate") for entry in entries)


def _batches(items: Sequence[DueDetails], size: int) -> Iterator[list[DueDetails]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
