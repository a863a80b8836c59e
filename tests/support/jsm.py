"""A stand-in of Jira Service Management behind an Airflow connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.gateway import Gateway, LoggedRequest
from sandbox.instants import Clock
from sandbox.jsm import Store, create_app, load
from sandbox.jsm.store import SYNC_EMAIL, SYNC_TOKEN
from sandbox.server import Slot
from sandbox.world import World

NAME = "jsm_ops"


@dataclass
class JsmAccount:
    """A site and the Airflow connection to it."""

    name: str
    url: str
    store: Store
    app: Gateway
    connect: Callable[..., None]

    @property
    def requests(self) -> list[LoggedRequest]:
        return self.app.log.snapshot()


def put(
    slot: tuple[Slot, str], store: Store, monkeypatch: pytest.MonkeyPatch, name: str = NAME
) -> JsmAccount:
    """Put a site behind a server, and a connection before it."""
    server, url = slot
    # Of its limits others' tests are; here they would only take time.
    server.app = app = create_app(store)
    app.limiter.configure({})

    def connect(email: str = SYNC_EMAIL, token: str = SYNC_TOKEN, **extra: Any) -> None:
        extras = {"api_url": url, "impact_end_field": "Impact end", "impact_start_field": "Impact start"}
        value = {
            "conn_type": "jsm_api",
            "host": url,
            "login": email,
            "password": token,
            "extra": extras | extra,
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(value))

    connect()
    return JsmAccount(name, url, store, app, connect)


@pytest.fixture
def site(slots: list[tuple[Slot, str]], world: World, monkeypatch: pytest.MonkeyPatch) -> JsmAccount:
    """The demo company's site on a frozen clock."""
    return put(slots[1], load(world, Store(clock=Clock(world.end), seed=world.seed)), monkeypatch)
