"""What `/_sandbox` adds for GitHub: settings, clock, tokens, new deployments, statuses and pull requests."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute

from sandbox.control import clock_route, control_route, settings_route
from sandbox.github.store import Store, Token

_CHANGES = (
    "add_repository",
    "add_deployment",
    "add_status",
    "add_pull",
    "rename_repository",
    "remove_deployment",
)


def routes(store: Store) -> list[BaseRoute]:
    """Routes for `sandbox.control.control_app`."""

    def tokens(method: str, body: dict[str, Any]) -> Any:
        """PUT `{token: {name, repositories, deployments}}` replaces all tokens."""
        store.tokens = {
            secret: Token(
                fields["name"],
                None if fields.get("repositories") is None else frozenset(fields["repositories"]),
                fields.get("deployments", True),
            )
            for secret, fields in body.items()
        }
        return {"tokens": len(store.tokens)}

    def changes(method: str, body: dict[str, Any]) -> Any:
        """POST `{"action": "add_deployment", "repository": ..., ...}`: a method of `Store`."""
        action = body.pop("action")
        if action not in _CHANGES:
            raise ValueError(f"unknown action {action!r}: one of {', '.join(_CHANGES)}")
        return {"id": getattr(store, action)(**body).id}

    return [
        settings_route(dict.fromkeys(("link_base", "secondary_status", "retry_after"), store)),
        clock_route(store.clock),
        control_route("/tokens", ["PUT"], tokens),
        control_route("/changes", ["POST"], changes),
    ]
