"""GET /v2/alerts, /v2/alerts/count, /v2/alerts/{id}."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from sandbox.opsgenie.alerts import SORTS, Alert, Test, list_item
from sandbox.opsgenie.errors import ApiError, not_found, unprocessable
from sandbox.opsgenie.query import QueryError
from sandbox.opsgenie.web import Call


def _found(call: Call, sort: str, *, descending: bool) -> list[Alert]:
    store, key = call.store, call.key
    scope: Test | None = None
    if key.team is not None:
        scope = lambda alert: store.sees_alert(key, alert)  # noqa: E731
    try:
        return store.alerts.select(call.params.get("query", ""), sort, descending, scope)
    except QueryError as problem:
        raise unprocessable(str(problem)) from problem


async def list_alerts(call: Call) -> Response:
    """limit is 20 by default, at most 100; newest first; without totalCount, as the reference has it."""
    offset, limit = call.window()
    sort = call.choice("sort", "createdAt", tuple(SORTS))
    order = call.choice("order", "desc", ("desc", "asc"))
    found = _found(call, sort, descending=order == "desc")
    items = [list_item(alert) for alert in found[offset : offset + limit]]
    return call.page(items, len(found), offset, limit, counted=False, sort=sort, order=order)


async def count_alerts(call: Call) -> Response:
    if not call.store.counts_alerts:
        raise ApiError(404, "No resource found at this path")
    return call.ok({"count": len(_found(call, "createdAt", descending=False))})


async def get_alert(call: Call) -> Response:
    identifier = call.path["identifier"]
    call.choice("identifierType", "id", ("id",))
    alert = call.store.alerts.get(identifier)
    if alert is None or not call.store.sees_alert(call.key, alert):
        raise not_found("Alert", identifier)
    return call.reply(msgspec.json.encode(alert.payload(single=True)))
