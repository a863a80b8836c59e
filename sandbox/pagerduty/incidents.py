"""The incidents of an account, and every change that people, services and time make to one."""

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
    """All methods may be called from any thread while the server answers requests.

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
        """Ids are unique per type only (06-Types); incidents have 14 characters, older things 7."""
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
        """Those created from `low` until `high`, itself excluded unless `closed`; oldest first."""
        with self._lock:
            find = bisect_right if closed else bisect_left
            start = bisect_left(self._order, low, key=lambda one: one.created_at)
            return self._order[start : find(self._order, high, key=lambda one: one.created_at)]

    def log(self) -> list[LogEntry]:
        """Every log entry of the account, newest first: the order of the fixtures of faros and DevLake."""
        with self._lock:
            if self._entries is None:
                self._entries = [entry for one in self._order for entry in reversed(one.entries)]
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
        """A new incident on the service. `skew`: seconds from created_at to its first trigger log entry.

        In faros' fixtures that entry is a second older than the incident.
        """
        at = self._at(created_at)
        on = self._services[service]
        with self._lock:
            self._last_number += 1
            agent: Agent = ("user", by) if by else ("service", service)
            one = Incident(
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
            self._by_id[one.id] = self._by_number[one.number] = one
            insort(self._order, one, key=_created)
            self._write(one, "trigger", at + skew * SECOND, agent, "website" if by else "api", title)
            return one

    def edit(self, id_: str, *, updated_at: When | None = None, **fields: Any) -> Incident:
        """Set any fields (`title`, `priority_id`, `urgency`, `nulls`, ...) and bump updated_at."""
        with self._lock:
            one = self._by_id[id_]
            if fields.get("status", "resolved") not in STATUSES:
                raise ValueError(f"unknown status {fields['status']!r}")
            for name, value in fields.items():
                setattr(one, name, frozenset(value) if name == "nulls" else value)
            one.updated_at = self._at(updated_at)
            self._entries = None
            return one

    def assign(self, id_: str, user: str, at: When | None = None) -> Incident:
        when = self._at(at)
        with self._lock:
            one = self._by_id[id_]
            one.assigned.append((when, user))
            self._write(one, "assign", when, ("service", one.service_id), "auto")
            return self.edit(id_, updated_at=when)

    def notify(self, id_: str, user: str, at: When | None = None) -> Incident:
        with self._lock:
            one = self._by_id[id_]
            self._write(one, "notify", self._at(at), ("service", one.service_id), "auto", user=user)
            return one

    def acknowledge(self, id_: str, at: When | None = None, by: str | None = None) -> Incident:
        with self._lock:
            one = self._change(id_, "acknowledged", "acknowledge", self._at(at), by)
            one.acks.append((one.changed_at, one.changed_by))
            one.resolved_at = None
            return one

    def unacknowledge(self, id_: str, at: When | None = None) -> Incident:
        """The acknowledgement timed out: the incident is triggered again."""
        with self._lock:
            one = self._change(id_, "triggered", "unacknowledge", self._at(at), None, channel="timeout")
            one.acks.clear()
            return one

    def resolve(self, id_: str, at: When | None = None, by: str | None = None, channel: str = "") -> Incident:
        """By a user, or by the service: `channel` timeout (auto-resolve), auto or api."""
        with self._lock:
            one = self._change(id_, "resolved", "resolve", self._at(at), by, channel=channel)
            one.resolved_at = one.changed_at
            for alert in one.alerts:
                alert.resolved_at = alert.resolved_at or one.changed_at
            return one

    def reopen(
        self, id_: str, at: When | None = None, by: str | None = None, entry: str = "trigger"
    ) -> Incident:
        """Back to triggered (changelog 2025-09-18); there is no reopened_at, created_at stays.

        Which log entry this writes is not published: `entry` may be trigger, unacknowledge or acknowledge.
        """
        with self._lock:
            if entry == "acknowledge":
                return self.acknowledge(id_, at, by)
            one = self._change(id_, "triggered", entry, self._at(at), by)
            one.resolved_at = one.merged_into = None
            one.acks.clear()
            return one

    def merge(self, id_: str, into: str, at: When | None = None, by: str | None = None) -> Incident:
        """The source is resolved with a reason, its alerts move; the target must be open."""
        with self._lock:
            target = self._by_id[into]
            if target.status == "resolved":
                raise ValueError("the target of a merge must be open")
            one = self._by_id[id_]
            target.alerts += one.alerts
            one.alerts = []
            self.resolve(id_, at, by)
            one.merged_into = into
            return one

    def add_note(
        self, id_: str, content: str, at: When | None = None, *, user: str | None = None, bot: str = ""
    ) -> Note:
        """By a user, or by what `bot` names. An annotate log entry goes with it."""
        when = self._at(at)
        with self._lock:
            one = self._by_id[id_]
            made = Note(self.new_id("P", 7), content, when, when, user, bot or None)
            one.notes.append(made)
            agent: Agent = ("user", user) if user else ("service", one.service_id)
            self._write(one, "annotate", when, agent, "note", note=content)
            self.edit(id_, updated_at=max(when, one.updated_at))
            return made

    def edit_note(self, id_: str, note: str, content: str, at: When | None = None) -> Incident:
        """The note's created_at stays (its updated_at exists since 2025-11-07)."""
        with self._lock:
            one = self._by_id[id_]
            found = next(each for each in one.notes if each.id == note)
            found.content, found.updated_at = content, self._at(at)
            return one

    def delete_note(self, id_: str, note: str) -> Incident:
        with self._lock:
            one = self._by_id[id_]
            one.notes = [each for each in one.notes if each.id != note]
            return one

    def add_alert(self, id_: str, summary: str, at: When | None = None, **fields: Any) -> Alert:
        """An incident with alerts has no incident_key (specification: null for those with child alerts)."""
        with self._lock:
            made = Alert(self.new_id(), f"{self._rng.getrandbits(64):x}", summary, self._at(at), **fields)
            self._by_id[id_].alerts.append(made)
            return made

    def add_entry(self, id_: str, type_: str, at: When | None = None, by: str | None = None) -> Incident:
        """Any other log entry: escalate, snooze, urgency_change, ..."""
        with self._lock:
            one = self._by_id[id_]
            agent: Agent = ("user", by) if by else ("service", one.service_id)
            self._write(one, type_, self._at(at), agent, "website" if by else "auto")
            return one

    def delete(self, id_: str) -> None:
        """Gone without a trace; its number is not used again."""
        with self._lock:
            one = self._by_id.pop(id_)
            del self._by_number[one.number]
            self._order.remove(one)
            self._entries = None

    def _at(self, when: When | None) -> Nanos:
        return self.clock() if when is None else to_nanos(when)

    def _change(
        self, id_: str, status: str, entry: str, at: Nanos, by: str | None, channel: str = ""
    ) -> Incident:
        one = self._by_id[id_]
        agent: Agent = ("user", by) if by else ("service", one.service_id)
        one.status, one.changed_at, one.changed_by, one.updated_at = status, at, agent, at
        self._write(one, entry, at, agent, channel or ("website" if by else "api"))
        return one

    def _write(
        self,
        one: Incident,
        type_: str,
        at: Nanos,
        agent: Agent,
        channel: str,
        text: str = "",
        user: str | None = None,
        note: str | None = None,
    ) -> None:
        made = LogEntry(self.new_id("R"), type_, at, one.id, agent, channel, text, user, note)
        one.entries.append(made)
        self._entries = None
