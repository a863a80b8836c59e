"""Processes that each execute a task, or a whole run of a DAG, and can be killed in it.

Run as a module it forks a process per job that it is sent. It has imported everything by then and has no
threads, so that a job begins at once.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT


@dataclass(frozen=True)
class Job:
    """What a process does.

    :param task_id: the one task to execute, or None for a whole run.
    :param outputs: those of earlier tasks.
    :param environment: the connections and settings.
    :param now: what time it is; None: what the machine says.
    :param constants: other values for constants of the package, by their full name.
    :param kill_before: kind and zero-based index of the operation before which it kills itself.
    :param kill_at_end: it kills itself when all is done and nobody knows.
    """

    dag_id: str
    task_id: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    now: datetime | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    kill_before: tuple[str, int] | None = None
    kill_at_end: bool = False


class ProcessPool:
    """The processes, by their ids."""

    def __init__(self, parent: subprocess.Popen[bytes]) -> None:
        assert parent.stdin is not None
        assert parent.stdout is not None
        self._stdin, self._stdout = parent.stdin, parent.stdout

    def start(self, job: Job) -> int:
        """Begin a job; returns its process id."""
        started: int = self._ask(job)
        return started

    def kill(self, child: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    def wait(self, child: int) -> tuple[int, str]:
        """The exit code of a job (negative: the signal that ended it), and why it failed, if it did."""
        ended: tuple[int, str] = self._ask(child)
        return ended

    def run(self, job: Job) -> tuple[int, str]:
        return self.wait(self.start(job))

    def _ask(self, what: Job | int) -> Any:
        pickle.dump(what, self._stdin)
        self._stdin.flush()
        return pickle.load(self._stdout)


@contextmanager
def process_pool() -> Iterator[ProcessPool]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.processes"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    ) as parent:
        yield ProcessPool(parent)
        parent.communicate()


@pytest.fixture(scope="session")
def processes() -> Iterator[ProcessPool]:
    with process_pool() as pool:
        yield pool


# --- the other side


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _work(job: Job) -> None:
    from tests.support import tasks
    from tests.support.clocks import set_clocks
    from tests.support.faults import STATEMENT, FaultInjector

    os.environ.update(job.environment)
    tasks.adapt(setattr)
    if now := job.now:
        set_clocks(setattr, lambda: now)
    for name, value in job.constants.items():
        module, _, constant = name.rpartition(".")
        setattr(importlib.import_module(module), constant, value)
    kind, index = job.kill_before or (STATEMENT, None)
    with FaultInjector(kind, index, _die).active():
        if job.task_id is None:
            tasks.run(job.dag_id, job.params, job.outputs)
        else:
            tasks.execute(job.dag_id, job.task_id, job.outputs, job.params)
    if job.kill_at_end:
        _die()


def _fork(job: Job, errors: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        _work(job)
        os._exit(0)
    except BaseException as error:
        (errors / str(os.getpid())).write_text(f"{type(error).__name__}: {error}")
        os._exit(1)


def _serve(errors: Path) -> None:
    from tests.support import tasks
    from tests.support.dag_runs import DAGS

    answers = os.fdopen(os.dup(1), "wb")
    # Whatever is logged is not part of the conversation.
    os.dup2(2, 1)
    for dag_id in DAGS:
        tasks.dag(dag_id)
    with suppress(EOFError):
        while True:
            asked = pickle.load(sys.stdin.buffer)
            if isinstance(asked, int):
                _, status = os.waitpid(asked, 0)
                said = errors / str(asked)
                answer: Any = os.waitstatus_to_exitcode(status), said.read_text() if said.exists() else ""
            else:
                answer = _fork(asked, errors)
            pickle.dump(answer, answers)
            answers.flush()


if __name__ == "__main__":
    import tempfile

    # Under this name the jobs that are sent are of the class that the sender knows.
    from tests.support.processes import _serve as serve

    with tempfile.TemporaryDirectory() as directory:
        serve(Path(directory))
