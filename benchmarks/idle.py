"""An idle DAG processor: what it spends on reading the DAG files again and again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.airflow import OURS, dags_folder
from benchmarks.processes import cpu_of
from sandbox.stack import component, environment, migrate, postgres

_ALL = (*OURS, "dora_report", "pagerduty_migration")
_START_SECONDS = 20.0


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
            with component("dag-processor", env, directory) as processor:
                # Its own start is not what is measured.
                time.sleep(min(_START_SECONDS, seconds))
                before = cpu_of(processor.pid)
                time.sleep(seconds)
                return cpu_of(processor.pid) - before
