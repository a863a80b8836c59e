"""The compared tools: how each is started, and how the rows that it stored are read."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import LiteralString

import psycopg

from benchmarks.environments import NoEnvironmentError, python_of
from benchmarks.sync import DAYS
from sandbox.opsgenie.store import SYNC_KEY

NAMES = ("ours", "bare", "dlt", "airbyte")


@dataclass(frozen=True)
class Run:
    """A first sync, or the hourly sync after it.

    :param directory: where a tool may keep its state between both.
    :param started: Unix time at which the first sync began.
    """

    url: str
    conninfo: str
    directory: Path
    started: float
    hourly: bool

    @property
    def window(self) -> tuple[float, float]:
        """The past 90 days; for an hourly sync, from the first sync on."""
        now = time.time()
        return (self.started if self.hourly else now - DAYS * 86_400, now)


@dataclass(frozen=True)
class Tool:
    """How a tool is started, and what it stored.

    :param stored: a query for id and updatedAt of the incidents that it stored.
    :param hourly: whether it has an hourly sync.
    :param limited: whether it can handle a rate limit.
    """

    name: str
    command: Callable[[Run], list[str]]
    stored: LiteralString
    env: Callable[[Run], Mapping[str, str]] = lambda run: {}
    hourly: bool = True
    limited: bool = True

    def landed(self, conninfo: str) -> list[tuple[str, datetime]]:
        with psycopg.connect(conninfo) as connection:
            try:
                return connection.execute(self.stored).fetchall()
            except psycopg.errors.UndefinedTable:
                return []


def _our_environment(run: Run) -> dict[str, str]:
    """The connections of our tasks."""
    fields = psycopg.conninfo.conninfo_to_dict(run.conninfo)
    postgres = {
        "conn_type": "postgres",
        "host": fields["host"],
        "login": "postgres",
        "schema": fields["dbname"],
    }
    opsgenie = {"conn_type": "opsgenie_api", "host": run.url, "password": SYNC_KEY}
    return {
        "AIRFLOW_CONN_POSTGRES_DEFAULT": json.dumps(postgres),
        "AIRFLOW_CONN_OPSGENIE_DEFAULT": json.dumps(opsgenie),
    }


def _bare_command(run: Run) -> list[str]:
    window = [str(int(bound * 1000)) for bound in run.window]
    return [sys.executable, "-m", "benchmarks.bare_reader", run.url, SYNC_KEY, run.conninfo, *window]


def ours() -> Tool:
    return Tool(
        "ours",
        lambda run: [sys.executable, "-m", "benchmarks.our_sync", str(DAYS)],
        "select incident_id, updated_at from staging.opsgenie_incidents where deleted_at is null",
        _our_environment,
    )


def bare() -> Tool:
    return Tool(
        "bare", _bare_command, "select incident_id, updated_at from bare", hourly=False, limited=False
    )


def dlt() -> Tool:
    python = str(python_of("dlt"))

    def command(run: Run) -> list[str]:
        mode = "hourly" if run.hourly else "first"
        window = [str(bound) for bound in run.window]
        script = [python, "-m", "benchmarks.rivals.dlt_sync", run.url, SYNC_KEY, run.conninfo]
        return [*script, str(run.directory), mode, *window]

    return Tool(
        "dlt",
        command,
        "select id, updated_at from dlt_bench.incidents",
        # So that it does not read the user's own settings either.
        lambda run: {"DLT_DATA_DIR": str(run.directory)},
    )


def airbyte() -> Tool:
    python = str(python_of("airbyte"))
    return Tool(
        "airbyte",
        lambda run: [python, "-m", "benchmarks.rivals.airbyte_sync", run.url, SYNC_KEY, run.conninfo],
        "select data ->> 'id', (data ->> 'updatedAt')::timestamptz from airbyte_raw_incidents",
    )


def chosen(names: list[str]) -> list[Tool]:
    """The tools with these names; those whose environment cannot be created are reported and left out."""
    makers = {"ours": ours, "bare": bare, "dlt": dlt, "airbyte": airbyte}
    tools = []
    for name in names:
        try:
            tools.append(makers[name]())
        except NoEnvironmentError as error:
            print(f"{name} is left out: its environment cannot be created here ({error})", flush=True)
    return tools


@contextmanager
def emptied(conninfo: str) -> Iterator[Path]:
    """An empty warehouse, and a new directory for a tool's state."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        schemas = "staging, dora, migration, schema_history, dlt_bench, dlt_bench_staging"
        connection.execute(f"drop schema if exists {schemas} cascade")
        connection.execute("drop table if exists bare, airbyte_raw_incidents")
        connection.execute("checkpoint")
    with tempfile.TemporaryDirectory(prefix="bench") as directory:
        yield Path(directory)
