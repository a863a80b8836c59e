"""What the webhook answers, what it stores in a real warehouse, and what Airflow hears of it."""

from __future__ import annotations

import copy
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from airflow.sdk import Asset
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsgenie_provider.web import webhook, workers
from opsgenie_provider.web import webhook_requests as limits
from opsgenie_provider.web.asset_events import mark_updated
from sandbox.server import serve
from tests.integration.webhook.webhook_harness import (
    SECRET,
    Post,
    asset_events,
    at,
    made_app,
    queued,
    rows,
    status,
)
from tests.support.postgres import Warehouse
from tests.support.webhook_senders import BODIES, GENERIC, GITHUB, GITLAB, signed


@pytest.mark.parametrize("sender", BODIES)
def test_a_good_delivery_is_stored_and_dora_metrics_is_notified(
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
    wrong = signed(sender, b"{", "d", "deployment_status", "wrong")
    other = signed(sender, b"}", "d", "deployment_status", SECRET)
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


def test_wrong_settings_are_not_shown_to_the_sender(
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


def test_ping_and_events_of_other_things(post: Post, tables: Warehouse) -> None:
    assert post("github", {"zen": "x"}, event="ping").json() == {"status": "ok"}
    answers = [post("github", event="push"), post("gitlab", {"object_kind": "push"})]
    assert [(each.status_code, each.json()["status"]) for each in answers] == [(200, "ignored")] * 2
    assert rows(tables) == []


def test_the_tables_are_for_a_dag_to_make(
    client: TestClient, empty_warehouse: Warehouse, secret: str
) -> None:
    answer = client.post("/webhook/gitlab", json=GITLAB, headers={"X-Gitlab-Token": SECRET})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert answer.json()["error"]["code"] == "no_tables"
    assert "deployments_sync" in answer.json()["error"]["message"]
    made = "select count(*) from pg_namespace where nspname in ('staging', 'dora', 'schema_history')"
    assert empty_warehouse.value(made) == 0


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
        assert time.monotonic() - began < 60
    assert post("github", delivery="late").json()["status"] == "stored"
    # Nothing is left open in a connection that waits for the next delivery.
    busy = (
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'"
    )
    assert tables.value(busy) == 0


def test_too_many_at_once(
    client: TestClient, secret: str, tables: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(webhook.WEBHOOK, "threads", 1)
    monkeypatch.setattr(workers, "QUEUE_TIMEOUT_SECONDS", 0.2)
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
