"""Reads the log entries and notes of PagerDuty's incidents in as few requests as it takes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any

import msgspec
from msgspec import Raw

from opsgenie_provider.api.concurrency import in_parallel
from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import UNREADABLE_ERRORS
from opsgenie_provider.api.pagerduty import PAGE_SIZE, PagerdutyClient
from opsgenie_provider.api.pagerduty_windows import PagerdutyWindows, ReadableWindow
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.warehouse.pagerduty import DueDetails

# Clocks differ: the first log entry of a captured incident is a second older than the incident.
_CLOCK_TOLERANCE = timedelta(minutes=5)
# What happens to an incident after its last change as its payload has it: a late note, say.
_LOG_TAIL = timedelta(days=1)
# Incidents that lasted for longer would stretch the window that is read for all the others, so where they
# are few, by their share, their logs are read one by one.
_LONG_INCIDENT = timedelta(days=3)
_LONG_INCIDENT_SHARE = 0.05
# For fewer incidents, the account's log costs more requests than each incident's.
_MIN_BULK_INCIDENTS = 4


@dataclass(frozen=True)
class NoteSampling:
    """How many of the incidents without a note in their log are asked for notes all the same.

    :param first_sample: at least so many at first, while nothing is known of the log.
    :param later_sample: at least so many afterwards.
    :param share: of these incidents.
    :param maximum: never more.
    """

    first_sample: int = 20
    later_sample: int = 5
    share: float = 0.1
    maximum: int = 60

    def size(self, incidents: int, *, is_first: bool) -> int:
        """How many to ask for, of so many without a note in their log."""
        at_least = self.first_sample if is_first else self.later_sample
        return min(self.maximum, max(at_least, int(incidents * self.share)))


class NotesInLog(Enum):
    """Whether the log has an entry for every note, as far as samples show: no document promises it."""

    UNKNOWN = auto()
    ALL = auto()
    SOME = auto()


class DetailsReader:
    """Reads the details of incidents, a group of neighbours at a time.

    :param executor: runs the requests.
    :param log: for what is found out on the way.
    """

    def __init__(self, client: PagerdutyClient, executor: ThreadPoolExecutor, log: Any) -> None:
        self._client = client
        self._executor = executor
        self._log = log
        self._sampling = NoteSampling()
        self._notes_in_log = NotesInLog.UNKNOWN

    def logs(self, group: Sequence[DueDetails]) -> tuple[dict[str, list[Raw]], Rejected]:
        """The log entries of incidents: the account's in bulk, or each incident's where that is cheaper.

        Also entries of the account that do not name their incident.
        """
        soon = group[-1].created_at + _LONG_INCIDENT
        together = [incident for incident in group if incident.changed_at <= soon]
        if len(together) < len(group) * (1 - _LONG_INCIDENT_SHARE):
            together = list(group)
        logs: dict[str, list[Raw]] = defaultdict(list)
        in_bulk: set[str] = set()
        unreadable: Rejected = []
        if len(together) >= _MIN_BULK_INCIDENTS:
            windows = PagerdutyWindows(self._client.log_entries, self._executor)
            parts = windows.parts(
                together[0].created_at - _CLOCK_TOLERANCE,
                max(incident.changed_at for incident in together) + _LOG_TAIL,
            )
            pages = sum(math.ceil(part.total / PAGE_SIZE) for part in parts)
            if pages <= len(together):
                in_bulk = {incident.incident_id for incident in together}
                unreadable = self._bulk(windows, parts, in_bulk, logs)
        # Every incident has an entry: one without any in bulk may be one that this key does not see.
        alone = [incident.incident_id for incident in group if incident.incident_id not in logs]
        for incident_id, entries in in_parallel(self._executor, self._log_of, alone):
            if entries is not None:
                logs[incident_id] = entries
        return logs, unreadable

    def to_ask_for_notes(self, group: Sequence[DueDetails], logs: Mapping[str, list[Raw]]) -> set[str]:
        """The incidents of a group that may have notes.

        Some of those without a note in their log are asked for notes. Where none has any, a request is saved
        for each of the others.
        """
        ids = [incident.incident_id for incident in group]
        quiet = [incident_id for incident_id in ids if not _mentions_note(logs[incident_id])]
        if self._notes_in_log is not NotesInLog.SOME:
            count = self._sampling.size(len(quiet), is_first=self._notes_in_log is NotesInLog.UNKNOWN)
            sample = quiet[:: max(1, len(quiet) // count)][:count]
            if any(notes for _, notes in in_parallel(self._executor, self._notes_of, sample)):
                self._log.info("The log does not list every note: the notes of each incident are requested.")
                self._notes_in_log = NotesInLog.SOME
            else:
                self._notes_in_log = NotesInLog.ALL
        return set(ids) - (set(quiet) if self._notes_in_log is NotesInLog.ALL else set())

    def notes(self, incident_ids: Iterable[str]) -> dict[str, list[Raw]]:
        """The notes of incidents, by id; without those that the key does not see."""
        answers = in_parallel(self._executor, self._notes_of, incident_ids)
        return {incident_id: notes for incident_id, notes in answers if notes is not None}

    def _bulk(
        self,
        windows: PagerdutyWindows,
        parts: Iterable[ReadableWindow],
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

    def _log_of(self, incident_id: str) -> tuple[str, list[Raw] | None]:
        """The log entries of an incident; None where the key does not see it."""
        try:
            return incident_id, self._client.incident_log_entries(incident_id)
        except UNREADABLE_ERRORS:
            return incident_id, None

    def _notes_of(self, incident_id: str) -> tuple[str, list[Raw] | None]:
        """The notes of an incident; None where the key does not see them."""
        try:
            return incident_id, self._client.notes(incident_id)
        except UNREADABLE_ERRORS:
            return incident_id, None


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


def _mentions_note(log: Iterable[Raw]) -> bool:
    """Whether a note was written; what cannot be read may be one."""
    entries = map(_entry, log)
    return any(entry is None or entry.type.startswith("annotate") for entry in entries)
