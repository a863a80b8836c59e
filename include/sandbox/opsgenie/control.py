"""What `/_sandbox` adds for OpsGenie: settings, clock, keys, recorded pages, changes to incidents."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute

from sandbox.control import control_route
from sandbox.instants import iso
from sandbox.opsgenie.model import Json
from sandbox.opsgenie.store import Key, Store

#: setting -> the part of the store that holds it
_SETTINGS = {
    "plan": "",
    "region": "",
    "paging_base": "",
    "trailing_offset": "",
    "processing_ms": "requests",
    "processing_polls": "requests",
    "index_lag_ms": "incidents",
}
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


def routes(store: Store) -> list[BaseRoute]:
    """Routes for `sandbox.control.control_app`."""

    def holder(name: str) -> Any:
        return getattr(store, _SETTINGS[name]) if _SETTINGS[name] else store

    def settings(method: str, body: Json) -> Json:
        """POST changes what is given."""
        if method == "POST":
            for name, value in body.items():
                setattr(holder(name), name, value)
        return {name: getattr(holder(name), name) for name in _SETTINGS}

    def clock(method: str, body: Json) -> Json:
        """POST `{"advance": seconds}`."""
        if method == "POST":
            store.clock.advance(float(body["advance"]))
        return {"now": iso(store.clock())}

    def keys(method: str, body: Json) -> Json:
        """PUT `{key: {name, rights, team, region}}` replaces all keys."""
        store.keys = {
            secret: Key(one["name"], frozenset(one["rights"]), one.get("team"), one.get("region", "us"))
            for secret, one in body.items()
        }
        return {"keys": len(store.keys)}

    return [
        control_route("/settings", ["GET", "POST"], settings),
        control_route("/clock", ["GET", "POST"], clock),
        control_route("/keys", ["PUT"], keys),
        *_events(store),
    ]


def _events(store: Store) -> list[BaseRoute]:
    def pages(method: str, body: Json) -> Json:
        """The notifications that would have gone out; DELETE forgets them."""
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

    return [
        control_route("/pages", ["GET", "DELETE"], pages),
        control_route("/incidents", ["POST"], incidents),
    ]
