"""The incidents of an account: a sorted index for the list, and every change that the service can make."""

from __future__ import annotations

import random
import threading
import uuid
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.instants import MS, Clock, Nanos, When, to_nanos
from sandbox.opsgenie.matching import Names, matcher
from sandbox.opsgenie.model import Entry, Incident, Note
from sandbox.opsgenie.query import created_window, parse

#: sort parameter -> key. insertedAt, the default in newer documentation, equals createdAt here.
SORTS: dict[str, Callable[[Incident], Any]] = {
    "createdAt": lambda incident: (incident.created_at, incident.id),
    "insertedAt": lambda incident: (incident.created_at, incident.id),
    "updatedAt": lambda incident: (incident.updated_at, incident.id),
    "status": lambda incident: (incident.status, incident.created_at, incident.id),
    "priority": lambda incident: (incident.priority, incident.created_at, incident.id),
    "tinyId": lambda incident: int(incident.tiny_id),
    "message": lambda incident: (incident.message, incident.id),
}

#: In a captured incident, the timeline entry was written this long after the corresponding field.
ENTRY_DELAY = 47 * MS

_KEPT_RESULTS = 64
_INSTANTS = ("updated_at", "impact_start", "impact_end")


def _created_ms(incident: Incident) -> int:
    return incident.created_ms


def _instants(fields: dict[str, Any]) -> dict[str, Any]:
    """Converts fields as given by a test or over HTTP: instants become nanoseconds."""
    return {
        name: to_nanos(value) if name in _INSTANTS and value is not None else value
        for name, value in fields.items()
    }


class Incidents:
    """All methods may be called from any thread while requests are served."""

    def __init__(self, clock: Clock, rng: random.Random, names: Callable[[], Names]) -> None:
        self.clock = clock
        self.index_lag_ms = 0
        self._rng = rng
        self._names = names
        self._by_id: dict[str, Incident] = {}
        self._by_tiny: dict[str, Incident] = {}
        self._order: list[Incident] = []
        self._unindexed: list[tuple[Nanos, Incident]] = []
        self._results: dict[tuple[str, str, str | None], list[Incident]] = {}
        self._lock = threading.RLock()
        self._last_tiny = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def all(self) -> list[Incident]:
        """Every incident, oldest first, indexed or not."""
        with self._lock:
            return sorted(self._by_id.values(), key=SORTS["createdAt"])

    def new_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def get(self, identifier: str, by_tiny: bool = False) -> Incident | None:
        """By id or tinyId; unlike `select`, it finds new incidents at once."""
        return (self._by_tiny if by_tiny else self._by_id).get(identifier)

    def select(
        self,
        query: str = "",
        sort: str = "createdAt",
        descending: bool = True,
        scope: tuple[str, Callable[[Incident], bool]] | None = None,
    ) -> list[Incident]:
        """What the search index finds. Raises QueryError. `scope`: name and test of what a team's key sees.

        The result is cached until anything changes, so that paging needs no new search.
        """
        node = parse(query)
        with self._lock:
            self._index_due()
            cache_key = (query, f"{sort} {descending}", scope[0] if scope else None)
            cached = self._results.get(cache_key)
            if cached is not None:
                return cached
            low, high = created_window(node)
            start = 0 if low is None else bisect_left(self._order, low, key=_created_ms)
            stop = len(self._order) if high is None else bisect_right(self._order, high, key=_created_ms)
            found = self._order[start:stop]
            if node is not None:
                test = matcher(node, self._names())
                found = [incident for incident in found if test(incident)]
            if scope is not None:
                found = [incident for incident in found if scope[1](incident)]
            if sort not in ("createdAt", "insertedAt"):
                found.sort(key=SORTS[sort])
            if descending:
                found.reverse()
            if len(self._results) >= _KEPT_RESULTS:
                self._results.clear()
            self._results[cache_key] = found
            return found

    def forget_results(self) -> None:
        """Clear the cached results, because something changed that they may depend on."""
        with self._lock:
            self._results.clear()

    def add(
        self, message: str, created_at: When | None = None, *, by: str = "System", **fields: Any
    ) -> Incident:
        """A new incident with its IncidentOpened entry. `fields` are those of `Incident`.

        It is found by id at once, and listed once `index_lag_ms` has passed on the store's clock.
        """
        at = self.clock() if created_at is None else to_nanos(created_at)
        with self._lock:
            self._last_tiny += 1
            fields.setdefault("id", self.new_id())
            fields.setdefault("tiny_id", str(self._last_tiny))
            fields = {"updated_at": at, **_instants(fields)}
            incident = Incident(message=message, created_at=at, **fields)
            if not incident.entries:
                self._write(incident, "IncidentOpened", at + ENTRY_DELAY, by)
            self._by_id[incident.id] = incident
            self._by_tiny[incident.tiny_id] = incident
            self._unindexed.append((self.clock() + self.index_lag_ms * MS, incident))
            self.forget_results()
            return incident

    def add_many(self, incidents: Iterable[Incident]) -> None:
        """Add complete incidents in bulk, indexed at once."""
        with self._lock:
            for incident in incidents:
                self._by_id[incident.id] = incident
                self._by_tiny[incident.tiny_id] = incident
                self._order.append(incident)
                self._last_tiny = max(self._last_tiny, int(incident.tiny_id))
            self._order.sort(key=SORTS["createdAt"])
            self.forget_results()

    def edit(self, id_: str, *, updated_at: When | None = None, **fields: Any) -> Incident:
        """Set any fields (`message`, `priority`, `services`, `impact_end`, ...) and update updatedAt."""
        with self._lock:
            incident = self._by_id[id_]
            for name, value in _instants(fields).items():
                setattr(incident, name, value)
            incident.updated_at = self.clock() if updated_at is None else to_nanos(updated_at)
            incident.changed()
            self.forget_results()
            return incident

    def resolve(self, id_: str, at: When | None = None, by: str = "System") -> Incident:
        """impactEndDate is the time of the resolution; IncidentResolved follows some ms later."""
        when = self.clock() if at is None else to_nanos(at)
        with self._lock:
            incident = self.edit(id_, status="resolved", impact_end=when, updated_at=when)
            self._write(incident, "IncidentResolved", when + ENTRY_DELAY, by)
            return incident

    def close(self, id_: str, at: When | None = None, by: str = "System") -> Incident:
        """Closing updates updatedAt; from `open`, it sets no impactEndDate and adds no IncidentResolved."""
        when = self.clock() if at is None else to_nanos(at)
        with self._lock:
            incident = self.edit(id_, status="closed", updated_at=when)
            self._write(incident, "IncidentClosed", when + ENTRY_DELAY, by)
            return incident

    def reopen(self, id_: str, at: When | None = None, by: str = "System") -> Incident:
        """Back to open; a stale impactEndDate stays (as in a captured payload of an open incident)."""
        when = self.clock() if at is None else to_nanos(at)
        with self._lock:
            incident = self.edit(id_, status="open", updated_at=when)
            self._write(incident, "IncidentReopened", when + ENTRY_DELAY, by)
            return incident

    def acknowledge(self, id_: str, at: When | None = None, by: str = "System") -> Incident:
        """A responder acknowledges the alert: only a timeline entry."""
        when = self.clock() if at is None else to_nanos(at)
        return self.add_entry(id_, "ResponderAlertAcked", when, by)

    def add_entry(
        self, id_: str, type_: str, at: When | None = None, by: str = "System", text: str = ""
    ) -> Incident:
        """Add a timeline entry, possibly in the past: only custom entries can be backdated by the API."""
        with self._lock:
            incident = self._by_id[id_]
            self._write(incident, type_, self.clock() if at is None else to_nanos(at), by, text)
            return self.edit(id_)

    def add_note(self, id_: str, text: str, by: str = "System") -> Incident:
        with self._lock:
            incident = self._by_id[id_]
            incident.notes.append(Note(text, by, self.clock()))
            return self.edit(id_)

    def add_tags(self, id_: str, tags: Iterable[str]) -> Incident:
        with self._lock:
            incident = self._by_id[id_]
            return self.edit(id_, tags=list(dict.fromkeys([*incident.tags, *tags])))

    def remove_tags(self, id_: str, tags: Iterable[str]) -> Incident:
        gone = set(tags)
        return self.edit(id_, tags=[tag for tag in self._by_id[id_].tags if tag not in gone])

    def add_details(self, id_: str, details: dict[str, str]) -> Incident:
        return self.edit(id_, details={**self._by_id[id_].details, **details})

    def remove_details(self, id_: str, keys: Iterable[str]) -> Incident:
        gone = set(keys)
        kept = {key: value for key, value in self._by_id[id_].details.items() if key not in gone}
        return self.edit(id_, details=kept)

    def delete(self, id_: str) -> None:
        """Delete it: neither the list nor a read by id shows that it ever existed."""
        with self._lock:
            incident = self._by_id.pop(id_)
            self._by_tiny.pop(incident.tiny_id, None)
            self._order = [other for other in self._order if other is not incident]
            self._unindexed = [pair for pair in self._unindexed if pair[1] is not incident]
            self.forget_results()

    def unindex(self, id_: str) -> None:
        """Let the search lose an incident, which a read by its id still shows."""
        with self._lock:
            self._order.remove(self._by_id[id_])
            self.forget_results()

    def _write(self, incident: Incident, type_: str, at: Nanos, by: str, text: str = "") -> None:
        actor_type = "system" if by == "System" else "user"
        incident.entries.append(Entry(self.new_id(), type_, at, by, actor_type, text))

    def _index_due(self) -> None:
        """Add to the search index what is older than the lag."""
        if not self._unindexed:
            return
        now = self.clock()
        waiting = []
        for due, incident in self._unindexed:
            if due <= now:
                insort(self._order, incident, key=SORTS["createdAt"])
                self.forget_results()
            else:
                waiting.append((due, incident))
        self._unindexed = waiting
