"""The `/_sandbox` routes for OpsGenie: settings, clock, keys, recorded pages, changes to incidents."""

from __future__ import annotations

from starlette.routing import BaseRoute

from sandbox.control import clock_route, control_route, settings_route
from sandbox.opsgenie.model import Json
from sandbox.opsgenie.store import Key, Store

_CHANGES = (
    "add",
    "edit",
    "resolve",
    "close",
    "reopen",
    "acknowledge",
    "add_entry",
    "add_note",
    "add_tags",
    "remove_tags",
    "add_details",
    "remove_details",
    "delete",
)

_ALERT_CHANGES = ("add", "edit", "acknowledge", "close", "reopen", "delete")


def routes(store: Store) -> list[BaseRoute]:
    """Routes for `sandbox.control.control_app`."""

    def keys(method: str, body: Json) -> Json:
        """PUT `{key: {name, rights, team, region}}` replaces all keys."""
        store.keys = {
            secret: Key(
                fields["name"], frozenset(fields["rights"]), fields.get("team"), fields.get("region", "us")
            )
            for secret, fields in body.items()
        }
        return {"keys": len(store.keys)}

    return [
        settings_route(
            dict.fromkeys(
                ("plan", "plan_refusal", "counts_alerts", "region", "paging_base", "trailing_offset"), store
            )
            | dict.fromkeys(("processing_ms", "processing_polls"), store.requests)
            | {"index_lag_ms": store.incidents}
        ),
        clock_route(store.clock),
        control_route("/keys", ["PUT"], keys),
        *_events(store),
    ]


def _events(store: Store) -> list[BaseRoute]:
    def pages(method: str, body: Json) -> Json:
        """The notifications that the service would have sent; DELETE clears them."""
        if method == "DELETE":
            store.pages.clear()
        return {"pages": store.pages}

    def incidents(method: str, body: Json) -> Json:
        """POST `{"action": "resolve", "id_": ..., ...}`: a change of `Incidents`, with its arguments."""
        action = body.pop("action")
        if action not in _CHANGES:
            raise ValueError(f"unknown action {action!r}: one of {', '.join(_CHANGES)}")
        changed = getattr(store.incidents, action)(**body)
        return changed.payload() if changed else {}

    def alerts(method: str, body: Json) -> Json:
        """POST `{"action": "close", "id_": ..., ...}`: a change of `Alerts`, with its arguments."""
        action = body.pop("action")
        if action not in _ALERT_CHANGES:
            raise ValueError(f"unknown action {action!r}: one of {', '.join(_ALERT_CHANGES)}")
        changed = getattr(store.alerts, action)(**body)
        return changed.payload(single=True) if changed else {}

    return [
        control_route("/pages", ["GET", "DELETE"], pages),
        control_route("/incidents", ["POST"], incidents),
        control_route("/alerts", ["POST"], alerts),
    ]
