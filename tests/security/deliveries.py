"""Deliveries to the webhook, signed as each sender does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import httpx
import pytest
from fastapi.testclient import TestClient

from samples import WEBHOOKS

SECRET = "canary-of-the-webhook-93aa"


def share_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the connection that holds the webhook's secret."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_DEPLOYMENTS_WEBHOOK", json.dumps({"conn_type": "generic", "password": SECRET})
    )


def signed(sender: str, body: bytes, delivery: str) -> dict[str, str]:
    """The headers with which a sender shows that it knows the secret."""
    key = SECRET.encode()
    if sender == "github":
        signature = hmac.new(key, body, hashlib.sha256).hexdigest()
        return {"X-GitHub-Event": "deployment_status", "X-Hub-Signature-256": f"sha256={signature}"}
    if sender == "gitlab":
        return {"X-Gitlab-Token": SECRET}
    sent = str(int(time.time()))
    mac = hmac.new(key, f"{delivery}.{sent}.".encode() + body, hashlib.sha256)
    signature = f"v1,{base64.b64encode(mac.digest()).decode()}"
    return {"webhook-id": delivery, "webhook-timestamp": sent, "webhook-signature": signature}


def deliver(client: TestClient) -> list[httpx.Response]:
    """One delivery of each sender."""
    answers = []
    for sender, payload in WEBHOOKS.items():
        body = json.dumps(payload).encode()
        headers = signed(sender, body, f"delivery-{sender}")
        answers.append(client.post(f"/webhook/{sender}", content=body, headers=headers))
    return answers
