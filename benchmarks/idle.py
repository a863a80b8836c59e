"""An idle DAG processor: what it spends on reading the DAG files again and again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.airflow import OURS, START_SECONDS, dags_folder
from benchmarks.processes import cpu_of
from sandbox.stack import component, environment, migrate, postgres, wait_for

_ALL = (*OURS, "dora_report", "pagerduty_migration")
_STARTED = """
select exists (select from job where job_type = 'DagProcessorJob' and state = 'running')
    and (select count(*) from dag) = %s
"""


def table(minutes: float) -> tuple[str, list[str], list[list[Any]]]:
    """The DAG processor without our files and with them, one after the other."""
    rows = []
    for what, dags in (("no files", ()), (f"our {len(_ALL)} files", _ALL)):
        cpu = _measure(dags, minutes * 60)
        rows.append([what, round(cpu, 1), round(cpu / minutes, 2)])
    without, with_ours = (row[1] for row in rows)
    rows.append(
        ["each reading of one of ours", round((with_ours - without) / (len(_ALL) * minutes * 2), 2), None]
    )
    title = f"An idle DAG processor, {minutes:g} minutes, the files read every 30 s"
    return title, ["DAG processor with", "CPU s", "CPU s a minute"], rows


def _measure(dags: Sequence[str], seconds: float) -> float:
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        directory = Path(name)
        (directory / "logs").mkdir()
        with postgres(directory) as socket_dir:
            env = environment(socket_dir, 0, "admin", directory)
            env["AIRFLOW__CORE__DAGS_FOLDER"] = str(dags_folder(directory, dags))
            env.pop("PYTHONDONTWRITEBYTECODE", None)
            migrate(env, directory)
            metadata = f"host={socket_dir} user=postgres dbname=airflow"
            with (
                component("dag-processor", env, directory) as processor,
                psycopg.connect(metadata, autocommit=True) as database,
            ):
                # Its own start, and the first reading of the files, are not what is measured.
                wait_for(lambda: _has_started(database, len(dags)), "the DAG processor", START_SECONDS)
                before = cpu_of(processor.pid)
                time.sleep(seconds)
                return cpu_of(processor.pid) - before


def _has_started(database: psycopg.Connection[Any], dags: int) -> bool:
    return database.execute(_STARTED, (dags,)).fetchone() == (True,)
