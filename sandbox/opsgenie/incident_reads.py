"""GET /v1/incidents..., /v2/incident-timelines/{id}/entries."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.responses import Response

from sandbox.instants import MS, iso
from sandbox.opsgenie.errors import ApiError, not_found, unprocessable
from sandbox.opsgenie.incidents import SORTS
from sandbox.opsgenie.model import ENTRY_GROUPS, Incident
from sandbox.opsgenie.query import QueryError
from sandbox.opsgenie.web import Call

ORDERS = ("desc", "asc")
MAX_ENTRIES = 20
GROUPS = {
    *ENTRY_GROUPS.values(),
    "stakeholderUpdate",
    "iccSessionLifecycle",
    "iccSessionDetails",
    "integration",
}

_PROSE = {
    "IncidentOpened": "Incident with tinyId[{tiny}] has been created via API",
    "IncidentResolved": "Incident with tinyId[{tiny}] has been resolved",
    "IncidentClosed": "Incident with tinyId[{tiny}] has been closed",
    "IncidentReopened": "Incident with tinyId[{tiny}] has been reopened",
}

Item = TypeVar("Item")

_CURSOR = re.compile(r"(\d+)_(\d+)")


def find(call: Call) -> Incident:
    """The incident of the path, by id or tinyId; 404 if it does not exist or is another team's."""
    identifier = call.path["identifier"]
    kind = call.choice("identifierType", "id", ("id", "tiny"))
    incident = call.store.incidents.get(identifier, by_tiny=kind == "tiny")
    if incident is None or not call.store.sees(call.key, incident):
        raise not_found("Incident", identifier)
    return incident


async def list_incidents(call: Call) -> Response:
    """limit is 20 by default, at most 100; newest first; from the search index, which lags."""
    offset, limit = call.window()
    sort = call.choice("sort", "createdAt", tuple(SORTS))
    order = call.choice("order", "desc", ORDERS)
    key = call.key
    scope: tuple[str, Callable[[Incident], bool]] | None = None
    if key.team is not None:
        scope = (key.team, lambda incident: call.store.sees(key, incident))
    try:
        found = call.store.incidents.select(call.params.get("query", ""), sort, order == "desc", scope)
    except QueryError as problem:
        raise unprocessable(str(problem)) from problem
    items = [incident.json() for incident in found[offset : offset + limit]]
    return call.page(items, len(found), offset, limit, sort=sort, order=order)


async def get_incident(call: Call) -> Response:
    return call.reply(find(call).json())


async def list_entries(call: Call) -> Response:
    """At most 20 entries per page; `nextOffset` is the `offset` of the next page."""
    incident = find(call)
    limit = call.number("limit", MAX_ENTRIES, 1, MAX_ENTRIES)
    order = call.choice("order", "desc", ORDERS)
    groups = {group for group in call.params.get("group", "").split(",") if group}
    unknown = groups - GROUPS
    if unknown:
        raise unprocessable(f"Unknown group {min(unknown)}")
    discard_hidden = call.params.get("discardHidden") == "true"
    # Entries of the same instant keep the order in which they were written.
    entries = [
        (entry.at, place, entry)
        for place, entry in enumerate(incident.entries)
        if (not groups or entry.group in groups) and not (discard_hidden and entry.hidden)
    ]
    page, more = _after(entries, call.params.get("offset", ""), limit, order == "desc")
    body: dict[str, Any] = {"entries": [entry.payload() for _, _, entry in page]}
    if more or (page and call.store.trailing_offset):
        body["nextOffset"] = "{}_{}".format(*page[-1])
    return call.ok(body)


async def list_logs(call: Call) -> Response:
    """Sentences about what happened, derived from the timeline."""
    incident = find(call)
    rows: list[tuple[int, dict[str, Any]]] = []
    for entry in incident.entries:
        prose = _PROSE.get(entry.type, f"{entry.type} on incident with tinyId[{{tiny}}]")
        text = prose.format(tiny=incident.tiny_id)
        rows.append((entry.at, {"log": text, "type": "ACTION", "owner": entry.actor}))
    return _rows(call, rows)


async def list_notes(call: Call) -> Response:
    incident = find(call)
    return _rows(call, [(note.at, {"note": note.text, "owner": note.owner}) for note in incident.notes])


async def request_status(call: Call) -> Response:
    """A request that is not processed yet is a 404 with a header; an unknown request a 404 without it."""
    request_id = call.path["request_id"]
    known, status = call.store.requests.poll(request_id)
    if status is not None:
        return call.ok(status)
    if known:
        headers = {"X-Opsgenie-Errortype": "RequestNotProcessed"}
        raise ApiError(404, "Request not found. It might not be processed, yet.", headers=headers)
    raise ApiError(404, "Request not found.")


def _rows(call: Call, rows: list[tuple[int, dict[str, Any]]]) -> Response:
    """Logs and notes: paged by an offset cursor; limit is 20 by default, at most 100; newest first."""
    limit = call.number("limit", 20, 1, 100)
    order = call.choice("order", "desc", ORDERS)
    direction = call.choice("direction", "next", ("next", "prev"))
    descending = (order == "desc") == (direction == "next")
    placed = [(at // MS, place, row) for place, (at, row) in enumerate(rows)]
    page, more = _after(placed, call.params.get("offset", ""), limit, descending)
    items = [{**row, "createdAt": iso(ms * MS), "offset": f"{ms}_{place}"} for ms, place, row in page]
    paging = {}
    if more:
        query = {**call.params, "offset": items[-1]["offset"], "limit": str(limit), "order": order}
        paging["next"] = f"{call.base_url()}{call.request.url.path}?{urlencode(query)}"
    return call.ok(items, paging=paging)


def _after(
    rows: list[tuple[int, int, Item]], cursor: str, limit: int, descending: bool
) -> tuple[list[tuple[int, int, Item]], bool]:
    """The rows (instant, place, item) after the cursor in the requested order, and whether more follow."""
    ordered = sorted(rows, key=lambda row: row[:2], reverse=descending)
    if cursor:
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise unprocessable("Request parameter [offset] is not valid")
        at = (int(match[1]), int(match[2]))
        ordered = [row for row in ordered if (row[:2] < at if descending else row[:2] > at)]
    return ordered[:limit], len(ordered) > limit
