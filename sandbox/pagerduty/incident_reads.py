"""GET /incidents..., /log_entries."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import UTC
from typing import Any

from starlette.responses import Response

from sandbox.instants import Nanos
from sandbox.pagerduty import dates
from sandbox.pagerduty.errors import ApiError, invalid, missing_ability, not_found
from sandbox.pagerduty.model import MINOR_ENTRIES, STATUSES, URGENCIES, Alert, Incident, LogEntry
from sandbox.pagerduty.web import Call

#: sort_by field -> key; incidents without the time come last in ascending order.
SORTS: dict[str, Callable[[Incident], Any]] = {
    "incident_number": lambda incident: incident.number,
    "created_at": lambda incident: incident.created_at,
    "resolved_at": lambda incident: (incident.resolved_at is None, incident.resolved_at or 0),
    "urgency": lambda incident: URGENCIES.index(incident.urgency),
}
ALERT_SORTS: dict[str, Callable[[Alert], Any]] = {
    "created_at": lambda alert: alert.created_at,
    "resolved_at": lambda alert: (alert.resolved_at is None, alert.resolved_at or 0),
}


def find(call: Call) -> Incident:
    """The incident of the path, by id or number."""
    found = call.store.incidents.get(call.request.path_params["id"])
    if found is None:
        raise not_found()
    return found


async def list_incidents(call: Call) -> Response:
    """since and until filter on created_at (DevLake, Databricks, PostHog); oldest first by default."""
    wanted = _filter(call)
    found = [incident for incident in _in_range(call) if wanted(incident)]
    for name, descending in reversed(_sorting(call, SORTS)):
        if name == "urgency" and "urgencies" not in call.store.abilities:
            raise missing_ability("urgencies")
        found.sort(key=SORTS[name], reverse=descending)
    return call.page("incidents", found, call.view(call.zone("UTC")).incident)


def _in_range(call: Call) -> list[Incident]:
    store = call.store
    if call.text("date_range") == "all":
        return store.incidents.all()
    # "since/until default to the account's time zone if omitted", rendering to UTC.
    zone = call.zone(store.time_zone)
    since, until = call.instant("since", zone), call.instant("until", zone)
    low, high = dates.window(since, until, store.clock())
    if high < low:
        raise ApiError(400, "Invalid Query Date Range", 2005, ("Until must be after since.",))
    if high > dates.add_months(low, dates.MOST_MONTHS):
        if store.long_range == "empty":
            return []
        raise invalid(" is invalid.")
    return store.incidents.between(low, high, closed=store.until_inclusive)


def _filter(call: Call) -> Callable[[Incident], bool]:
    """A function that tests all filters; 400 for an unknown status or urgency."""
    statuses, urgencies = set(call.many("statuses")), set(call.many("urgencies"))
    services, teams, users = (set(call.many(name)) for name in ("service_ids", "team_ids", "user_ids"))
    key = call.text("incident_key")
    if statuses - set(STATUSES):
        raise invalid("Statuses is invalid.")
    if urgencies - set(URGENCIES):
        raise invalid("Urgencies is invalid.")
    if teams and "teams" not in call.store.abilities:
        raise missing_ability("teams")

    def assigned(incident: Incident) -> bool:
        # Resolved incidents are assigned to nobody, so only open incidents match.
        return incident.status != "resolved" and any(user in users for _, user in incident.assigned)

    def wanted(incident: Incident) -> bool:
        return (
            (not statuses or incident.status in statuses)
            and (not urgencies or incident.urgency in urgencies)
            and (not services or incident.service_id in services)
            and (not teams or not teams.isdisjoint(incident.team_ids))
            and (not key or (incident.key == key and not incident.alerts))
            and (not users or assigned(incident))
        )

    return wanted


def _sorting(call: Call, known: dict[str, Any]) -> list[tuple[str, bool]]:
    """`field[:asc|:desc]`, at most two fields, separated by a comma; ascending by default."""
    parts = [part for part in call.text("sort_by").split(",") if part]
    pairs = [(name, way or "asc") for name, _, way in (part.partition(":") for part in parts)]
    wrong = [name for name, way in pairs if name not in known or way not in ("asc", "desc")]
    if wrong or len(pairs) > 2 or len(dict(pairs)) != len(pairs):
        raise invalid("Sort by is invalid.")
    return [(name, way == "desc") for name, way in pairs]


async def get_incident(call: Call) -> Response:
    incident = find(call)
    body = call.view(call.zone("UTC")).incident(incident)
    if "custom_fields" in call.many("include"):
        body["custom_fields"] = []
    return call.ok({"incident": body})


async def list_notes(call: Call) -> Response:
    """All notes, newest first as in the specification's example; there are no paging parameters."""
    view = call.view()
    notes = sorted(find(call).notes, key=lambda note: note.at, reverse=True)
    return call.ok({"notes": [view.note(note) for note in notes]})


async def list_alerts(call: Call) -> Response:
    incident = find(call)
    statuses = set(call.many("statuses"))
    key = call.text("alert_key")
    found = [
        alert
        for alert in incident.alerts
        if (not statuses or ("triggered" if alert.resolved_at is None else "resolved") in statuses)
        and (not key or alert.key == key)
    ]
    for name, descending in reversed(_sorting(call, ALERT_SORTS)):
        found.sort(key=ALERT_SORTS[name], reverse=descending)
    view = call.view()
    return call.page("alerts", found, lambda alert: view.alert(alert, incident))


async def list_incident_log(call: Call) -> Response:
    # Of entries at the same instant, the one written later is the newer.
    entries = sorted(reversed(find(call).entries), key=lambda entry: entry.at, reverse=True)
    return _log(call, entries)


async def list_log(call: Call) -> Response:
    """The log entries of the whole account; without since and until from its beginning."""
    entries = call.store.incidents.log()
    teams = set(call.many("team_ids"))
    if teams:
        get = call.store.incidents.get
        entries = [
            e for e in entries if (incident := get(e.incident_id)) and not teams.isdisjoint(incident.team_ids)
        ]
    return _log(call, entries)


def _log(call: Call, entries: list[LogEntry]) -> Response:
    """Newest first (faros' and DevLake's fixtures), in the account's time zone by default."""
    store = call.store
    zone = call.zone(store.time_zone)
    since, until = call.instant("since", zone), call.instant("until", zone)
    if until is not None:
        find_end = bisect_left if store.until_inclusive else bisect_right
        entries = entries[find_end(entries, -until, key=_backwards) :]
    if since is not None:
        entries = entries[: bisect_right(entries, -since, key=_backwards)]
    if call.text("is_overview") == "true":
        entries = [entry for entry in entries if entry.type not in MINOR_ENTRIES]
    view = call.view(UTC if str(zone) in ("UTC", "Etc/UTC") else zone)

    def show(entry: LogEntry) -> dict[str, Any]:
        incident = store.incidents.get(entry.incident_id)
        assert incident is not None
        return view.entry(entry, incident, store.log_digits)

    return call.page("log_entries", entries, show)


def _backwards(entry: LogEntry) -> Nanos:
    return -entry.at
