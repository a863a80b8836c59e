"""Deliveries to the webhook, signed as each sender does."""

from __future__ import annotations

import json

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.security.samples import WEBHOOKS
from tests.support import webhook_senders

SECRET = "canary-of-the-webhook-93aa"


def share_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the connection that holds the webhook's secret."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_DEPLOYMENTS_WEBHOOK", json.dumps({"conn_type": "generic", "password": SECRET})
    )


def signed(sender: str, body: bytes, delivery: str) -> dict[str, str]:
    """The headers with which a sender shows that it knows the secret."""
    return webhook_senders.signed(sender, body, delivery, "deployment_status", SECRET)


def deliver(client: TestClient) -> list[httpx.Response]:
    """One delivery of each sender."""
    answers = []
    for sender, payload in WEBHOOKS.items():
        body = json.dumps(payload).encode()
        headers = signed(sender, body, f"delivery-{sender}")
        answers.append(client.post(f"/webhook/{sender}", content=body, headers=headers))
    return answers
