"""GET alerts: the list with its search syntax, a single alert, its log and notes."""

from __future__ import annotations

import operator
from collections.abc import Callable

from starlette.responses import Response

from sandbox.instants import MS, SECOND, Nanos, to_nanos
from sandbox.jsm.alerts import Alert, Note
from sandbox.jsm.errors import OFFSET_CAP, invalid, not_found
from sandbox.jsm.model import Json
from sandbox.jsm.web import Call
from sandbox.opsgenie.query import And, Node, Not, Or, QueryError, Term, milliseconds, parse

MAX_WINDOW = 20_000
#: insertedAt is the default and equals createdAt here. There is no updatedAt.
SORTS: dict[str, Callable[[Alert], tuple[object, str]]] = {
    "createdAt": lambda alert: (alert.created, alert.id),
    "insertedAt": lambda alert: (alert.created, alert.id),
    "lastOccurredAt": lambda alert: (alert.last_occurred, alert.id),
    "priority": lambda alert: (alert.priority, alert.id),
}
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    ":": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def _values(alert: Alert, field: str) -> list[str]:
    found = {
        "id": [alert.id],
        "tinyId": [alert.tiny_id],
        "status": [alert.status(False)],
        "priority": [alert.priority],
        "tag": alert.tags,
        "details.key": list(alert.details),
        "details.value": list(alert.details.values()),
    }
    if field not in found:
        raise invalid(f"Field [{field}] is not searchable.")
    return found[field]


def _matches(alert: Alert, node: Node) -> bool:
    if isinstance(node, And):
        return all(_matches(alert, part) for part in node.parts)
    if isinstance(node, Or):
        return any(_matches(alert, part) for part in node.parts)
    if isinstance(node, Not):
        return not _matches(alert, node.part)
    return _term(alert, node)


def _term(alert: Alert, term: Term) -> bool:
    if term.field == "createdAt":
        return _COMPARE[term.op](alert.created // MS, milliseconds(term.value))
    wanted = term.value.casefold()
    if term.field in ("message", "description"):
        return wanted in str(getattr(alert, term.field)).casefold()
    return any(value.casefold() == wanted for value in _values(alert, term.field))


def _bound(call: Call, name: str, default: Nanos) -> Nanos:
    """`from` and `to`: numbers according to their type, date-times according to their description."""
    reading = call.store.switches.alert_from
    if reading == "ignored" or not call.text(name):
        return default
    if reading == "seconds":
        return call.number(name, 0) * SECOND
    try:
        return to_nanos(call.text(name))
    except ValueError as problem:
        raise invalid(f"{name} should be a date-time.") from problem


def _visible(call: Call) -> list[Alert]:
    """An administrator sees all alerts, a member those of its teams and its own, others none."""
    alerts = call.store.alerts.all()
    if call.token.role == "admin" and call.store.has_role(call.token):
        return alerts
    own = call.store.teams_of(call.token)
    if call.store.has_role(call.token):
        own.add(call.token.account_id)
    return [alert for alert in alerts if any(id_ in own for _, id_ in alert.responders)]


async def list_alerts(call: Call) -> Response:
    """`count` is the total of all pages; offset + size must be below 20,000."""
    sort = call.choice("sort", "insertedAt", list(SORTS))
    order = call.choice("order", "desc", ("asc", "desc"))
    if call.number("offset", 0) + call.size(20, 100) >= MAX_WINDOW:
        raise invalid(OFFSET_CAP)
    try:
        node = parse(call.text("query"))
    except QueryError as problem:
        raise invalid(str(problem)) from problem
    low, high = _bound(call, "from", 0), _bound(call, "to", 2**63)
    found = [
        alert
        for alert in _visible(call)
        if low <= alert.created <= high and (node is None or _matches(alert, node))
    ]
    found.sort(key=SORTS[sort], reverse=order == "desc")
    spec, details = _style(call)
    return call.values([alert.payload(spec, details) for alert in found], 20, 100, count=len(found))


def _style(call: Call) -> tuple[bool, bool]:
    switches = call.store.switches
    return switches.alert_statuses == "spec", switches.alert_list_details


def _alert(call: Call) -> Alert:
    alert = call.store.alerts.get(call.path["id"])
    if alert is None or alert not in _visible(call):
        raise not_found("Alert")
    return alert


async def get_alert(call: Call) -> Response:
    return call.ok(_alert(call).payload(_style(call)[0]))


async def get_by_alias(call: Call) -> Response:
    alert = call.store.alerts.by_alias(call.text("alias"))
    if alert is None or alert not in _visible(call):
        raise not_found("Alert")
    return call.ok(alert.payload(_style(call)[0]))


def _after(call: Call, lines: list[Note], show: Callable[[Note], Json]) -> Response:
    """Logs and notes are paged by a cursor, which is in links.next."""
    size, after = call.size(20, 100), call.number("after", 0)
    page = [show(line) for line in lines[after : after + size]]
    path = f"/v1/{call.request.url.path.split('/v1/', 1)[1]}"
    more = after + size < len(lines)
    return call.ok(
        {"values": page, **call.links(f"{path}?after={after + size}&size={size}" if more else None)}
    )


async def list_logs(call: Call) -> Response:
    return _after(call, _alert(call).logs, Note.log)


async def list_notes(call: Call) -> Response:
    return _after(call, _alert(call).notes, Note.note)
