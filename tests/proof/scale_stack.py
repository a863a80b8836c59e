"""Airflow with the CeleryExecutor, Redis, PostgreSQL and workers, as docker-compose.yaml has them."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import requests

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PARTS = ("api-server", "scheduler", "dag-processor")
PASSWORD = "admin"
# Tasks that a worker does at once.
CONCURRENCY = 4
WORKERS = 3
# Seconds in which anything comes to pass, on a machine with much other work.
PATIENCE = 300


class StackError(Exception):
    """A part of the stack did not start, or a run did not end."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Ask until a condition holds.

    :raises StackError: it did not in time.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise StackError(f"waited {PATIENCE} s for {what} in vain")
        time.sleep(0.3)


class Stack:
    """Its parts are processes of their own, in groups that end with it.

    :param server: the directory of a PostgreSQL's socket, which has the databases airflow and warehouse.
    """

    def __init__(self, directory: Path, server: str, settings: Mapping[str, str]) -> None:
        self._directory = directory
        self._redis, self._api = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._api}"
        self.environment = self._make_environment(server) | dict(settings)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def _make_environment(self, server: str) -> dict[str, str]:
        home = self._directory / "airflow"
        home.mkdir()
        passwords = home / "passwords.json"
        passwords.write_text(json.dumps({"admin": PASSWORD}))
        metadata = f"postgresql+psycopg2://postgres:@/airflow?host={server}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        return clean | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "scale_dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            # In an hour's first minutes, an unpaused DAG runs at once, and what is triggered waits for it.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{self._redis}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://postgres:@/airflow?host={server}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(CONCURRENCY),
            "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "tests.proof.scale_celery.CONFIG",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            # A task without a sign of life is given up, and tried again, after seconds, not minutes; not
            # so few that a busy machine alone exceeds them.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            # What a worker had fetched and not begun when it was killed is queued again. No more is
            # queued than the workers can take, so that nothing else waits for long. As long is the token
            # valid with which a task begins.
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "45",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "2",
            "AIRFLOW__CORE__PARALLELISM": str(WORKERS * CONCURRENCY),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self._api),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    # --- parts

    def start(self) -> None:
        """Everything but the workers."""
        plain = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", str(self._directory)]
        # Without the tests' clock, with which its memory allocator does not work.
        redis = ["env", "--unset=LD_PRELOAD", "redis-server"]
        self._begin("redis", [*redis, "--port", str(self._redis), *plain])
        self._airflow("db", "migrate")
        for part in PARTS:
            quiet = [] if part in ("api-server", "dag-processor") else ["--skip-serve-logs"]
            self._begin(part, ["airflow", part, *quiet])
        wait_for(self._is_up, "the API server")
        answer = self._session.post(
            f"{self.url}/auth/token", json={"username": "admin", "password": PASSWORD}, timeout=PATIENCE
        )
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def start_worker(self, name: str) -> None:
        command = ["airflow", "celery", "worker", "--skip-serve-logs", "--celery-hostname", f"{name}@proof"]
        self._begin(name, [*command, "--without-mingle"])

    def kill(self, name: str) -> None:
        """SIGKILL a part with all that it started, as if its machine had gone."""
        for each in self._family(name):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self._processes.pop(name).wait()

    def kill_all(self) -> None:
        # Nothing of theirs is needed any more, and a worker's leave would take its time.
        for name in reversed(list(self._processes)):
            self.kill(name)

    def is_at(self, name: str, tasks: Iterable[Mapping[str, Any]]) -> bool:
        """Whether one of the tasks is running on a worker."""
        family = {process.pid for process in self._family(name)}
        return any(task["state"] == "running" and task["pid"] in family for task in tasks)

    def _family(self, name: str) -> list[psutil.Process]:
        process = psutil.Process(self._processes[name].pid)
        return [process, *process.children(recursive=True)]

    def _begin(self, name: str, command: list[str]) -> None:
        with (self._directory / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=subprocess.STDOUT, cwd=self._directory,
                start_new_session=True,
            )  # fmt: skip

    def _airflow(self, *command: str) -> None:
        done = subprocess.run(
            ["airflow", *command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        if done.returncode:
            raise StackError(f"airflow {' '.join(command)} failed: {done.stdout} {done.stderr}")

    def _is_up(self) -> bool:
        try:
            return self._session.get(f"{self.url}/api/v2/version", timeout=5).ok
        except requests.ConnectionError:
            return False

    # --- runs

    def get(self, path: str, **params: Any) -> Any:
        answer = self._session.get(f"{self.url}/api/v2/{path}", params=params, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def has_dag(self, dag_id: str) -> bool:
        return self._session.get(f"{self.url}/api/v2/dags/{dag_id}", timeout=PATIENCE).ok

    def unpause(self, dag_id: str) -> None:
        patched = self._session.patch(
            f"{self.url}/api/v2/dags/{dag_id}", json={"is_paused": False}, timeout=PATIENCE
        )
        patched.raise_for_status()

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Begin a run; returns its id."""
        answer = self._session.post(
            f"{self.url}/api/v2/dags/{dag_id}/dagRuns",
            json={"logical_date": None, "conf": dict(conf)},
            timeout=PATIENCE,
        )
        answer.raise_for_status()
        return str(answer.json()["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        return str(self.get(f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100, offset=len(found))
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return found


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    try:
        stack.start()
        yield stack
    finally:
        stack.kill_all()
