"""The webhook's app, how a test sends to it, and what it leaves in the warehouse and in Airflow."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from airflow.models.asset import AssetDagRunQueue, AssetEvent, AssetModel
from airflow.utils.session import create_session
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import delete, select

from opsgenie_provider.web import webhook
from tests.support.postgres import Warehouse
from tests.support.webhook_senders import BODIES, GITHUB, signed

SECRET = "cafebabe-dead-4bee-8fee-000000c0ffee"
NOON = datetime(2025, 3, 12, 12, tzinfo=UTC)


class Post:
    """Sends deliveries of any sender, signed; each is another one unless a test names it."""

    def __init__(self, client: TestClient) -> None:
        self._client = client
        self._numbers = iter(range(10**6))

    def __call__(
        self, sender: str, body: Any = None, delivery: str | None = None, event: str = "deployment_status"
    ) -> httpx.Response:
        content = (
            body if isinstance(body, bytes) else json.dumps(BODIES[sender] if body is None else body).encode()
        )
        headers = signed(sender, content, delivery or f"delivery-{next(self._numbers)}", event, SECRET)
        return self._client.post(f"/webhook/{sender}", content=content, headers=headers)


def made_app() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(webhook.router)
    return app


def rows(warehouse: Warehouse) -> list[dict[str, Any]]:
    return warehouse.table("deployments")


def at(minute: int) -> str:
    return (NOON + timedelta(minutes=minute)).isoformat()


def status(state: str, minute: int, **deployment: Any) -> dict[str, Any]:
    body = copy.deepcopy(GITHUB)
    body["deployment_status"] |= {"state": state, "created_at": at(minute)}
    body["deployment"] |= {"updated_at": at(minute), **deployment}
    return body


def forget_assets() -> None:
    with create_session() as session:
        session.execute(delete(AssetDagRunQueue))
        session.execute(delete(AssetEvent))


def asset_events() -> list[tuple[str, dict[str, Any]]]:
    with create_session() as session:
        rows = session.execute(
            select(AssetModel.name, AssetEvent.extra).where(AssetModel.id == AssetEvent.asset_id)
        )
        return [(name, extra) for name, extra in rows]


def queued() -> list[str]:
    with create_session() as session:
        return list(session.scalars(select(AssetDagRunQueue.target_dag_id)))
