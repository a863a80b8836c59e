"""Deliveries that come twice, at once or late, and the sync that reads the same deployments."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from opsgenie_provider.operators.deployments import DeploymentsToPostgresOperator
from sandbox.github import create_app
from sandbox.github.store import SYNC_KEY, Store
from sandbox.server import Slot, serve
from tests.integration.webhook.webhook_harness import NOON, SECRET, Post, asset_events, made_app, rows, status
from tests.support.postgres import Warehouse
from tests.support.webhook_senders import GITHUB, GITLAB, signed


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
    headers = signed("github", body, "one", "deployment_status", SECRET)
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
            headers = signed("github", body, f"d{minute}", "deployment_status", SECRET)
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


@pytest.fixture
def store(slots: list[tuple[Slot, str]], monkeypatch: pytest.MonkeyPatch) -> Store:
    """A GitHub with one repository."""
    slot, url = slots[0]
    store = Store()
    store.add_repository("acme/checkout-app")
    slot.app = create_app(store)
    connection = {"conn_type": "http", "host": url, "password": SYNC_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(connection))
    return store


def sync(**entry: Any) -> int:
    operator = DeploymentsToPostgresOperator(
        task_id="github", repositories=[{"repository": "acme/checkout-app", **entry}]
    )
    return int(str(operator.execute({})["rows_changed"]))


def test_the_sync_goes_on_where_the_webhook_was(post: Post, tables: Warehouse, store: Store) -> None:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=5)
    begun, done = start.isoformat(), (start + timedelta(hours=1)).isoformat()
    made = store.add_deployment(
        "acme/checkout-app", "b" * 40, "production", begun, [("in_progress", begun), ("success", done)]
    )
    body = status("in_progress", 0, id=made.id, sha="b" * 40, created_at=begun)
    body["deployment_status"]["created_at"] = begun
    assert post("github", body).json()["status"] == "stored"

    assert (sync(), sync()) == (1, 0)
    [read] = rows(tables)
    assert (read["status"], read["finished_at"]) == ("success", start + timedelta(hours=1))
    # The webhook reports the same, later, and changes nothing.
    body["deployment_status"] |= {"state": "success", "created_at": done, "log_url": read["url"]}
    assert post("github", body).json()["status"] == "unchanged"
    names = set(read) - {"event_at"}
    assert {name: rows(tables)[0][name] for name in names} == {name: read[name] for name in names}


def test_the_sync_adds_the_pull_request_to_what_the_webhook_reported(
    post: Post, tables: Warehouse, store: Store
) -> None:
    begun = (datetime.now(UTC).replace(microsecond=0) - timedelta(days=5)).isoformat()
    sha = "b" * 40
    made = store.add_deployment("acme/checkout-app", sha, "production", begun, [("success", begun)])
    store.add_pull("acme/checkout-app", 8, [sha], begun, title="Faster checkout")
    body = status("success", 0, id=made.id, sha=sha, created_at=begun)
    body["deployment_status"]["created_at"] = begun
    assert post("github", body).json()["status"] == "stored"

    assert (sync(), sync()) == (1, 0)
    [row] = rows(tables)
    assert (row["status"], row["pr_number"], row["pr_title"]) == ("success", 8, "Faster checkout")


def test_a_renamed_repository_is_the_one_of_the_settings(
    post: Post, tables: Warehouse, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry: dict[str, Any] = {"service": "checkout", "environments": ["production"]}
    repositories = json.dumps([{"repository": "acme/checkout-app", **entry}])
    monkeypatch.setenv("OPSGENIE_PROVIDER__GITHUB_REPOSITORIES", repositories)
    store.rename_repository("acme/checkout-app", "acme/shop")
    sync(**entry)

    for environment in ("production", "preview"):
        body = status("success", 0, environment=environment)
        body["repository"]["full_name"] = "acme/shop"
        post("github", body)
    [row] = rows(tables)
    assert (row["service"], row["repository"]) == ("checkout", "acme/checkout-app")
    assert row["environment"] == "production"
