"""The webhook over HTTP, into a real warehouse, and what Airflow hears of it."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from airflow.models.asset import AssetDagRunQueue, AssetEvent, AssetModel
from airflow.models.dag import DagModel
from airflow.sdk import Asset
from airflow.utils.session import create_session
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from opsgenie_provider.hooks.warehouse import warehouse as open_warehouse
from opsgenie_provider.operators.deployments import GithubDeploymentsToPostgresOperator
from opsgenie_provider.warehouse.schema import upgrade
from opsgenie_provider.web import requests as limits
from opsgenie_provider.web import webhook
from opsgenie_provider.web.asset_events import mark_updated
from sandbox.github import create_app
from sandbox.github.store import SYNC_KEY, Store
from sandbox.server import Slot, serve
from sync_harness import INCLUDE, Warehouse

ROOT = Path(__file__).resolve().parents[2]
SECRET = "cafebabe-dead-4bee-8fee-000000c0ffee"
NOON = datetime(2025, 3, 12, 12, tzinfo=UTC)
Post = Callable[..., httpx.Response]

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


def signed(sender: str, body: bytes, delivery: str, event: str, secret: str = SECRET) -> dict[str, str]:
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


@pytest.fixture(scope="module", autouse=True)
def airflow() -> None:
    """Airflow's own database, which knows dora_metrics."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True,
        capture_output=True,
        timeout=90,
        env=os.environ,
    )
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(ROOT / "dags" / "dora_metrics.py", bundle_path=ROOT / "dags", bundle_name="dags-folder")
    assert bag.import_errors == {}
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == "dora_metrics").values(is_paused=False))


@pytest.fixture(autouse=True)
def quiet_assets(airflow: None) -> Iterator[None]:
    forget_assets()  # Other tests run whole DAGs in the same Airflow.
    yield
    forget_assets()


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


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    value = {"conn_type": "generic", "password": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_DEPLOYMENTS_WEBHOOK", json.dumps(value))
    return SECRET


@pytest.fixture
def tables(warehouse: Warehouse) -> Warehouse:
    upgrade(open_warehouse("postgres_default"), INCLUDE / "sql" / "schema")
    return warehouse


def made_app() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(webhook.router)
    return app


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(made_app()) as found:
        yield found


@pytest.fixture
def post(client: TestClient, tables: Warehouse, secret: str) -> Post:
    numbers = iter(range(10**6))

    def send(
        sender: str, body: Any = None, delivery: str | None = None, event: str = "deployment_status"
    ) -> httpx.Response:
        content = (
            body if isinstance(body, bytes) else json.dumps(BODIES[sender] if body is None else body).encode()
        )
        headers = signed(sender, content, delivery or f"delivery-{next(numbers)}", event)
        return client.post(f"/webhook/{sender}", content=content, headers=headers)

    return send


def rows(warehouse: Warehouse) -> list[dict[str, Any]]:
    return warehouse.table("deployments")


def at(minute: int) -> str:
    return (NOON + timedelta(minutes=minute)).isoformat()


def status(state: str, minute: int, **deployment: Any) -> dict[str, Any]:
    body = copy.deepcopy(GITHUB)
    body["deployment_status"] |= {"state": state, "created_at": at(minute)}
    body["deployment"] |= {"updated_at": at(minute), **deployment}
    return body


@pytest.mark.parametrize("sender", BODIES)
def test_a_good_delivery_is_stored_and_dora_metrics_is_told(
    sender: str, post: Post, tables: Warehouse
) -> None:
    answer = post(sender)

    assert (answer.status_code, answer.json()["status"]) == (200, "stored"), answer.text
    assert answer.json()["asset_event"] is True
    [row] = rows(tables)
    assert (row["status"], row["environment"]) == ("success", "production")
    assert row["source"] == {"generic": "webhook"}.get(sender, sender)
    assert row["raw"] == BODIES[sender]
    [(name, extra)] = asset_events()
    assert (name, extra["deployment_id"]) == ("staging.deployments", row["deployment_id"])
    assert queued() == ["dora_metrics"]


@pytest.mark.parametrize("sender", BODIES)
def test_a_wrong_or_no_signature_is_refused_before_the_body_is_read(
    sender: str, client: TestClient, tables: Warehouse, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = signed(sender, b"{", "d", "deployment_status", secret="wrong")
    other = signed(sender, b"}", "d", "deployment_status")
    tries = [wrong, {}] if sender == "gitlab" else [wrong, other, {}]
    for headers in tries:
        answer = client.post(f"/webhook/{sender}", content=b"{", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "not_authentic"
        assert SECRET not in answer.text
    assert rows(tables) == []
    assert SECRET not in caplog.text


@pytest.mark.parametrize("value", [None, "", "whsec_?"])
def test_without_a_secret_the_webhook_is_off(
    value: str | None, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        connection = json.dumps({"conn_type": "generic", "password": value})
        monkeypatch.setenv("AIRFLOW_CONN_DEPLOYMENTS_WEBHOOK", connection)
    answer = client.post("/webhook/generic", content=b"{}", headers={"webhook-id": "x"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert answer.json()["error"]["code"] == "not_configured"


def test_wrong_settings_are_not_told_to_the_world(
    client: TestClient, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSGENIE_PROVIDER__DIRECTION", "sideways")
    answer = client.post("/webhook/generic", content=b"{}")
    assert answer.status_code == 503
    assert "sideways" not in answer.text


def test_a_body_that_is_too_large(post: Post, client: TestClient, tables: Warehouse) -> None:
    pad = {"padding": "x" * limits.MAX_BYTES}
    assert post("github", GITHUB | pad).status_code == 413
    fits = GITHUB | {"padding": "x" * (limits.MAX_BYTES - 2000)}
    assert post("github", fits).status_code == 200

    # Without a Content-Length, and never at an end.
    with serve(made_app()) as url, socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as sender:
        sender.settimeout(20)
        sender.sendall(b"POST /webhook/github HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(17):
            sender.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        assert sender.recv(64).startswith(b"HTTP/1.1 413 ")
    assert len(rows(tables)) == 1


@pytest.mark.parametrize(
    ("sender", "body", "fields"),
    [
        ("generic", GENERIC | {"status": "great", "triggered_at": at(0)[:19]}, ["status", "triggered_at"]),
        ("generic", {"service": "x"}, ["deployment_id", "environment", "status", "triggered_at"]),
        ("github", {"deployment": {}}, None),
        ("gitlab", GITLAB | {"status_changed_at": "2025-03-12 14:05:00"}, ["status_changed_at"]),
        ("generic", b"{", []),
        ("generic", b"\xff\xfe", []),
        ("generic", b"", []),
        ("generic", b"[]", []),
        ("generic", b"NaN", []),
        ("generic", b"[" * 100_000, []),
        ("generic", json.dumps(GENERIC)[:-1].encode() + b', "pr_number": ' + b"9" * 5000 + b"}", []),
        ("github", b"payload=%7B%7D", []),
    ],
)
def test_a_body_that_cannot_be_read(
    sender: str, body: Any, fields: list[str] | None, post: Post, tables: Warehouse
) -> None:
    answer = post(sender, body)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["message"]
    assert fields is None or error["fields"] == fields
    assert rows(tables) == []
    assert asset_events() == []


def test_what_postgres_cannot_hold_is_replaced_or_refused(post: Post, tables: Warehouse) -> None:
    body = json.dumps(GENERIC | {"service": "a\0b", "pr_title": "\ud800x"}).encode()
    assert post("generic", body).json()["status"] == "stored"
    [row] = rows(tables)
    assert (row["service"], row["pr_title"]) == ("a\ufffdb", "\ufffdx")
    number = json.dumps(GITHUB)[:-1].encode() + b', "n": 1e-300000}'
    refused = post("github", number)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "unreadable")


def test_the_same_delivery_twice(post: Post, tables: Warehouse) -> None:
    assert post("github", delivery="one").json()["status"] == "stored"
    before = tables.versions()
    again = post("github", status("failure", 9), delivery="one")
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    assert tables.versions() == before
    assert len(asset_events()) == 1
    # Another delivery of the same event.
    assert post("github", delivery="two").json()["status"] == "unchanged"
    assert tables.versions()["deployments"] == before["deployments"]
    assert len(asset_events()) == 1


def test_a_delivery_without_a_name_is_known_by_its_body(
    client: TestClient, tables: Warehouse, secret: str
) -> None:
    def send(**changes: Any) -> str:
        # One for all events that follow from another.
        headers = {"X-Gitlab-Token": SECRET, "X-Gitlab-Event-UUID": "shared"}
        return str(client.post("/webhook/gitlab", json=GITLAB | changes, headers=headers).json()["status"])

    running = {"status": "running", "status_changed_at": "2025-03-12 14:00:00 +0200"}
    assert [send(**running), send(), send(), send(**running)] == [
        "stored",
        "stored",
        "duplicate",
        "duplicate",
    ]
    [row] = rows(tables)
    assert (row["status"], row["triggered_at"]) == ("success", NOON)


def test_concurrent_deliveries_of_the_same_id(tables: Warehouse, secret: str) -> None:
    body = json.dumps(GITHUB).encode()
    headers = signed("github", body, "one", "deployment_status")
    barrier = threading.Barrier(8)
    with serve(made_app()) as url:

        def send(_: int) -> str:
            with httpx.Client(trust_env=False, timeout=30) as sender:
                barrier.wait()
                answer = sender.post(f"{url}/webhook/github", content=body, headers=headers)
            assert answer.status_code == 200, answer.text
            return str(answer.json()["status"])

        with ThreadPoolExecutor(8) as executor:
            found = sorted(executor.map(send, range(8)))
    assert found == ["duplicate"] * 7 + ["stored"]
    assert len(rows(tables)) == 1
    assert len(asset_events()) == 1


def test_concurrent_events_of_a_deployment(tables: Warehouse, secret: str) -> None:
    states = ["pending", "queued", "in_progress", "failure", "success", "inactive"]
    barrier = threading.Barrier(len(states))
    with serve(made_app()) as url:

        def send(minute: int) -> None:
            body = json.dumps(status(states[minute], minute)).encode()
            headers = signed("github", body, f"d{minute}", "deployment_status")
            with httpx.Client(trust_env=False, timeout=30) as sender:
                barrier.wait()
                assert sender.post(f"{url}/webhook/github", content=body, headers=headers).status_code == 200

        with ThreadPoolExecutor(len(states)) as executor:
            list(executor.map(send, range(len(states))))
    [row] = rows(tables)
    assert (row["status"], row["finished_at"]) == ("success", NOON + timedelta(minutes=4))
    assert row["event_at"] == NOON + timedelta(minutes=5)


@pytest.mark.parametrize("order", [1, -1])
def test_out_of_order(order: int, post: Post, tables: Warehouse) -> None:
    for state, minute in [("in_progress", 1), ("failure", 2)][::order]:
        assert post("github", status(state, minute)).status_code == 200
    post("github", GITHUB, event="deployment")
    [row] = rows(tables)
    assert (row["status"], row["finished_at"]) == ("failure", None)


@pytest.mark.parametrize("order", [1, -1])
def test_a_success_stays(order: int, post: Post, tables: Warehouse) -> None:
    for state, minute in [("success", 1), ("success", 2), ("inactive", 3), ("failure", 4)][::order]:
        post("github", status(state, minute))
    [row] = rows(tables)
    assert (row["status"], row["finished_at"]) == ("success", NOON + timedelta(minutes=1))


def test_what_the_sync_stored_stays_and_knows_better(post: Post, tables: Warehouse) -> None:
    tables.execute(
        "insert into staging.deployments (source, deployment_id, service, environment, status, triggered_at, "
        "commit_sha, repository, pr_number, pr_url, pr_title, raw) values ('github', '42', 'checkout-app', "
        "'production', 'failure', %s, %s, 'acme/checkout-app', 8, 'u', 'T', %s)",
        NOON, "a" * 40, json.dumps({"id": 42, "updated_at": "2025-03-12T12:04:00Z"}),
    )  # fmt: skip
    assert post("github", status("in_progress", 2)).json()["status"] == "unchanged"
    assert rows(tables)[0]["status"] == "failure"
    assert post("github", status("success", 6)).json()["status"] == "stored"
    [row] = rows(tables)
    assert (row["status"], row["pr_number"], row["pr_url"], row["pr_title"]) == ("success", 8, "u", "T")
    # What GitHub said last is not what the sync read: it reads on from here.
    assert tables.value("select raw ->> 'updated_at' from staging.deployments") is None


def test_the_sync_goes_on_where_the_webhook_was(
    post: Post, tables: Warehouse, slots: list[tuple[Slot, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, url = slots[0]
    store = Store()
    store.add_repository("acme/checkout-app")
    slot.app = create_app(store)
    monkeypatch.setenv(
        "AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps({"conn_type": "http", "host": url, "password": SYNC_KEY})
    )
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=5)
    begun, done = start.isoformat(), (start + timedelta(hours=1)).isoformat()
    made = store.add_deployment(
        "acme/checkout-app", "b" * 40, "production", begun, [("in_progress", begun), ("success", done)]
    )
    body = status("in_progress", 0, id=made.id, sha="b" * 40, created_at=begun)
    body["deployment_status"]["created_at"] = begun
    assert post("github", body).json()["status"] == "stored"

    def sync() -> int:
        operator = GithubDeploymentsToPostgresOperator(task_id="github", repository="acme/checkout-app")
        return int(str(operator.execute({})["rows_changed"]))

    assert (sync(), sync()) == (1, 0)
    [read] = rows(tables)
    assert (read["status"], read["finished_at"]) == ("success", start + timedelta(hours=1))
    # The webhook tells the same, later, and changes nothing.
    body["deployment_status"] |= {"state": "success", "created_at": done, "log_url": read["url"]}
    assert post("github", body).json()["status"] == "unchanged"
    names = set(read) - {"event_at"}
    assert {name: rows(tables)[0][name] for name in names} == {name: read[name] for name in names}


def test_the_sync_adds_the_pull_request_to_what_the_webhook_told(
    post: Post, tables: Warehouse, slots: list[tuple[Slot, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, url = slots[0]
    store = Store()
    store.add_repository("acme/checkout-app")
    slot.app = create_app(store)
    connection = {"conn_type": "http", "host": url, "password": SYNC_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(connection))
    begun = (datetime.now(UTC).replace(microsecond=0) - timedelta(days=5)).isoformat()
    sha = "b" * 40
    made = store.add_deployment("acme/checkout-app", sha, "production", begun, [("success", begun)])
    store.add_pull("acme/checkout-app", 8, [sha], begun, title="Faster checkout")
    body = status("success", 0, id=made.id, sha=sha, created_at=begun)
    body["deployment_status"]["created_at"] = begun
    assert post("github", body).json()["status"] == "stored"

    def sync() -> int:
        operator = GithubDeploymentsToPostgresOperator(task_id="github", repository="acme/checkout-app")
        return int(str(operator.execute({})["rows_changed"]))

    assert (sync(), sync()) == (1, 0)
    [row] = rows(tables)
    assert (row["status"], row["pr_number"], row["pr_title"]) == ("success", 8, "Faster checkout")


def test_ping_and_events_of_other_things(post: Post, tables: Warehouse) -> None:
    assert post("github", {"zen": "x"}, event="ping").json() == {"status": "ok"}
    answers = [post("github", event="push"), post("gitlab", {"object_kind": "push"})]
    assert [(each.status_code, each.json()["status"]) for each in answers] == [(200, "ignored")] * 2
    assert rows(tables) == []


def test_the_tables_are_made_if_no_dag_ran_yet(client: TestClient, warehouse: Warehouse, secret: str) -> None:
    headers = {"X-Gitlab-Token": SECRET}
    assert client.post("/webhook/gitlab", json=GITLAB, headers=headers).json()["status"] == "stored"
    assert len(rows(warehouse)) == 1


def test_old_deliveries_are_forgotten(post: Post, tables: Warehouse) -> None:
    tables.execute(
        "insert into staging.webhook_deliveries (sender, delivery_id, source, deployment_id, received_at) "
        "select 'github', 'old' || n, 'github', '1', now() - n * interval '10 days' "
        "from generate_series(1, 5) as n"
    )
    post("github", delivery="new")
    kept = {row["delivery_id"] for row in tables.table("webhook_deliveries")}
    assert kept == {"old1", "old2", "new"}


@pytest.mark.parametrize("host", ["127.0.0.1", None])
def test_a_warehouse_that_is_down(
    host: str | None, client: TestClient, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if host:
        connection = {"conn_type": "postgres", "host": host, "port": 1, "login": "x", "schema": "x"}
        monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(connection))
    answer = client.post("/webhook/gitlab", json=GITLAB, headers={"X-Gitlab-Token": SECRET})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert answer.json()["error"]["code"] == "warehouse_unavailable"


@contextmanager
def held(warehouse: Warehouse, statement: str) -> Iterator[None]:
    where = warehouse.connection
    with psycopg.connect(host=where["host"], user="postgres", dbname=where["schema"]) as other:
        other.execute(statement)
        yield
        other.rollback()


def test_a_row_that_is_held_is_not_waited_for_for_long(post: Post, tables: Warehouse) -> None:
    post("github", status("in_progress", 1))
    with held(tables, "update staging.deployments set status = 'running'"):
        began = time.monotonic()
        answer = post("github", delivery="late")
        assert answer.status_code == 503
        assert time.monotonic() - began < 6
    assert post("github", delivery="late").json()["status"] == "stored"
    sessions = "select count(*) from pg_stat_activity where datname = current_database()"
    assert tables.value(sessions) == 1


def test_too_many_at_once(
    client: TestClient, secret: str, tables: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(limits, "_THREADS", 1)
    monkeypatch.setattr(limits, "_SECONDS_IN_LINE", 0.2)
    real = webhook.mark_updated
    monkeypatch.setattr(webhook, "mark_updated", lambda *given: release.wait(20) and real(*given))
    headers = {"X-Gitlab-Token": SECRET}
    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(client.post, "/webhook/gitlab", json=GITLAB, headers=headers)
        while not rows(tables):
            time.sleep(0.05)
        answer = client.post("/webhook/gitlab", json=GITLAB, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
        release.set()
        # Work that has begun is done, however long it takes.
        assert first.result().json()["status"] == "stored"


def test_a_delivery_is_kept_also_where_airflow_does_not_know_the_asset(
    post: Post, tables: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = Asset(name="nobody's", uri="x-warehouse://nobody")
    assert mark_updated(nobody, {}) is False
    monkeypatch.setattr(webhook, "DEPLOYMENTS_STAGING", nobody)
    answer = post("generic").json()
    assert (answer["status"], answer["asset_event"]) == ("stored", False)
    assert len(rows(tables)) == 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([2**70, "\0", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, Any]:
    """A sender, and its good body with up to three values put in place of others."""
    sender = draw(st.sampled_from(sorted(BODIES)))
    body = copy.deepcopy(BODIES[sender])
    if draw(st.booleans()):
        return sender, draw(JSON)
    for _ in range(draw(st.integers(0, 3))):
        target = body
        names = draw(st.sampled_from(sorted(target)))
        while isinstance(target[names], dict) and target[names] and draw(st.booleans()):
            target = target[names]
            names = draw(st.sampled_from(sorted(target)))
        if draw(st.booleans()):
            target[names] = draw(JSON)
        else:
            target[names] = draw(st.sampled_from([*map(str, GENERIC.values()), at(3), 7, None, "x" * 300]))
    return sender, body


@settings(
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(given_body=bodies(), event=st.sampled_from(["deployment", "deployment_status"]))
def test_whatever_is_signed_is_stored_or_refused(
    given_body: tuple[str, Any], event: str, post: Post, tables: Warehouse
) -> None:
    sender, body = given_body
    answer = post(sender, json.dumps(body).encode(), event=event)
    if answer.status_code == 200:
        assert answer.json()["status"] in ("stored", "unchanged", "ignored"), answer.text
    else:
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.json()["error"]["message"]
    if answer.status_code == 200 and answer.json()["status"] == "stored":
        key = answer.json()["deployment_id"]
        assert key in {row["deployment_id"] for row in rows(tables)}
