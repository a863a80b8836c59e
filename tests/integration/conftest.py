"""A GitHub with one repository, and a reader of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.gateway import Gateway
from sandbox.github import create_app
from sandbox.github.store import SYNC_KEY, Store
from sandbox.server import Slot
from tests.integration.deployments import REPOSITORY
from tests.support.postgres import Warehouse
from tests.support.readers import read_github


@pytest.fixture
def github() -> Store:
    """A GitHub with one repository."""
    store = Store()
    store.add_repository(REPOSITORY)
    return store


@pytest.fixture
def app(github: Store, slots: list[tuple[Slot, str]], monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """The same, behind the connection ``github_default``."""
    slot, url = slots[0]
    slot.app = app = create_app(github)
    connection = {"conn_type": "http", "host": url, "password": SYNC_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(connection))
    return app


@pytest.fixture
def read(app: Gateway, tables: Warehouse) -> Callable[..., dict[str, Any]]:
    """Reads the repository into a warehouse with tables."""
    return lambda **arguments: read_github(**{"repository": REPOSITORY, **arguments})
