"""Airflow's real API server with the pages in it, over a real PostgreSQL."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import requests
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI
from fastapi.testclient import TestClient

from opsgenie_provider.warehouse.connection import Connection, Warehouse
from opsgenie_provider.web.app import create_app
from tests.support.page_world import fill
from tests.support.postgres import connection_fields, embedded_postgres, socket_directory, warehouse_of

ROOT = Path(__file__).resolve().parents[2]
USERS = ("admin", "user", "viewer")
SECONDS = 120


@dataclass(frozen=True)
class Site:
    """Where Airflow answers, and the databases behind it."""

    url: str
    host: str
    warehouse: Warehouse
    airflow_database: Callable[[], Connection]

    @property
    def pages(self) -> str:
        return f"{self.url}/opsgenie_provider"

    def session(self, user: str | None = None) -> requests.Session:
        """A browser's requests, logged in or not: the token is in the cookie that Airflow's login sets."""
        session = requests.Session()
        session.trust_env = False
        if user:
            login = {"username": user, "password": user}
            answer = session.post(f"{self.url}/auth/token", json=login, timeout=30)
            answer.raise_for_status()
            session.cookies.set("_token", answer.json()["access_token"])
        return session


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with embedded_postgres() as server:
        host = socket_directory(server)
        with psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True) as admin:
            admin.execute("create database airflow")
            admin.execute("create database warehouse")
        warehouse = warehouse_of(host, "warehouse")
        fill(warehouse)
        yield from _airflow(tmp_path_factory.mktemp("web"), host, warehouse)


def _airflow(directory: Path, host: str, warehouse: Warehouse) -> Iterator[Site]:
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    (directory / "passwords.json").write_text(json.dumps({user: user for user in USERS}))
    env = os.environ | {
        "AIRFLOW_HOME": str(directory / "home"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://postgres:@/airflow?host={host}",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{user}" for user in USERS),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(directory / "passwords.json"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW_CONN_POSTGRES_DEFAULT": json.dumps(connection_fields(host, "warehouse")),
        "NO_PROXY": "127.0.0.1,localhost",
    }
    airflow = [sys.executable, "-m", "airflow"]
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        subprocess.run([*airflow, *command], env=env, check=True, capture_output=True)
    with (directory / "api-server.log").open("wb") as log:
        child = subprocess.Popen([*airflow, "api-server"], env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + SECONDS
        while not _answers(url):
            if child.poll() is not None or time.monotonic() > end:
                raise RuntimeError((directory / "api-server.log").read_text())
            time.sleep(0.2)
        yield Site(
            url,
            host,
            warehouse,
            lambda: psycopg.connect(host=host, user="postgres", dbname="airflow", autocommit=True),
        )
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/v2/version", timeout=5).ok
    except requests.ConnectionError:
        return False


class _Someone:
    def get_id(self) -> str:
        return "someone"

    def get_name(self) -> str:
        return "Someone"


@pytest.fixture
def page_app() -> FastAPI:
    """The app, with its checks of who asks answered: those have tests of their own."""
    app = create_app()
    for route in app.routes:
        for dependency in getattr(getattr(route, "dependant", None), "dependencies", []):
            app.dependency_overrides[dependency.call] = lambda: None
    app.dependency_overrides[get_user] = _Someone
    return app


@pytest.fixture
def client(page_app: FastAPI) -> Iterator[TestClient]:
    """A browser of it; what the app does not handle is raised."""
    with TestClient(page_app) as made:
        yield made
