"""Single issues and their changelogs."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from sandbox.jsm.errors import NO_ISSUE, ApiError, bad_request
from sandbox.jsm.issue_bodies import View
from sandbox.jsm.model import Issue, Json
from sandbox.jsm.web import Call

#: Page size of an issue's changelog: default and maximum.
PAGE = 100


def _issue(call: Call) -> Issue:
    """The issue of the path; the same 404 if it does not exist and if the caller may not see it."""
    issue = call.store.issues.get(call.path["issue"])
    if issue is None or not call.store.sees(call.token, issue):
        raise ApiError(404, NO_ISSUE)
    return issue


async def get_issue(call: Call) -> Response:
    """All fields, unless `fields` names some."""
    fields, expand = call.many("fields") or ["*all"], set(call.many("expand"))
    return call.ok(View(call).issue(_issue(call), fields, expand, call.store.switches.changelog_cut))


async def get_changelog(call: Call) -> Response:
    """The whole changelog, oldest first, paged by offset."""
    histories = _issue(call).histories
    start, size = call.number("startAt", 0), min(call.number("maxResults", PAGE, 1), PAGE)
    view = View(call)
    page = histories[start : start + size]
    return call.ok(
        {
            "maxResults": size,
            "startAt": start,
            "total": len(histories),
            "isLast": start + size >= len(histories),
            "values": [view.history(history) for history in page],
        }
    )


async def bulk_changelog(call: Call) -> Response:
    """Changelogs of up to 1000 issues, oldest first; the page size counts entries."""
    try:
        body: Json = msgspec.json.decode(await call.request.body(), type=dict)
    except msgspec.DecodeError as problem:
        raise bad_request("Invalid request payload. Refer to the REST API documentation.") from problem
    wanted, fields = body.get("issueIdsOrKeys") or [], set(body.get("fieldIds") or [])
    if not 1 <= len(wanted) <= 1_000 or len(fields) > 10:
        raise bad_request("issueIdsOrKeys must name 1 to 1000 issues, fieldIds at most 10 fields.")
    size, start = min(int(body.get("maxResults") or 1_000), 10_000), int(body.get("nextPageToken") or 0)
    found = {issue.id: issue for id_ in wanted if (issue := call.store.issues.get(str(id_)))}
    entries = [
        (issue.id, history)
        for issue in found.values()
        if call.store.sees(call.token, issue)
        for history in issue.histories
        if not fields or any(item.field_id in fields for item in history.items)
    ]
    view, logs = View(call), dict[str, list[Json]]()
    for id_, history in entries[start : start + size]:
        logs.setdefault(id_, []).append(view.history(history, call.store.switches.epoch_ms))
    answer: Json = {
        "issueChangeLogs": [{"issueId": id_, "changeHistories": made} for id_, made in logs.items()]
    }
    if start + size < len(entries):
        answer["nextPageToken"] = str(start + size)
    return call.ok(answer)
