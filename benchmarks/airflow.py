"""A real Airflow with the stand-ins and PostgreSQL on this machine, as `make run` has it, to be measured."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests

from benchmarks.environments import NoEnvironmentError, python_of
from benchmarks.processes import cpu_of, own_cpu_of
from benchmarks.sync import ROOT, Api
from sandbox.connections import WEBHOOK_SECRET, connections
from sandbox.opsgenie.store import SYNC_KEY
from sandbox.stack import (
    Airflow,
    StackError,
    component,
    environment,
    free_port,
    migrate,
    postgres,
    process,
    wait_for,
)

COMPONENTS = ("api-server", "scheduler", "dag-processor")
SYNCS = ("opsgenie_sync", "deployments_sync")
METRICS = "dora_metrics"
OURS = (*SYNCS, METRICS)
DLT = "dlt_incidents"
# A machine that others use, too, is measured all the same.
START_SECONDS, _CYCLE_SECONDS = 600.0, 1800.0
# Before a full hour; and how long after it the scheduler may take to begin.
_NEAR_SECONDS, _SCHEDULED_SECONDS = 240.0, 10.0


@dataclass(frozen=True)
class Cost:
    """What the runs of some DAGs took, from their trigger to the end of their last task.

    :param cpu: CPU seconds of each component of Airflow, and of the tasks.
    :param processes: how many task processes were started.
    """

    seconds: float
    cpu: Mapping[str, float]
    processes: int

    @property
    def all_cpu(self) -> float:
        """CPU seconds of all components."""
        return sum(self.cpu.values())

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.cpu.items())
        return f"{self.seconds:.1f} s, CPU {self.all_cpu:.1f} s ({parts}), {self.processes} processes"


class Stack:
    """A running Airflow.

    :ivar stand_ins: OpsGenie and GitHub, by name.
    """

    def __init__(
        self, airflow: Airflow, metadata: str, pids: Mapping[str, int], stand_ins: Mapping[str, Api]
    ) -> None:
        self._airflow = airflow
        self._metadata = metadata
        self._pids = pids
        self.stand_ins = stand_ins

    def run(self, dag_ids: Sequence[str], conf: Mapping[str, Any] | None = None) -> Cost:
        """Trigger DAGs, and wait until they and what their assets start are done."""

        def trigger() -> None:
            for dag_id in dag_ids:
                self._airflow.trigger(dag_id, conf)

        return self._measure(trigger)

    def deliver(self, service: str) -> Cost:
        """Send a deployment of a service to the webhook, and wait until the metrics have it."""
        body = {
            "deployment_id": str(uuid.uuid4()), "service": service, "environment": "production",
            "status": "success", "triggered_at": datetime.now(UTC).isoformat(),
        }  # fmt: skip

        def send() -> None:
            id_, sent, text = body["deployment_id"], str(int(time.time())), json.dumps(body)
            signed = hmac.new(WEBHOOK_SECRET.encode(), f"{id_}.{sent}.{text}".encode(), hashlib.sha256)
            signature = f"v1,{base64.b64encode(signed.digest()).decode()}"
            headers = {"webhook-id": id_, "webhook-timestamp": sent, "webhook-signature": signature}
            url = f"{self._airflow.url}/opsgenie_provider/webhook/generic"
            answer = requests.post(url, data=text, headers=headers, timeout=60)
            if not (answer.ok and answer.json()["asset_event"]):
                raise StackError(f"The webhook answered {answer.status_code}: {answer.text}")

        return self._measure(send)

    def _measure(self, begin: Callable[[], None]) -> Cost:
        """What it costs until nothing runs and no event of an asset waits for a run.

        :raises StackError: a run failed.
        """
        with psycopg.connect(self._metadata, autocommit=True) as database:
            _avoid_full_hour()
            wait_for(lambda: _is_quiet(database), "the end of earlier runs", _CYCLE_SECONDS)
            began, cpu = time.time(), self._cpu()
            begin()
            wait_for(lambda: _is_quiet(database), "the end of all runs", _CYCLE_SECONDS)
            spent = {name: after - cpu[name] for name, after in self._cpu().items()}
            failed = database.execute(_FAILED, (began,)).fetchall()
            ended, processes = database.execute(_ENDED, (began,)).fetchone() or (None, 0)
        if failed or ended is None:
            raise StackError(f"Failed: {failed or 'nothing ran'}.")
        return Cost(ended - began, spent, processes)

    def parse_seconds(self) -> dict[str, float]:
        """How long the DAG processor took to read each DAG's file, the last time."""
        with psycopg.connect(self._metadata) as database:
            return dict(database.execute("select dag_id, last_parse_duration from dag order by 1").fetchall())

    def wait_until_read(self, dag_ids: Sequence[str]) -> None:
        """Wait until the DAG processor has read these DAGs."""
        for dag_id in dag_ids:
            wait_for(partial(self._airflow.has_dag, dag_id), f"the DAG {dag_id}", START_SECONDS)

    def _cpu(self) -> dict[str, float]:
        spent = {name: cpu_of(pid) for name, pid in self._pids.items()}
        scheduler = own_cpu_of(self._pids["scheduler"])
        # What the LocalExecutor starts are the scheduler's children.
        return spent | {"scheduler": scheduler, "tasks": spent["scheduler"] - scheduler}


# Nothing runs, and no event of an asset waits for a run.
_BUSY = """
select exists (select from dag_run where state in ('queued', 'running'))
    or exists (select from asset_dag_run_queue)
"""
_FAILED = """
select dag_id, run_id from dag_run where state = 'failed' and queued_at > to_timestamp(%s)
"""
_ENDED = """
select extract(epoch from max(end_date))::float, sum(try_number)
from task_instance where start_date > to_timestamp(%s) and pid is not null
"""


def _is_quiet(database: psycopg.Connection[Any]) -> bool:
    return database.execute(_BUSY).fetchone() == (False,)


def _avoid_full_hour() -> None:
    """Wait if the schedules would start runs of their own in the middle of a measurement."""
    left = 3600 - time.time() % 3600
    if left < _NEAR_SECONDS:
        time.sleep(left + _SCHEDULED_SECONDS)


@contextmanager
def running(
    directory: Path,
    *,
    accounts: int = 1,
    repositories: Sequence[Mapping[str, str]],
    dags: Sequence[str] = OURS,
) -> Iterator[Stack]:
    """Airflow with these DAGs of ours, and dlt's where its environment can be made."""
    (directory / "logs").mkdir()
    with ExitStack() as stack:
        socket_dir = stack.enter_context(postgres(directory))
        ports = directory / "ports.json"
        command = [sys.executable, "-m", "sandbox", "--unlimited", "--ports-file", str(ports)]
        path = {"PYTHONPATH": str(ROOT)}
        stack.enter_context(process("sandbox", command, os.environ | path, directory))
        wait_for(ports.exists, "the stand-ins", START_SECONDS)
        urls = json.loads(ports.read_text())
        airflow = Airflow(f"http://127.0.0.1:{free_port(0)}", "admin")
        env = environment(socket_dir, urlsplit(airflow.url).port or 0, "admin", directory)
        env |= connections(socket_dir, urls) | _accounts(accounts, urls["opsgenie"])
        env |= path | {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder(directory, dags)),
            # On a machine that others use, the API server may take its time.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "OPSGENIE_PROVIDER__GITHUB_REPOSITORIES": json.dumps(list(repositories)),
        }
        env |= _dlt_environment(socket_dir, urls["opsgenie"], directory)
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        migrate(env, directory)
        pids = {name: stack.enter_context(component(name, env, directory)).pid for name in COMPONENTS}
        wait_for(airflow.is_up, "Airflow's API server", START_SECONDS)
        airflow.log_in()
        metadata = f"host={socket_dir} user=postgres dbname=airflow"
        yield Stack(airflow, metadata, pids, {name: Api(urls[name]) for name in ("opsgenie", "github")})


def dags_folder(directory: Path, dags: Sequence[str]) -> Path:
    """A folder with the DAG files of these names."""
    folder = directory / "dags"
    folder.mkdir()
    for dag_id in dags:
        known = ROOT / "dags" / f"{dag_id}.py"
        shutil.copy(known if known.exists() else Path(__file__).parent / "dlt_dag" / f"{dag_id}.py", folder)
    return folder


def _accounts(count: int, url: str) -> dict[str, str]:
    """Connections to so many accounts, which all are the same one of the stand-in, and the setting."""
    names = ["opsgenie_default", *(f"opsgenie_{number}" for number in range(2, count + 1))]
    connection = json.dumps({"conn_type": "opsgenie_api", "password": SYNC_KEY, "host": url})
    found = {f"AIRFLOW_CONN_{name.upper()}": connection for name in names}
    return found | {"OPSGENIE_PROVIDER__ACCOUNTS": json.dumps(names)}


def _dlt_environment(socket_dir: Path, url: str, directory: Path) -> dict[str, str]:
    """What dlt's DAG needs; nothing where dlt cannot be installed."""
    try:
        python = python_of("dlt")
    except NoEnvironmentError:
        return {}
    packages = python.parent.parent / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    state = directory / "dlt"
    state.mkdir()
    return {
        "BENCH_DLT_PACKAGES": str(packages),
        "BENCH_URL": url,
        "BENCH_KEY": SYNC_KEY,
        "BENCH_WAREHOUSE": f"host={socket_dir} user=postgres dbname=warehouse",
        "BENCH_DIRECTORY": str(state),
        "DLT_DATA_DIR": str(state),
    }


@contextmanager
def in_temporary_directory(**options: Any) -> Iterator[Stack]:
    """``running`` in a directory that is removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="bench") as directory,
        running(Path(directory), **options) as stack,
    ):
        yield stack
