"""Runs the tasks of the real DAG, without Airflow's scheduler and metadata database."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any
from urllib.parse import parse_qs

import psycopg
import pytest
from airflow.dag_processing.dagbag import DagBag
from psycopg import sql
from psycopg.rows import dict_row
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from opsgenie_provider.sync import account as account_module
from opsgenie_provider.sync.account import PartsFailedError
from sandbox.gateway import Gateway, LoggedRequest
from sandbox.instants import to_datetime
from sandbox.opsgenie import Store, create_app
from sandbox.opsgenie.store import SYNC_KEY
from sandbox.server import Slot

INCLUDE = Path(__file__).resolve().parents[2] / "include"
# Bookkeeping that every run writes.
STATE = {
    "sync_state",
    "sync_progress",
    "opsgenie_keys",
    "opsgenie_on_call_reads",
    "opsgenie_timeline_reads",
}
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
    """What came out of a run: what each account's sync did, and errors by part of it, or by task."""

    outcomes: list[dict[str, Any]] = field(default_factory=list)
    errors: list[tuple[str, BaseException]] = field(default_factory=list)

    def total(self, name: str) -> int:
        return sum(outcome[name] for outcome in self.outcomes)

    def part(self, name: str) -> dict[str, int]:
        """The counts of a part of the only account."""
        [outcome] = self.outcomes
        counts: dict[str, int] = outcome["parts"][name]
        return counts

    def error(self, part: str) -> BaseException:
        [found] = [error for name, error in self.errors if name == part]
        return found


@cache
def tasks() -> dict[str, Any]:
    """The tasks of the DAG, as the DAG processor finds them."""
    bag = DagBag(INCLUDE.parent / "dags" / "opsgenie_sync.py")
    assert bag.import_errors == {}
    return {task.task_id: task for task in bag.dags["opsgenie_sync"].tasks}


class Sync:
    """Runs dags/opsgenie_sync.py at the time of the stand-in's clock."""

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

        monkeypatch.setattr(account_module, "datetime", AtTheStandIns)
        self._monkeypatch = monkeypatch

    def __call__(
        self, *, fails: bool = False, timelines: bool = True, run_id: str | None = None, **params: Any
    ) -> Run:
        """One run. ``fails``: it must fail, else it must not. ``timelines``: read them.

        ``run_id``: another try of the run of that name.
        """
        self._monkeypatch.setenv("OPSGENIE_PROVIDER__ACCOUNTS", json.dumps(list(self.accounts)))
        run = Run()
        with self._monkeypatch.context() as patch:
            if not timelines:
                patch.setattr(account_module, "PARTS", account_module.PARTS[:-1])
            self._run(run, run_id or uuid.uuid4().hex, params)
        if not fails and run.errors:
            raise run.errors[0][1]
        assert not fails or run.errors
        return run

    def _run(self, run: Run, run_id: str, given: dict[str, Any]) -> None:
        prepare, sync = tasks()["prepare"], tasks()["sync"]
        params = {name: prepare.dag.params[name] for name in prepare.dag.params} | given
        ti = SimpleNamespace(
            run_id=run_id, xcom_push=lambda key, value: run.outcomes.append(json.loads(json.dumps(value)))
        )
        context: Any = {"params": params, "run_id": run_id, "ti": ti}
        try:
            mapped = prepare.execute(context)
        except Exception as error:
            run.errors.append(("prepare", error))
            return
        for arguments in json.loads(json.dumps(mapped)):
            try:
                outcome = sync.operator_class(task_id="sync", **arguments).execute(context)
            except PartsFailedError as error:
                run.errors += error.errors.items()
            except Exception as error:
                run.errors.append(("sync", error))
            else:
                run.outcomes.append(json.loads(json.dumps(outcome)))


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
