"""CeleryExecutor, a real Redis and three workers, of which one is killed: right tables, no doubles.

The parts are those of docker-compose.yaml. It needs redis-server on this machine (Debian: the package
of that name) and the Celery provider, and says so where they are missing.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
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
LATENCY_MS = 50
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

    def reads(self) -> list[dict[str, Any]]:
        """Its tasks that read accounts."""
        return [task for task in self.stack.tasks(DAG, self.id) if task["task_id"] in MAPPED]

    def end(self) -> list[dict[str, Any]]:
        """Wait for its success; returns its reads."""
        over = ("success", "failed")
        wait_for(lambda: self.stack.state(DAG, self.id) in over, "the end of the run")
        tasks = self.reads()
        ended = Counter((task["task_id"], task["state"]) for task in tasks)
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
    stack: Stack, accounts: Accounts, server: Server
) -> None:
    """The second run loses one of the three in the middle."""
    names = [f"worker{number}" for number in range(WORKERS)]
    for name in names:
        stack.start_worker(name)
    wait_for(lambda: stack.has_dag(DAG), "the DAG")
    stack.unpause(DAG)
    accounts.configure(latency_ms=LATENCY_MS)
    Run(stack, {}).end()
    with Warehouse(server.host, "warehouse") as warehouse:
        assert accounts.differences(warehouse) == []

    accounts.change()
    # So slow that every task that reads an account is in the middle of its work.
    accounts.configure(latency_ms=5000)
    second = Run(stack, {"full_refresh": True})
    wait_for(lambda: stack.is_at(names[1], second.reads()), f"a read on {names[1]}")
    stack.kill(names[1])
    accounts.configure(latency_ms=LATENCY_MS)
    reads = second.end()

    # It took one with it, which another worker did again.
    assert max(read["try_number"] for read in reads) > 1
    with Warehouse(server.host, "warehouse") as warehouse:
        assert accounts.differences(warehouse) == []
