"""The `/_sandbox` routes for PagerDuty: settings, clock, keys, changes to incidents and the catalogue."""

from __future__ import annotations

from starlette.routing import BaseRoute

from sandbox.control import clock_route, control_route, settings_route
from sandbox.pagerduty.bodies import View
from sandbox.pagerduty.model import Incident, Json
from sandbox.pagerduty.store import Key, Store

_SETTINGS = (
    "region",
    "time_zone",
    "error_style",
    "bare_429",
    "long_range",
    "until_inclusive",
    "log_digits",
    "abilities",
)
_CHANGES = (
    "add",
    "edit",
    "assign",
    "notify",
    "acknowledge",
    "unacknowledge",
    "resolve",
    "reopen",
    "merge",
    "add_note",
    "edit_note",
    "delete_note",
    "add_alert",
    "add_entry",
    "delete",
)


def routes(store: Store) -> list[BaseRoute]:
    """Routes for `sandbox.control.control_app`."""

    def keys(method: str, body: Json) -> Json:
        """PUT `{key: {name, read_only, user, region}}` replaces all keys."""
        store.keys = {secret: Key(**fields) for secret, fields in body.items()}
        return {"keys": len(store.keys)}

    def incidents(method: str, body: Json) -> Json:
        """POST `{"action": "resolve", "id_": ..., ...}`: a change of `Incidents`, with its arguments."""
        action = body.pop("action")
        if action not in _CHANGES:
            raise ValueError(f"unknown action {action!r}: one of {', '.join(_CHANGES)}")
        changed = getattr(store.incidents, action)(**body)
        if isinstance(changed, Incident):
            return View(store).incident(changed)
        return {"id": changed.id} if changed else {}

    def catalogue(method: str, body: Json) -> Json:
        """DELETE `?kind=service&id=...`: references to the deleted object stay."""
        store.drop(body["kind"], body["id"])
        return {"gone": store.gone}

    return [
        settings_route(dict.fromkeys(_SETTINGS, store)),
        clock_route(store.clock),
        control_route("/keys", ["PUT"], keys),
        control_route("/incidents", ["POST"], incidents),
        control_route("/catalogue", ["DELETE"], catalogue),
    ]
