"""Bodies of webhooks, cut down from what the services document, with all that a row is made of."""

from __future__ import annotations

import copy
from typing import Any

GITHUB: dict[str, Any] = {
    "action": "created",
    "deployment_status": {
        "id": 209916254,
        "state": "success",
        "target_url": "",
        "log_url": "https://github.example/runs/1",
        "created_at": "2025-03-12T12:05:00Z",
        "updated_at": "2025-03-12T12:05:00Z",
    },
    "deployment": {
        "id": 145988746,
        "sha": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
        "ref": "main",
        "environment": "production",
        "created_at": "2025-03-12T12:00:00Z",
        "updated_at": "2025-03-12T12:05:00Z",
    },
    "repository": {"id": 186853002, "name": "checkout-app", "full_name": "acme/checkout-app"},
    "sender": {"login": "octocat"},
}
GITLAB: dict[str, Any] = {
    "object_kind": "deployment",
    "status": "success",
    "status_changed_at": "2025-03-12 14:05:00 +0200",
    "deployment_id": 15,
    "deployable_id": 796,
    "deployable_url": "https://gitlab.example/acme/checkout/-/jobs/796",
    "environment": "production",
    "environment_tier": "production",
    "project": {"id": 30, "name": "Checkout", "path_with_namespace": "acme/shop/checkout"},
    "short_sha": "279484c0",
    "commit_url": "https://gitlab.example/acme/checkout/-/commit/279484c09fbe69ededfced8c1bb6e6d24616b468",
}
GENERIC: dict[str, Any] = {
    "deployment_id": "release-42",
    "service": "checkout",
    "environment": "production",
    "status": "success",
    "triggered_at": "2025-03-12T12:00:00Z",
    "event_at": "2025-03-12T12:05:00Z",
    "commit_sha": "abc123",
    "pr_number": 7,
    "pr_title": "Faster checkout",
}
BODIES = {"github": GITHUB, "gitlab": GITLAB, "generic": GENERIC}


def changed(sender: str, **paths: Any) -> dict[str, Any]:
    """A good body with other values; ``deployment__created_at`` is a field within."""
    body = copy.deepcopy(BODIES[sender])
    for path, value in paths.items():
        *outer, name = path.split("__")
        target = body
        for each in outer:
            target = target[each]
        target[name] = value
    return body
