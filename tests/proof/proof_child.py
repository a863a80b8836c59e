"""Forks a process per line of its input that executes a task, or a whole run, and may kill itself in it.

It has imported everything by then and has no threads, so that a process begins at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import proof_airflow
from proof_moments import STATEMENT, Moments


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work(job: dict[str, Any]) -> None:
    """Do a job; a SIGKILL comes at its moment, or, as ``after``, when all is done and nobody knows."""
    os.environ.update(job["environment"])
    proof_airflow.adapt(setattr)
    proof_airflow.set_clocks(setattr, datetime.fromisoformat(job["now"]))
    with Moments(job.get("kind", STATEMENT), job.get("place"), _die).watched():
        proof_airflow.run(job["dag"], job["params"], job["tasks"], job["outputs"])
    if job.get("after"):
        _die()


def main() -> None:
    said = os.dup(1)
    # Whatever is logged is not the parent's conversation.
    os.dup2(2, 1)
    for dag_id in proof_airflow.DAGS:
        proof_airflow.dag(dag_id)
    for line in sys.stdin:
        job = json.loads(line)
        if "wait" in job:
            _, status = os.waitpid(job["wait"], 0)
            os.write(said, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            continue
        child = os.fork()
        if not child:
            try:
                work(job)
                os._exit(0)
            except BaseException as error:
                Path(job["errors"]).write_text(f"{type(error).__name__}: {error}")
                os._exit(1)
        os.write(said, f"{child}\n".encode())


if __name__ == "__main__":
    main()
