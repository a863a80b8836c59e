"""The incidents of an account, and every change that people, services and timeouts make."""

from __future__ import annotations

import random
import string
import threading
from bisect import bisect_left, bisect_right, insort
from typing import Any

from sandbox.instants import SECOND, Clock, Nanos, When, to_nanos
from sandbox.pagerduty.model import STATUSES, Agent, Alert, Incident, LogEntry, Note, Service

_LETTERS = string.ascii_uppercase + string.digits


def _created(incident: Incident) -> tuple[Nanos, int]:
    return incident.created_at, incident.number


class Incidents:
    """All methods may be called from any thread while requests are served.

    `by` is a user's id, or None for the service itself; `at` defaults to now.
    """

    def __init__(self, clock: Clock, rng: random.Random, services: dict[str, Service]) -> None:
        self.clock = clock
        self._rng = rng
        self._services = services
        self._by_id: dict[str, Incident] = {}
        self._by_number: dict[int, Incident] = {}
        self._order: list[Incident] = []
        self._entries: list[LogEntry] | None = None
        self._last_number = 0
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._by_id)

    def new_id(self, prefix: str = "Q", length: int = 14) -> str:
        """Ids are unique per type only (06-Types); incidents have 14 characters, older types 7."""
        return prefix + "".join(self._rng.choices(_LETTERS, k=length - len(prefix)))

    def all(self) -> list[Incident]:
        """Every incident, oldest first."""
        with self._lock:
            return list(self._order)

    def get(self, identifier: str) -> Incident | None:
        """By id or by number: GET /incidents/{id} takes either."""
        found = self._by_id.get(identifier)
        return found or (self._by_number.get(int(identifier)) if identifier.isdecimal() else None)

    def between(self, low: Nanos, high: Nanos, *, closed: bool = False) -> list[Incident]:
        """The incidents created from `low` to `high`, exclusive unless `closed`; oldest first."""
        with self._lock:
            find = bisect_right if closed else bisect_left
            start = bisect_left(self._order, low, key=lambda incident: incident.created_at)
            return self._order[start : find(self._order, high, key=lambda incident: incident.created_at)]

    def log(self) -> list[LogEntry]:
        """Every log entry of the account, newest first: the order of the fixtures of faros and DevLake."""
        with self._lock:
            if self._entries is None:
                self._entries = [entry for incident in self._order for entry in reversed(incident.entries)]
                self._entries.sort(key=lambda entry: entry.at, reverse=True)
            return self._entries

    def add(
        self,
        title: str,
        service: str,
        created_at: When | None = None,
        *,
        by: str | None = None,
        skew: int = 0,
        **fields: Any,
    ) -> Incident:
        """A new incident of a service. `skew`: seconds from created_at to its first trigger log entry.

        In faros' fixtures, that entry is a second older than the incident.
        """
        at = self._at(created_at)
        on = self._services[service]
        with self._lock:
            self._last_number += 1
            agent: Agent = ("user", by) if by else ("service", service)
            incident = Incident(
                id=fields.pop("id", None) or self.new_id(),
                number=fields.pop("number", self._last_number),
                title=title,
                service_id=service,
                policy_id=fields.pop("policy_id", on.policy_id),
                team_ids=fields.pop("team_ids", list(on.team_ids)),
                created_at=at,
                updated_at=at,
                changed_at=at,
                changed_by=agent,
                key=fields.pop("key", None) or f"{self._rng.getrandbits(128):032x}",
                **fields,
            )
            self._by_id[incident.id] = self._by_number[incident.number] = incident
            insort(self._order, incident, key=_created)
            self._write(incident, "trigger", at + skew * SECOND, agent, "website" if by else "api", title)
            return incident

    def edit(self, id_: str, *, updated_at: When | None = None, **fields: Any) -> Incident:
        """Set any fields (`title`, `priority_id`, `urgency`, `nulls`, ...) and update updated_at."""
        with self._lock:
            incident = self._by_id[id_]
            if fields.get("status", "resolved") not in STATUSES:
                raise ValueError(f"unknown status {fields['status']!r}")
            for name, value in fields.items():
                setattr(incident, name, frozenset(value) if name == "nulls" else value)
            incident.updated_at = self._at(updated_at)
            self._entries = None
            return incident

    def assign(self, id_: str, user: str, at: When | None = None) -> Incident:
        when = self._at(at)
        with self._lock:
            incident = self._by_id[id_]
            incident.assigned.append((when, user))
            self._write(incident, "assign", when, ("service", incident.service_id), "auto")
            return self.edit(id_, updated_at=when)

    def notify(self, id_: str, user: str, at: When | None = None) -> Incident:
        with self._lock:
            incident = self._by_id[id_]
            self._write(incident, "notify", self._at(at), ("service", incident.service_id), "auto", user=user)
            return incident

    def acknowledge(self, id_: str, at: When | None = None, by: str | None = None) -> Incident:
        with self._lock:
            incident = self._change(id_, "acknowledged", "acknowledge", self._at(at), by)
            incident.acks.append((incident.changed_at, incident.changed_by))
            incident.resolved_at = None
            return incident

    def unacknowledge(self, id_: str, at: When | None = None) -> Incident:
        """The acknowledgement timed out: the incident is triggered again."""
        with self._lock:
            incident = self._change(id_, "triggered", "unacknowledge", self._at(at), None, channel="timeout")
            incident.acks.clear()
            return incident

    def resolve(self, id_: str, at: When | None = None, by: str | None = None, channel: str = "") -> Incident:
        """By a user, or by the service: `channel` timeout (auto-resolve), auto or api."""
        with self._lock:
            incident = self._change(id_, "resolved", "resolve", self._at(at), by, channel=channel)
            incident.resolved_at = incident.changed_at
            for alert in incident.alerts:
                alert.resolved_at = alert.resolved_at or incident.changed_at
            return incident

    def reopen(
        self, id_: str, at: When | None = None, by: str | None = None, entry: str = "trigger"
    ) -> Incident:
        """Back to triggered (changelog 2025-09-18); there is no reopened_at, and created_at stays.

        Its log entry is not documented: `entry` may be trigger, unacknowledge or acknowledge.
        """
        with self._lock:
            if entry == "acknowledge":
                return self.acknowledge(id_, at, by)
            incident = self._change(id_, "triggered", entry, self._at(at), by)
            incident.resolved_at = incident.merged_into = None
            incident.acks.clear()
            return incident

    def merge(self, id_: str, into: str, at: When | None = None, by: str | None = None) -> Incident:
        """Resolve the source with a reason and move its alerts to the target, which must be open."""
        with self._lock:
            target = self._by_id[into]
            if target.status == "resolved":
                raise ValueError("the target of a merge must be open")
            incident = self._by_id[id_]
            target.alerts += incident.alerts
            incident.alerts = []
            self.resolve(id_, at, by)
            incident.merged_into = into
            return incident

    def add_note(
        self, id_: str, content: str, at: When | None = None, *, user: str | None = None, bot: str = ""
    ) -> Note:
        """Add a note by a user, or by the service named `bot`, and an annotate log entry."""
        when = self._at(at)
        with self._lock:
            incident = self._by_id[id_]
            made = Note(self.new_id("P", 7), content, when, when, user, bot or None)
            incident.notes.append(made)
            agent: Agent = ("user", user) if user else ("service", incident.service_id)
            self._write(incident, "annotate", when, agent, "note", note=content)
            self.edit(id_, updated_at=max(when, incident.updated_at))
            return made

    def edit_note(self, id_: str, note: str, content: str, at: When | None = None) -> Incident:
        """The note's created_at stays (its updated_at exists since 2025-11-07)."""
        with self._lock:
            incident = self._by_id[id_]
            found = next(each for each in incident.notes if each.id == note)
            found.content, found.updated_at = content, self._at(at)
            return incident

    def delete_note(self, id_: str, note: str) -> Incident:
        with self._lock:
            incident = self._by_id[id_]
            incident.notes = [each for each in incident.notes if each.id != note]
            return incident

    def add_alert(self, id_: str, summary: str, at: When | None = None, **fields: Any) -> Alert:
        """An incident with alerts has no incident_key (specification: null for those with child alerts)."""
        with self._lock:
            made = Alert(self.new_id(), f"{self._rng.getrandbits(64):x}", summary, self._at(at), **fields)
            self._by_id[id_].alerts.append(made)
            return made

    def add_entry(self, id_: str, type_: str, at: When | None = None, by: str | None = None) -> Incident:
        """Any other log entry: escalate, snooze, urgency_change, ..."""
        with self._lock:
            incident = self._by_id[id_]
            agent: Agent = ("user", by) if by else ("service", incident.service_id)
            self._write(incident, type_, self._at(at), agent, "website" if by else "auto")
            return incident

    def delete(self, id_: str) -> None:
        """Delete it; its number is not used again."""
        with self._lock:
            incident = self._by_id.pop(id_)
            del self._by_number[incident.number]
            self._order.remove(incident)
            self._entries = None

    def _at(self, when: When | None) -> Nanos:
        return self.clock() if when is None else to_nanos(when)

    def _change(
        self, id_: str, status: str, entry: str, at: Nanos, by: str | None, channel: str = ""
    ) -> Incident:
        incident = self._by_id[id_]
        agent: Agent = ("user", by) if by else ("service", incident.service_id)
        incident.status, incident.changed_at, incident.changed_by, incident.updated_at = status, at, agent, at
        self._write(incident, entry, at, agent, channel or ("website" if by else "api"))
        return incident

    def _write(
        self,
        incident: Incident,
        type_: str,
        at: Nanos,
        agent: Agent,
        channel: str,
        text: str = "",
        user: str | None = None,
        note: str | None = None,
    ) -> None:
        made = LogEntry(self.new_id("R"), type_, at, incident.id, agent, channel, text, user, note)
        incident.entries.append(made)
        self._entries = None
