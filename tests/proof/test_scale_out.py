"""CeleryExecutor, a real Redis and three workers, of which one is killed: right tables, no doubles.

The parts are those of docker-compose.yaml. It needs redis-server on this machine (Debian: the package
of that name) and the Celery provider, and says so where they are missing.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from sandbox.server import serve
from tests.proof.scale_accounts import Accounts
from tests.support.postgres import Warehouse
from tests.support.server import Server

pytest.importorskip("airflow.providers.celery", reason="apache-airflow-providers-celery is not installed")
from tests.proof.scale_stack import ROOT, WORKERS, Stack, running, wait_for

DAG = "opsgenie_sync"
ACCOUNTS = 20
# How many of a run's tasks are timed: half of the accounts, and what comes before them.
TIMED = 11
# Long for a request: then waiting takes most of the time, as it does with the real service.
LATENCY_MS = 250
MAPPED = ("account",)


@pytest.fixture
def accounts() -> Accounts:
    return Accounts(ACCOUNTS)


@pytest.fixture
def stack(tmp_path: Path, server: Server, accounts: Accounts) -> Iterator[Stack]:
    server.admin("create database airflow")
    server.admin("create database warehouse")
    warehouse = (
        f'{{"conn_type": "postgres", "host": "{server.host}", "login": "postgres", "schema": "warehouse"}}'
    )
    with serve(accounts) as url:
        settings = accounts.environment(url) | {"AIRFLOW_CONN_POSTGRES_DEFAULT": warehouse}
        with running(Stack(tmp_path, server.host, settings)) as made:
            yield made
    for name in ("airflow", "warehouse"):
        server.drop(name)


@dataclass
class Run:
    """A run of the DAG that was just triggered."""

    stack: Stack
    conf: dict[str, bool]

    def __post_init__(self) -> None:
        self.id = self.stack.trigger(DAG, self.conf)

    def seconds(self) -> float:
        """Wait until ``TIMED`` tasks are done; returns how long they took, from the first on."""
        wait_for(lambda: self.stack.done(DAG, self.id) > 0, "the first task")
        began = time.monotonic()
        wait_for(lambda: self.stack.done(DAG, self.id) >= TIMED, "the tasks that are timed")
        return time.monotonic() - began

    def end(self) -> list[dict[str, Any]]:
        """Wait for its success; returns its tasks."""
        over = ("success", "failed")
        wait_for(lambda: self.stack.state(DAG, self.id) in over, "the end of the run")
        tasks = self.stack.tasks(DAG, self.id)
        ended = Counter((task["task_id"], task["state"]) for task in tasks if task["task_id"] in MAPPED)
        assert ended == {(name, "success"): ACCOUNTS for name in MAPPED}
        assert self.stack.state(DAG, self.id) == "success"
        return tasks


def test_the_compose_file_is_the_same_set_up(tmp_path: Path) -> None:
    parts = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    ours = Stack(tmp_path, "/nowhere", {}).environment
    for name in ("scheduler", "worker", "apiserver", "dag-processor", "triggerer"):
        theirs = parts[f"airflow-{name}"]["environment"]
        assert theirs["AIRFLOW__CORE__EXECUTOR"] == ours["AIRFLOW__CORE__EXECUTOR"]
        for setting in ("AIRFLOW__CELERY__BROKER_URL", "AIRFLOW__CELERY__RESULT_BACKEND"):
            assert urlsplit(theirs[setting]).scheme == urlsplit(ours[setting]).scheme
    assert parts["redis"]["image"].startswith("redis:")
    assert parts["airflow-worker"]["command"] == ["airflow", "celery", "worker"]


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs the Debian package redis-server")
def test_twenty_accounts_on_three_workers_of_which_one_is_killed(
    stack: Stack, accounts: Accounts, server: Server, record_property: Callable[[str, object], None]
) -> None:
    """The first run begins on one worker, and two join; the third loses one of the three in the middle."""
    names = [f"worker{number}" for number in range(WORKERS)]
    for name in names:
        stack.start_worker(name, idle=name != names[0])
    wait_for(lambda: stack.has_dag(DAG), "the DAG")
    wait_for(lambda: stack.employ(names[0]), names[0])
    stack.unpause(DAG)
    accounts.configure(latency_ms=LATENCY_MS)

    first = Run(stack, {})
    alone = first.seconds()
    for name in names[1:]:
        wait_for(lambda name=name: stack.employ(name), f"{name}")  # type: ignore[misc]
    first.end()
    with Warehouse(server.host, "warehouse") as warehouse:
        assert accounts.differences(warehouse) == []

    second = Run(stack, {"full_refresh": True})
    together = second.seconds()
    second.end()

    accounts.change()
    # So slow that every task that runs is in the middle of its work.
    accounts.configure(latency_ms=5000)
    third = Run(stack, {"full_refresh": True})
    wait_for(lambda: stack.is_at(names[1], stack.tasks(DAG, third.id)), f"a task on {names[1]}")
    stack.kill(names[1])
    accounts.configure(latency_ms=LATENCY_MS)
    tasks = third.end()

    # It took a task with it, which another did again.
    assert max(task["try_number"] for task in tasks) > 1
    with Warehouse(server.host, "warehouse") as warehouse:
        assert accounts.differences(warehouse) == []
    # What it is about; not asserted, for a machine has its own pace.
    record_property(
        f"{TIMED} tasks of {ACCOUNTS} accounts",
        f"{alone:.1f} s on one worker, {together:.1f} s on {WORKERS}: {alone / together:.1f} times as fast",
    )
