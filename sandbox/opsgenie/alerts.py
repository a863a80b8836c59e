"""The alerts of an account: what the service can do to them, and its search index."""

from __future__ import annotations

import operator
import random
import threading
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sandbox.instants import MS, Clock, Nanos, When, iso, to_nanos
from sandbox.opsgenie.model import Json
from sandbox.opsgenie.query import (
    ALERT_DATES,
    ALERT_FIELDS,
    TEXT,
    And,
    Node,
    Not,
    Or,
    Term,
    created_window,
    milliseconds,
    parse,
)

_INSTANTS = ("created_at", "updated_at", "last_occurred_at", "acked_at", "closed_at")
_DATE_FIELDS = {"createdAt": "created_at", "updatedAt": "updated_at", "lastOccurredAt": "last_occurred_at"}
_KEPT_RESULTS = 64
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    ":": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

Test = Callable[["Alert"], bool]


@dataclass(slots=True, eq=False)
class Alert:
    """An alert. What lists do not have: `description`, `details`, `entity`."""

    id: str
    tiny_id: str
    message: str
    created_at: Nanos
    updated_at: Nanos
    last_occurred_at: Nanos
    alias: str = ""
    description: str = ""
    status: str = "open"
    priority: str = "P3"
    source: str = "monitoring"
    entity: str = ""
    owner: str = ""
    count: int = 1
    acked_at: Nanos | None = None
    closed_at: Nanos | None = None
    tags: list[str] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    responders: list[dict[str, str]] = field(default_factory=list)

    @property
    def created_ms(self) -> int:
        return self.created_at // MS

    def payload(self, *, single: bool = False) -> Json:
        """The list item, or the `data` of the single read. `report` has milliseconds since the creation."""
        body: Json = {
            "id": self.id,
            "tinyId": self.tiny_id,
            "alias": self.alias,
            "message": self.message,
            "status": self.status,
            "acknowledged": self.acked_at is not None,
            "isSeen": self.acked_at is not None,
            "tags": self.tags,
            "snoozed": False,
            "count": self.count,
            "lastOccurredAt": iso(self.last_occurred_at),
            "createdAt": iso(self.created_at),
            "updatedAt": iso(self.updated_at),
            "source": self.source,
            "owner": self.owner,
            "priority": self.priority,
            "responders": self.responders,
            "integration": {
                "id": "8aa85159-3a2e-4b5e-9ff6-4e1b0b7bdfd8",
                "name": "Monitoring",
                "type": "API",
            },
            "ownerTeamId": "",
        }
        report = {
            name: (at - self.created_at) // MS
            for name, at in (("ackTime", self.acked_at), ("closeTime", self.closed_at))
            if at is not None
        }
        if report:
            body["report"] = report
        if single:
            body |= {
                "actions": [],
                "entity": self.entity,
                "description": self.description,
                "details": self.details,
            }
        return body


SORTS: dict[str, Callable[[Alert], Any]] = {
    "createdAt": lambda alert: (alert.created_at, alert.id),
    "updatedAt": lambda alert: (alert.updated_at, alert.id),
    "lastOccurredAt": lambda alert: (alert.last_occurred_at, alert.id),
    "status": lambda alert: (alert.status, alert.id),
    "tinyId": lambda alert: int(alert.tiny_id),
    "message": lambda alert: (alert.message, alert.id),
}


class Alerts:
    """All methods may be called from any thread while requests are served. `at`: now by default."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.clock = clock
        self._rng = rng
        self._by_id: dict[str, Alert] = {}
        self._order: list[Alert] = []
        self._results: dict[tuple[str, str, bool], list[Alert]] = {}
        self._lock = threading.RLock()

    def all(self) -> list[Alert]:
        """Every alert, oldest first."""
        with self._lock:
            return sorted(self._by_id.values(), key=SORTS["createdAt"])

    def get(self, id_: str) -> Alert | None:
        return self._by_id.get(id_)

    def add(self, message: str, at: When | None = None, **fields: Any) -> Alert:
        """An open alert with the same alias is counted in place of a new one."""
        when = self._when(at)
        with self._lock:
            alias = fields.get("alias")
            known = next((a for a in self._order if alias and a.alias == alias and a.status == "open"), None)
            if known is not None:
                return self.edit(known.id, when, count=known.count + 1, last_occurred_at=when)
            made = self.make(message, when, tiny_id=str(len(self._by_id) + 1), **fields)
            self.add_many([made])
            return made

    def make(self, message: str, at: Nanos, **fields: Any) -> Alert:
        """An alert that is not in the account yet. Ids are a UUID and the millisecond of the creation."""
        made_id = f"{uuid.UUID(int=self._rng.getrandbits(128), version=4)}-{at // MS}"
        fields = {"id": made_id, "updated_at": at, "last_occurred_at": at, **self._given(fields)}
        alert = Alert(message=message, created_at=at, **fields)
        alert.alias = alert.alias or alert.id
        return alert

    def add_many(self, alerts: Iterable[Alert]) -> None:
        with self._lock:
            for alert in alerts:
                self._by_id[alert.id] = alert
            self._order = self.all()
            self._results.clear()

    def edit(self, id_: str, at: When | None = None, **fields: Any) -> Alert:
        """Set any fields of `Alert`."""
        with self._lock:
            alert = self._by_id[id_]
            for name, value in self._given(fields).items():
                setattr(alert, name, value)
            alert.updated_at = max(alert.updated_at, self._when(at))
            self._results.clear()
            return alert

    def acknowledge(self, id_: str, at: When | None = None, by: str = "") -> Alert:
        when = self._when(at)
        return self.edit(id_, when, acked_at=when, owner=by)

    def close(self, id_: str, at: When | None = None) -> Alert:
        when = self._when(at)
        return self.edit(id_, when, status="closed", closed_at=when)

    def reopen(self, id_: str, at: When | None = None) -> Alert:
        """Open again; what the report says of the close may be left over."""
        return self.edit(id_, at, status="open")

    def delete(self, id_: str) -> None:
        with self._lock:
            gone = self._by_id.pop(id_)
            self._order.remove(gone)
            self._results.clear()

    def unindex(self, id_: str) -> None:
        """Let the search lose an alert, which a read by its id still shows."""
        with self._lock:
            self._order.remove(self._by_id[id_])
            self._results.clear()

    def select(
        self, query: str = "", sort: str = "createdAt", descending: bool = True, scope: Test | None = None
    ) -> list[Alert]:
        """What the search finds. Raises QueryError. The result is cached until anything changes."""
        node = parse(query, ALERT_FIELDS)
        with self._lock:
            cached = self._results.get((query, sort, descending)) if scope is None else None
            if cached is not None:
                return cached
            low, high = created_window(node)
            start = 0 if low is None else bisect_left(self._order, low, key=_created_ms)
            stop = len(self._order) if high is None else bisect_right(self._order, high, key=_created_ms)
            test = _matcher(node)
            found = [
                alert for alert in self._order[start:stop] if test(alert) and (scope is None or scope(alert))
            ]
            found.sort(key=SORTS[sort], reverse=descending)
            if scope is None:
                if len(self._results) >= _KEPT_RESULTS:
                    self._results.clear()
                self._results[query, sort, descending] = found
            return found

    def _given(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {
            name: to_nanos(value) // MS * MS if name in _INSTANTS and value is not None else value
            for name, value in fields.items()
        }

    def _when(self, at: When | None) -> Nanos:
        return (self.clock() if at is None else to_nanos(at)) // MS * MS


def list_item(alert: Alert) -> bytes:
    return msgspec.json.encode(alert.payload())


def _created_ms(alert: Alert) -> int:
    return alert.created_ms


def _matcher(node: Node | None) -> Test:
    if node is None:
        return lambda alert: True
    if isinstance(node, And | Or):
        parts = [_matcher(part) for part in node.parts]
        combine = all if isinstance(node, And) else any
        return lambda alert: combine(part(alert) for part in parts)
    if isinstance(node, Not):
        inner = _matcher(node.part)
        return lambda alert: not inner(alert)
    return _term(node)


def _term(term: Term) -> Test:
    if term.field in ALERT_DATES:
        compare, at, name = _COMPARE[term.op], milliseconds(term.value), _DATE_FIELDS[term.field]
        return lambda alert: compare(getattr(alert, name) // MS, at)
    wanted = term.value.casefold()
    if term.field in TEXT:
        return lambda alert: wanted in str(getattr(alert, term.field)).casefold()
    return lambda alert: any(value.casefold() == wanted for value in _values(alert, term.field))


def _values(alert: Alert, name: str) -> Iterable[str]:
    found: dict[str, Iterable[str]] = {
        "alertId": [alert.id],
        "tinyId": [alert.tiny_id],
        "tag": alert.tags,
        "acknowledged": [str(alert.acked_at is not None)],
        "snoozed": ["false"],
        "details.key": alert.details.keys(),
        "details.value": alert.details.values(),
    }
    return found[name] if name in found else [getattr(alert, name)]
