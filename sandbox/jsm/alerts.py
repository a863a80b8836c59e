"""Alerts of Operations, and the changes that can be made to them."""

from __future__ import annotations

import random
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

from sandbox.instants import MS, Clock, Nanos, When, to_nanos
from sandbox.jsm.model import Json, ops_time

_INSTANTS = ("created", "updated", "last_occurred", "acked", "closed")


@dataclass(slots=True)
class Note:
    """A line of an alert's log (`kind` is its type) or a note on it (`kind` is '')."""

    id: str
    at: Nanos
    text: str
    owner: str
    kind: str = ""

    def log(self) -> Json:
        return {"logTime": ops_time(self.at), "logType": self.kind, "log": self.text, "owner": self.owner}

    def note(self) -> Json:
        at = ops_time(self.at)
        return {"id": self.id, "createdAt": at, "updatedAt": at, "note": self.text, "owner": self.owner}


@dataclass(slots=True, eq=False)
class Alert:
    """`owner` is a display name; `acked` and `closed` are instants, `responders` (type, id)."""

    id: str
    tiny_id: str
    message: str
    created: Nanos
    updated: Nanos
    last_occurred: Nanos
    alias: str = ""
    description: str = ""
    entity: str = ""
    source: str = ""
    priority: str = "P3"
    owner: str = ""
    count: int = 1
    acked: Nanos | None = None
    closed: Nanos | None = None
    snoozed_until: Nanos | None = None
    tags: list[str] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    responders: list[tuple[str, str]] = field(default_factory=list)
    logs: list[Note] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def status(self, spec: bool) -> str:
        """The live service only answers open and closed; the specification has more statuses."""
        if self.closed is not None:
            return "closed"
        if spec and self.snoozed_until is not None:
            return "snoozed"
        return "acked" if spec and self.acked is not None else "open"

    def payload(self, spec_statuses: bool, details: bool = True) -> Json:
        body: Json = {
            "id": self.id,
            "tinyId": self.tiny_id,
            "createdAt": ops_time(self.created),
            "updatedAt": ops_time(self.updated),
            "message": self.message,
            "entity": self.entity,
            "source": self.source,
            "status": self.status(spec_statuses),
            "alias": self.alias,
            "tags": self.tags,
            "acknowledged": self.acked is not None,
            "count": self.count,
            "owner": self.owner,
            "snoozed": self.snoozed_until is not None,
            # The service's own misspelling.
            "lastOccuredAt": ops_time(self.last_occurred),
            "integrationType": "API",
            "integrationName": "Monitoring",
            "priority": self.priority,
            "responders": [{"type": kind, "id": id_} for kind, id_ in self.responders],
            "actions": [],
            "seen": self.acked is not None,
        }
        instants = {"ackTime": self.acked, "closeTime": self.closed, "snoozedUntil": self.snoozed_until}
        body |= {name: ops_time(at) for name, at in instants.items() if at is not None}
        if details:
            body |= {"description": self.description, "extraProperties": self.details}
        return body


class Alerts:
    """All methods may be called from any thread while requests are served. `at`: now by default."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.clock = clock
        self._rng = rng
        self._by_id: dict[str, Alert] = {}
        self._lock = threading.RLock()

    def all(self) -> list[Alert]:
        with self._lock:
            return list(self._by_id.values())

    def get(self, id_: str) -> Alert | None:
        return self._by_id.get(id_)

    def by_alias(self, alias: str) -> Alert | None:
        """The open alert with the alias, of which there is at most one, else the latest with it."""
        found = [alert for alert in self.all() if alert.alias == alias]
        return max(found, key=lambda alert: (alert.closed is None, alert.created), default=None)

    def add(self, message: str, at: When | None = None, **fields: Any) -> Alert:
        created = self._when(at)
        with self._lock:
            # Ids are a UUID and the millisecond of the creation.
            made_id = f"{uuid.UUID(int=self._rng.getrandbits(128), version=4)}-{created // MS}"
            id_ = fields.pop("id", None) or made_id
            made = Alert(
                id_, str(len(self._by_id) + 1), message, created, created, created, **self._given(fields)
            )
            made.alias = made.alias or id_
            self._by_id[id_] = made
        self._log(made, created, "ALERT_CREATED", "Alert created via Monitoring")
        return made

    def edit(self, id_: str, at: When | None = None, **fields: Any) -> Alert:
        """Set any fields of `Alert`."""
        alert = self._by_id[id_]
        with self._lock:
            for name, value in self._given(fields).items():
                setattr(alert, name, value)
        return self._log(alert, self._when(at), "ALERT_UPDATED", f"Changed {', '.join(fields)}")

    def acknowledge(self, id_: str, at: When | None = None, by: str = "") -> Alert:
        alert = self._by_id[id_]
        alert.acked, alert.owner = self._when(at), by or alert.owner
        return self._log(alert, alert.acked, "ACKNOWLEDGED", "Alert acknowledged", by)

    def close(self, id_: str, at: When | None = None, by: str = "") -> Alert:
        alert = self._by_id[id_]
        alert.closed = self._when(at)
        return self._log(alert, alert.closed, "CLOSED", "Alert closed", by)

    def reopen(self, id_: str, at: When | None = None) -> Alert:
        alert = self._by_id[id_]
        alert.closed = None
        return self._log(alert, self._when(at), "REOPENED", "Alert reopened")

    def repeat(self, id_: str, at: When | None = None) -> Alert:
        """It occurs again: an open alert with the same alias is counted, not created."""
        alert = self._by_id[id_]
        alert.count += 1
        alert.last_occurred = self._when(at)
        return self._log(alert, alert.last_occurred, "COUNT_INCREASED", "Alert occurred again")

    def add_note(self, id_: str, text: str, at: When | None = None, by: str = "") -> Alert:
        alert = self._by_id[id_]
        when = self._when(at)
        alert.notes.append(Note(str(uuid.UUID(int=self._rng.getrandbits(128))), when, text, by))
        return self._log(alert, when, "NOTE_ADDED", text, by)

    def delete(self, id_: str) -> None:
        with self._lock:
            del self._by_id[id_]

    def _log(self, alert: Alert, at: Nanos, kind: str, text: str, by: str = "") -> Alert:
        alert.logs.append(Note(str(len(alert.logs)), at, text, by or "System", kind))
        alert.updated = max(alert.updated, at)
        return alert

    def _given(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "responders" in fields:
            fields["responders"] = [(kind, id_) for kind, id_ in fields["responders"]]
        return {
            name: to_nanos(value) // MS * MS if name in _INSTANTS and value is not None else value
            for name, value in fields.items()
        }

    def _when(self, at: When | None) -> Nanos:
        return self.clock() if at is None else to_nanos(at) // MS * MS
