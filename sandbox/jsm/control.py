"""The `/_sandbox` routes for Jira Service Management: settings, clock, tokens, changes to its data."""

from __future__ import annotations

import dataclasses
from typing import Any

from starlette.routing import BaseRoute

from sandbox.control import clock_route, control_route, settings_route
from sandbox.instants import to_nanos
from sandbox.jsm.model import Json
from sandbox.jsm.store import Store, Token
from sandbox.jsm.switches import Switches

_ISSUES = (
    "add",
    "edit",
    "transition",
    "acknowledge",
    "resolve",
    "close",
    "reopen",
    "move",
    "add_history",
    "hide",
    "show",
    "delete",
)
_ALERTS = ("add", "edit", "acknowledge", "close", "reopen", "repeat", "add_note", "delete")
#: Methods of the store, and of its catalogue.
_STORE = (
    "add_account",
    "hide_email",
    "drop_account",
    "add_team",
    "drop_team",
    "add_service",
    "rename_service",
    "drop_service",
    "drop_rotation",
    "drop_schedule",
    "enable_schedule",
    "add_override",
    "drop_escalation",
)
_CATALOGUE = (
    "add_status",
    "rename_status",
    "drop_status",
    "add_priority",
    "add_issue_type",
    "drop_issue_type",
    "add_project",
    "add_field",
    "rename_field",
)


def _act(holder: Any, actions: tuple[str, ...], body: Json) -> Json:
    """POST `{"action": "resolve", "id_": ..., ...}`: a method of the holder, with its arguments."""
    action = body.pop("action")
    if action not in actions:
        raise ValueError(f"unknown action {action!r}: one of {', '.join(actions)}")
    changed = getattr(holder, action)(**body)
    shown = ("id", "key", "ari", "alias", "name")
    return {name: getattr(changed, name) for name in shown if hasattr(changed, name)}


def _token(fields: Json) -> Token:
    """A token from the JSON of PUT /tokens: lists for sets, ISO 8601 for instants."""
    scopes, projects, expires = (fields.pop(name, None) for name in ("scopes", "projects", "expires_at"))
    return Token(
        **fields,
        scopes=None if scopes is None else frozenset(scopes),
        projects=None if projects is None else tuple(projects),
        expires_at=None if expires is None else to_nanos(expires),
    )


def routes(store: Store) -> list[BaseRoute]:
    """Routes for `sandbox.control.control_app`."""

    def tokens(method: str, body: Json) -> Json:
        """PUT `{token: {name, account_id, scopes, role, licensed, ...}}` replaces all tokens.

        POST `{"secret": ..., "at": ..., "after": ...}` makes a token expire.
        """
        if method == "PUT":
            store.tokens = {secret: _token(fields) for secret, fields in body.items()}
        else:
            store.expire(**body)
        return {"tokens": len(store.tokens)}

    def issues(method: str, body: Json) -> Json:
        return _act(store.issues, _ISSUES, body)

    def alerts(method: str, body: Json) -> Json:
        return _act(store.alerts, _ALERTS, body)

    def catalogue(method: str, body: Json) -> Json:
        if body["action"] in _STORE:
            return _act(store, _STORE, body)
        return _act(store.catalogue, _CATALOGUE, body)

    names = [field.name for field in dataclasses.fields(Switches)]
    return [
        settings_route(dict.fromkeys(names, store.switches)),
        clock_route(store.clock),
        control_route("/tokens", ["PUT", "POST"], tokens),
        control_route("/issues", ["POST"], issues),
        control_route("/alerts", ["POST"], alerts),
        control_route("/catalogue", ["POST"], catalogue),
    ]
