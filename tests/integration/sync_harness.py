"""Runs the operators in the order of the DAG, without Airflow's scheduler and metadata database."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any
from urllib.parse import parse_qs

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from opsgenie_provider.operators import on_call as on_call_module
from opsgenie_provider.operators import plan as plan_module
from opsgenie_provider.operators.catalogue import OpsgenieCatalogueToPostgresOperator
from opsgenie_provider.operators.incidents import OpsgenieIncidentsToPostgresOperator
from opsgenie_provider.operators.key import OpsgenieValidateKeyOperator
from opsgenie_provider.operators.on_call import OpsgenieOnCallToPostgresOperator
from opsgenie_provider.operators.plan import plan_accounts
from opsgenie_provider.operators.publish import CompleteSyncOperator, PublishSyncOperator, SyncFailedError
from opsgenie_provider.operators.timelines import OpsgenieTimelinesToPostgresOperator
from opsgenie_provider.operators.warehouse import PrepareWarehouseOperator
from sandbox.gateway import Gateway, LoggedRequest
from sandbox.instants import to_datetime
from sandbox.opsgenie import Store, create_app
from sandbox.opsgenie.store import SYNC_KEY
from sandbox.server import Slot

INCLUDE = Path(__file__).resolve().parents[2] / "include"
# Bookkeeping that every run writes.
STATE = {"sync_state", "opsgenie_keys", "opsgenie_on_call_reads", "opsgenie_timeline_reads"}
Row = dict[str, Any]
# Takes a path with its query and how many requests came before; returns a status to answer with.
Hook = Callable[[str, int], int | None]


class Warehouse:
    """A look at the tables from outside."""

    def __init__(self, host: str, name: str) -> None:
        self.connection = {"conn_type": "postgres", "host": host, "login": "postgres", "schema": name}
        self._psycopg = psycopg.connect(host=host, user="postgres", dbname=name, autocommit=True)
        # Not as an option of the connection, which PGTZ goes before: in Python an instant of an hour that a
        # zone has twice equals none of another zone's.
        self._psycopg.execute("set time zone 'UTC'")

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._psycopg.close()

    def rows(self, query: str, *params: Any) -> list[Row]:
        with self._psycopg.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, params).fetchall()

    def execute(self, query: str, *params: Any) -> None:
        self._psycopg.execute(query, params or None)

    def value(self, query: str, *params: Any) -> Any:
        row = self._psycopg.execute(query, params).fetchone()
        return row[0] if row else None

    def table(self, name: str) -> list[Row]:
        query = sql.SQL("select * from {}").format(sql.Identifier("staging", name))
        with self._psycopg.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query).fetchall()

    def tables(self) -> list[str]:
        rows = self.rows("select tablename from pg_tables where schemaname = 'staging' order by 1")
        return [row["tablename"] for row in rows]

    def versions(self) -> dict[str, set[tuple[str, str]]]:
        """Which version of which row each table holds: any write to a row changes it."""
        return {
            name: {
                (row["ctid"], row["xmin"])
                for row in self.rows(f"select ctid::text, xmin::text from staging.{name}")
            }
            for name in self.tables()
            if name not in STATE
        }


class Meddler:
    """An ASGI app before the stand-in: a test's hook runs before each request."""

    def __init__(self, app: Gateway) -> None:
        self.app = app
        self.hook: Hook = lambda path, count: None
        self.count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = self.hook(f"{scope['path']}?{scope['query_string'].decode()}", self.count)
        self.count += 1
        if status:
            await Response('{"message": "no"}', status)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


@dataclass
class Account:
    """A stand-in and the Airflow connection to it."""

    name: str
    url: str
    store: Store
    app: Gateway
    meddler: Meddler
    connect: Callable[..., None]

    @property
    def requests(self) -> list[LoggedRequest]:
        return self.app.log.snapshot()

    def pages(self) -> list[tuple[str, int]]:
        """Query and offset of each whole page of incidents that was asked for in the order of createdAt."""
        asked = [parse_qs(r.query) for r in self.requests if r.path == "/v1/incidents"]
        return [
            (params.get("query", [""])[0], int(params["offset"][0]))
            for params in asked
            if params["limit"] == ["100"] and params["sort"] == ["createdAt"]
        ]


class Accounts:
    """Puts stand-ins behind Airflow connections."""

    def __init__(self, slots: list[tuple[Slot, str]], monkeypatch: pytest.MonkeyPatch) -> None:
        self._slots = list(slots)
        self._monkeypatch = monkeypatch

    def add(self, name: str, store: Store, key: str = SYNC_KEY) -> Account:
        slot, base = self._slots.pop(0)
        app = create_app(store)
        slot.app = meddler = Meddler(app)

        def connect(key: str = key, **fields: Any) -> None:
            value = {"conn_type": "opsgenie_api", "host": base, "password": key, **fields}
            self._monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(value))

        connect()
        return Account(name, base, store, app, meddler, connect)


@dataclass
class Run:
    """What came out of a run: outputs and errors by task."""

    outputs: dict[str, list[Any]] = field(default_factory=dict)
    errors: list[tuple[str, BaseException]] = field(default_factory=list)

    def total(self, name: str) -> int:
        return int(self.outputs["publish"][0][name])

    def error(self, task: str) -> BaseException:
        [found] = [error for name, error in self.errors if name == task]
        return found


class Sync:
    """Mirrors dags/opsgenie_sync.py: the same operators, arguments, order and trigger rules."""

    def __init__(
        self, warehouse: Warehouse, accounts: Iterable[Account], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.warehouse = warehouse
        self.accounts = {account.name: account for account in accounts}
        first = next(iter(self.accounts.values()))

        class AtTheStandIns(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return to_datetime(first.store.clock()).astimezone(tz)

        for module in (plan_module, on_call_module):
            monkeypatch.setattr(module, "datetime", AtTheStandIns)
        self._monkeypatch = monkeypatch

    def __call__(self, *, fails: bool = False, timelines: bool = True, **params: Any) -> Run:
        """One run. ``fails``: it must fail, else it must not. ``timelines``: read them."""
        names = json.dumps(list(self.accounts))
        self._monkeypatch.setenv("OPSGENIE_PROVIDER__ACCOUNTS", names)
        run = Run()
        self._run(run, timelines=timelines, params=params)
        if not fails and run.errors:
            raise run.errors[0][1]
        assert not fails or run.errors
        return run

    def _run(self, run: Run, *, timelines: bool, params: dict[str, Any]) -> None:
        prepared = self._task(run, PrepareWarehouseOperator, "prepare")
        if prepared is None:
            return
        warehouse = {"postgres_conn_id": prepared["postgres_conn_id"]}
        settings = warehouse | {"max_requests_per_minute": prepared["max_requests_per_minute"]}
        for name in prepared["accounts"]:
            self._task(run, OpsgenieValidateKeyOperator, "validate_key", opsgenie_conn_id=name, **settings)
        accesses = run.outputs.get("validate_key", [])
        try:
            windows = plan_accounts(json.loads(json.dumps(accesses)), **warehouse, **params)
        except Exception as error:
            run.errors.append(("plan", error))
            windows = []
        for window in json.loads(json.dumps(windows)):
            self._task(run, OpsgenieIncidentsToPostgresOperator, "incidents", **settings, **window)
        for access in accesses:
            each = settings | {"access": access}
            kinds = ["services", "teams", "users"]
            self._task(run, OpsgenieCatalogueToPostgresOperator, "catalogue", kinds=kinds, **each)
            kinds = ["escalations"]
            self._task(run, OpsgenieCatalogueToPostgresOperator, "escalations", kinds=kinds, **each)
            history_days = str(params.get("history_days", 90))
            self._task(run, OpsgenieOnCallToPostgresOperator, "on_call", history_days=history_days, **each)
            if timelines:
                self._task(run, OpsgenieTimelinesToPostgresOperator, "timelines", **each)
        self._publish(run, warehouse)

    def _task(self, run: Run, operator: Any, task_id: str, **arguments: Any) -> Any:
        try:
            output = operator(task_id=task_id, **arguments).execute({})
        except Exception as error:
            run.errors.append((task_id, error))
            return None
        # As XCom would carry it.
        output = json.loads(json.dumps(output))
        run.outputs.setdefault(task_id, []).append(output)
        return output

    def _publish(self, run: Run, warehouse: dict[str, Any]) -> None:
        readers = ("incidents", "catalogue", "escalations", "on_call", "timelines")
        outcomes = [run.outputs.get(name) for name in readers]
        states = {name: "failed" for name, _ in run.errors}
        ti = SimpleNamespace(dag_id="d", run_id="r", get_task_states=lambda **which: {"r": states})
        run.outputs["publish"] = [
            PublishSyncOperator(task_id="publish", outcomes=outcomes).execute({"ti": ti})
        ]
        try:
            CompleteSyncOperator(task_id="complete", outcomes=outcomes, **warehouse).execute({"ti": ti})
        except SyncFailedError as error:
            run.errors.append(("complete", error))


def advance(account: Account, **by: float) -> None:
    """Move the stand-in's clock, and with it that of the operators."""
    account.store.clock.advance(timedelta(**by).total_seconds())


def schedule_windows(account: Account) -> dict[str, list[tuple[datetime, datetime]]]:
    """Per schedule the windows whose timelines were asked for, in order."""
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for request in account.requests:
        match = re.fullmatch(r"/v2/schedules/([^/]+)/timeline", request.path)
        if match and request.status == 200:
            params = {name: values[0] for name, values in parse_qs(request.query).items()}
            start = datetime.fromisoformat(params["date"])
            assert params["intervalUnit"] == "weeks"
            end = start + timedelta(weeks=int(params["interval"]))
            found.setdefault(match[1], []).append((start, end))
    return found


def covered(account: Account, warehouse: Warehouse) -> dict[str, tuple[datetime, datetime]]:
    """Per schedule the window that the last read covers: at least two weeks ahead, the same for all."""
    now = to_datetime(account.store.clock())
    horizon = warehouse.value(
        "select max(end_at) from staging.opsgenie_on_call_periods where account = %s", account.name
    )
    assert horizon >= now + timedelta(days=14)
    read = schedule_windows(account)
    assert read.keys() == account.store.schedules.keys()
    assert all(windows[-1][1] >= horizon for windows in read.values())
    return {id_: (windows[-1][0], horizon) for id_, windows in read.items()}


def pages_of(count: int) -> int:
    return max(1, math.ceil(count / 100))
