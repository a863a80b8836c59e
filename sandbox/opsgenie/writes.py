"""Writes, all to incidents and all asynchronous (202)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response

from sandbox.instants import to_nanos
from sandbox.opsgenie.bodies import (
    DESCRIPTION,
    MAX_KEYS,
    MAX_TAGS,
    MESSAGE,
    NOTE,
    PRIORITIES,
    TAG,
    Checks,
    read_body,
)
from sandbox.opsgenie.errors import unprocessable
from sandbox.opsgenie.incident_reads import find
from sandbox.opsgenie.model import Incident
from sandbox.opsgenie.requests import Outcome
from sandbox.opsgenie.store import Store
from sandbox.opsgenie.web import Call, Handler

MISSING: Outcome = (False, "Incident does not exist", "")


async def create(call: Call) -> Response:
    """There are no created-at, resolved-at, impact-start or dedupe fields; unknown fields are ignored.

    Notifications that people would have received are recorded in `store.pages`.
    """
    body, store = await read_body(call), call.store
    checks = Checks(body)
    message = checks.text("message", MESSAGE, required=True)
    fields: dict[str, Any] = {
        "description": checks.text("description", DESCRIPTION),
        "tags": checks.strings("tags", MAX_TAGS, TAG),
        "details": checks.details(),
        "responders": checks.responders(store),
        "services": checks.strings("impactedServices", MAX_TAGS, 130),
        "priority": checks.text("priority", 2) or "P3",
    }
    note = checks.text("note", NOTE)
    if fields["priority"] not in PRIORITIES:
        checks.errors["priority"] = "Priority should be one of [P1, P2, P3, P4, P5]."
    entry = body.get("statusPageEntry")
    if entry is not None and not (isinstance(entry, dict) and entry.get("title")):
        checks.errors["statusPageEntry.title"] = "Title can not be empty."
    checks.done()
    by = call.key.name

    def run() -> Outcome:
        incident = store.incidents.add(message, by=by, **fields)
        if note:
            store.incidents.add_note(incident.id, note, by)
        for reason in ("responders", "notifyStakeholders", "statusPageEntry", "impactedServices"):
            if body.get(reason):
                store.page(incident, reason, body[reason])
        if entry:
            store.incidents.add_entry(incident.id, "StatusPageAdded", by=by, text=entry["title"])
        return True, "Created incident", incident.id

    return _accept(call, "Create", run)


async def add_entry(call: Call) -> Response:
    """The only way to backdate: `time` may be in the past."""
    incident = find(call)
    body = await read_body(call)
    description = body.get("description")
    content = description.get("content") if isinstance(description, dict) else None
    if not content:
        raise unprocessable("Request body is not processable.", {"description.content": "Can not be empty."})
    try:
        at = to_nanos(body["time"]) if body.get("time") else None
    except (TypeError, ValueError) as problem:
        raise unprocessable("Request body is not processable.", {"time": "Invalid date"}) from problem
    call.store.incidents.add_entry(incident.id, "CustomUserEntry", at, call.key.name, content)
    return call.reply(msgspec.json.encode(incident.entries[-1].payload()), 201)


def _accept(call: Call, action: str, run: Callable[[], Outcome]) -> Response:
    call.store.requests.submit(call.request_id, action, run)
    return call.accepted()


def _on_incident(
    action: str,
    done: str,
    read: Callable[[Checks, Call], Any],
    apply: Callable[[Store, Incident, Any, str], str | None],
) -> Handler:
    """An action on an incident. Only the request's status shows whether the incident exists.

    `apply` returns the reason why it failed, or None.
    """

    async def handler(call: Call) -> Response:
        checks = Checks(await read_body(call))
        value = read(checks, call)
        note = checks.text("note", NOTE)
        checks.done()
        store, by = call.store, call.key.name
        kind = call.choice("identifierType", "id", ("id", "tiny"))
        identifier = call.path["identifier"]

        def run() -> Outcome:
            incident = store.incidents.get(identifier, by_tiny=kind == "tiny")
            if incident is None or not store.sees(call.key, incident):
                return MISSING
            problem = apply(store, incident, value, by)
            if problem:
                return False, problem, incident.id
            if note and action not in ("AddNote", "Delete"):
                store.incidents.add_note(incident.id, note, by)
            return True, done, incident.id

        return _accept(call, action, run)

    return handler


def _nothing(checks: Checks, call: Call) -> None:
    return None


def _listed(name: str) -> Callable[[Checks, Call], list[str]]:
    """A comma-separated query parameter of at most ten names."""

    def read(checks: Checks, call: Call) -> list[str]:
        names = [part for part in call.params.get(name, "").split(",") if part]
        if not names or len(names) > MAX_KEYS:
            checks.errors[name] = f"{name.capitalize()} should have 1 to {MAX_KEYS} items."
        return names

    return read


def _resolve(store: Store, incident: Incident, value: Any, by: str) -> str | None:
    if incident.status != "open":
        return "Incident is not open"
    store.incidents.resolve(incident.id, by=by)
    return None


def _close(store: Store, incident: Incident, value: Any, by: str) -> str | None:
    if incident.status == "closed":
        return "Incident is already closed"
    store.incidents.close(incident.id, by=by)
    return None


def _reopen(store: Store, incident: Incident, value: Any, by: str) -> str | None:
    if incident.status == "open":
        return "Incident is already open"
    store.incidents.reopen(incident.id, by=by)
    return None


def _note(store: Store, incident: Incident, value: str, by: str) -> None:
    store.incidents.add_note(incident.id, value, by)


def _tags(store: Store, incident: Incident, value: list[str], by: str) -> None:
    store.incidents.add_tags(incident.id, value)


def _untag(store: Store, incident: Incident, value: list[str], by: str) -> None:
    store.incidents.remove_tags(incident.id, value)


def _details(store: Store, incident: Incident, value: dict[str, str], by: str) -> None:
    store.incidents.add_details(incident.id, value)


def _undetail(store: Store, incident: Incident, value: list[str], by: str) -> None:
    store.incidents.remove_details(incident.id, value)


def _delete(store: Store, incident: Incident, value: Any, by: str) -> None:
    store.incidents.delete(incident.id)


_INCIDENT_PATH = "/v1/incidents/{identifier}"

#: (method, path, handler)
ACTIONS: list[tuple[str, str, Handler]] = [
    ("POST", "/v1/incidents/create", create),
    ("POST", "/v2/incident-timelines/{identifier}/entries", add_entry),
    ("POST", _INCIDENT_PATH + "/resolve", _on_incident("Resolve", "Resolved incident", _nothing, _resolve)),
    ("POST", _INCIDENT_PATH + "/close", _on_incident("Close", "Closed incident", _nothing, _close)),
    ("POST", _INCIDENT_PATH + "/reopen", _on_incident("Reopen", "Reopened incident", _nothing, _reopen)),
    (
        "POST",
        _INCIDENT_PATH + "/notes",
        _on_incident(
            "AddNote", "Added note", lambda checks, call: checks.text("note", NOTE, required=True), _note
        ),
    ),
    (
        "POST",
        _INCIDENT_PATH + "/tags",
        _on_incident(
            "AddTags", "Added tags", lambda checks, call: checks.strings("tags", MAX_TAGS, TAG), _tags
        ),
    ),
    ("DELETE", _INCIDENT_PATH + "/tags", _on_incident("RemoveTags", "Removed tags", _listed("tags"), _untag)),
    (
        "POST",
        _INCIDENT_PATH + "/details",
        _on_incident("AddDetails", "Added details", lambda checks, call: checks.details(), _details),
    ),
    (
        "DELETE",
        _INCIDENT_PATH + "/details",
        _on_incident("RemoveDetails", "Removed details", _listed("keys"), _undetail),
    ),
    ("DELETE", _INCIDENT_PATH, _on_incident("Delete", "Deleted incident", _nothing, _delete)),
]
