"""Deliveries as GitHub, GitLab and docs/webhook.md describe them, and signed as each sender does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

GITHUB: dict[str, Any] = {
    "action": "created",
    "deployment_status": {
        "id": 1,
        "state": "success",
        "log_url": "https://github.example/runs/1",
        "created_at": "2025-03-12T12:05:00Z",
    },
    "deployment": {
        "id": 42,
        "sha": "a" * 40,
        "environment": "production",
        "created_at": "2025-03-12T12:00:00Z",
        "updated_at": "2025-03-12T12:05:00Z",
    },
    "repository": {"id": 7, "name": "checkout-app", "full_name": "acme/checkout-app"},
}
GITLAB: dict[str, Any] = {
    "object_kind": "deployment",
    "status": "success",
    "status_changed_at": "2025-03-12 14:05:00 +0200",
    "deployment_id": 15,
    "deployable_url": None,
    "environment": "production",
    "environment_tier": "production",
    "project": {"id": 30, "path_with_namespace": "acme/shop/checkout"},
    "short_sha": "279484c0",
}
GENERIC: dict[str, Any] = {
    "deployment_id": "release-42",
    "service": "checkout",
    "environment": "production",
    "status": "success",
    "triggered_at": "2025-03-12T12:00:00Z",
}
BODIES = {"github": GITHUB, "gitlab": GITLAB, "generic": GENERIC}


def signed(sender: str, body: bytes, delivery: str, event: str, secret: str) -> dict[str, str]:
    """The headers with which a sender shows that it knows the secret."""
    if sender == "github":
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": f"sha256={signature}",
        }
    if sender == "gitlab":
        return {"X-Gitlab-Token": secret, "Idempotency-Key": delivery}
    sent = str(int(time.time()))
    mac = hmac.new(secret.encode(), f"{delivery}.{sent}.".encode() + body, hashlib.sha256)
    signature = f"v1,{base64.b64encode(mac.digest()).decode()}"
    return {"webhook-id": delivery, "webhook-timestamp": sent, "webhook-signature": signature}
