"""The three services as a test has them answer: lists by path, in pages as the service gives them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.support.postgres import Warehouse

NOW = datetime.now(UTC).replace(microsecond=0)
OPSGENIE_LISTS = (
    "/v1/incidents", "/v1/services", "/v2/users", "/v2/teams", "/v2/schedules", "/v2/escalations",
)  # fmt: skip
PAGERDUTY_LISTS = ("/incidents", "/services", "/teams", "/priorities", "/log_entries")


def ago(**delta: float) -> str:
    return (NOW - timedelta(**delta)).isoformat().replace("+00:00", "Z")


def values(warehouse: Warehouse, query: str, *params: Any) -> list[tuple[Any, ...]]:
    """The rows of a query whose columns have different names."""
    return [tuple(row.values()) for row in warehouse.rows(query, *params)]


class Canned:
    """An ASGI app.

    :ivar lists: by path, what is there: the items of a list, or another answer as it is.
    :ivar refusals: (expression, response), each given once to the first path that it is found in.
    :ivar page_cap: PagerDuty's longest page, whatever is asked for.
    """

    def __init__(self) -> None:
        self.lists: dict[str, Any] = {"/v2/account": {"name": "case", "plan": {"name": "Enterprise"}}}
        for path in (*OPSGENIE_LISTS, *PAGERDUTY_LISTS):
            self.lists[path] = []
        self.refusals: list[tuple[str, Response]] = []
        self.moved: dict[str, str] = {}
        self.page_cap = 100
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        path, query = scope["path"], scope["query_string"].decode()
        self.asked.append(f"{path}?{query}")
        assert scope["method"] == "GET"
        for place, (expression, response) in enumerate(self.refusals):
            if re.search(expression, path):
                del self.refusals[place]
                return response
        for old, new in self.moved.items():
            if path.startswith(old):
                host = dict(scope["headers"])[b"host"].decode()
                location = f"http://{host}{new}{path.removeprefix(old)}?{query}"
                return _json({"message": "Moved Permanently", "url": location}, 301, Location=location)
        params = dict(parse_qsl(query))
        found = self.lists.get(path)
        if "incident-timelines" in path and found is None:
            found = {"entries": [], "nextOffset": ""}
        elif (path.endswith("/pulls") and found is None) or ("/incidents/P" in path and found is None):
            found = []
        if found is None:
            return _json({"message": "Not Found"}, 404)
        if "/repos/" in path or "/repositories/" in path:
            size, page = int(params.get("per_page", 30)), int(params.get("page", 1))
            return _json(found[size * (page - 1) : size * page])
        if re.match(r"/v[12]/", path):
            return _json(_opsgenie(path, params, found))
        return _json(self._pagerduty(path.rsplit("/", 1)[1], params, found))

    def _pagerduty(self, name: str, params: dict[str, str], found: list[Any]) -> dict[str, Any]:
        if name == "incidents" and params.get("date_range") != "all":
            # Without a bound it gives a month: who forgets them misses the rest.
            until = datetime.fromisoformat(params.get("until", NOW.isoformat()))
            since = datetime.fromisoformat(params.get("since", (until - timedelta(days=30)).isoformat()))
            found = [item for item in found if since <= datetime.fromisoformat(item["created_at"]) < until]
        limit, offset = min(int(params.get("limit", 25)), self.page_cap), int(params.get("offset", 0))
        page = found[offset : offset + limit]
        total = len(found) if params.get("total") == "true" else None
        more = offset + len(page) < len(found)
        return {name: page, "limit": limit, "offset": offset, "total": total, "more": more}

    # --- what there is

    def deployment(
        self, repository: str, number: int, created_at: str, *statuses: tuple[str, str], **more: Any
    ) -> None:
        """A deployment at GitHub; its statuses are (state, when), the oldest first."""
        shown = [
            {"id": 10 * number + place, "state": state, "created_at": at, "description": ""}
            for place, (state, at) in enumerate(statuses)
        ]
        made = {
            "id": number, "sha": f"{number:040x}", "ref": "main", "task": "deploy",
            "environment": "production", "created_at": created_at,
            "updated_at": max([created_at, *(at for _, at in statuses)]), **more,
        }  # fmt: skip
        path = f"/repos/{repository}/deployments"
        others = [item for item in self.lists.get(path, []) if item["id"] != number]
        self.lists[path] = sorted([*others, made], key=lambda item: item["created_at"], reverse=True)
        self.lists[f"{path}/{number}/statuses"] = shown[::-1]

    def move(self, old: str, new: str) -> None:
        """Let what is below a path answer below another one, and the old one say so."""
        self.moved[old] = new
        for path in [path for path in self.lists if path.startswith(old)]:
            self.lists[new + path.removeprefix(old)] = self.lists.pop(path)


def _json(body: Any, status: int = 200, **headers: str) -> Response:
    return Response(json.dumps(body), status, headers, "application/json")


def _opsgenie(path: str, params: dict[str, str], found: Any) -> dict[str, Any]:
    if not isinstance(found, list):
        return {"data": found, "took": 0.1, "requestId": "r"}
    if path == "/v1/incidents":
        found = _searched(params.get("query", ""), found)
    if path not in ("/v1/incidents", "/v1/services", "/v2/users"):
        return {"data": found}
    offset, limit = int(params.get("offset", 0)), int(params.get("limit", 20))
    body = {"data": found[offset : offset + limit], "totalCount": len(found), "took": 0.1, "requestId": "r"}
    if offset + limit < len(found):
        body["paging"] = {"next": f"https://api.opsgenie.com{path}?offset={offset + limit}&limit={limit}"}
    return body


def _searched(query: str, incidents: list[Any]) -> list[Any]:
    lower, upper = re.search(r"createdAt >= (\d+)", query), re.search(r"createdAt < (\d+)", query)
    statuses = re.findall(r"status\s*[:=]\s*\"?(\w+)", query)
    found = []
    for item in incidents:
        at = datetime.fromisoformat(item["createdAt"]).timestamp() * 1000
        in_time = (not lower or at >= int(lower[1])) and (not upper or at < int(upper[1]))
        if in_time and (not statuses or item["status"] in statuses):
            found.append(item)
    return sorted(found, key=lambda item: datetime.fromisoformat(item["createdAt"]))


def incident(id_: str, created_at: str, status: str = "resolved", **more: Any) -> dict[str, Any]:
    """An incident of OpsGenie."""
    return {
        "id": id_, "tinyId": "1", "message": f"Incident {id_}", "status": status, "priority": "P3",
        "createdAt": created_at, "updatedAt": created_at, "tags": [], "impactedServices": [],
        "responders": [], "ownerTeam": "", "extraProperties": {}, "actions": [],
        "links": {"web": "https://x.example.org/1", "api": "https://api.example.org/1"}, **more,
    }  # fmt: skip


def page_of(id_: str, created_at: str, **more: Any) -> dict[str, Any]:
    """An incident of PagerDuty, which was resolved as soon as it began unless asked otherwise."""
    return {
        "id": id_, "type": "incident", "incident_number": 1, "title": f"Incident {id_}", "status": "resolved",
        "urgency": "high", "created_at": created_at, "updated_at": created_at,
        "last_status_change_at": created_at, "resolved_at": created_at, "incident_key": None,
        "priority": None, "service": {"id": "PS1", "type": "service_reference", "summary": "Checkout"},
        "assignments": [], "acknowledgements": [], "resolve_reason": None, "teams": [],
        "html_url": f"https://acme.pagerduty.com/incidents/{id_}",
    } | more  # fmt: skip
