"""One case of the matrix: a copy of what a task found, the fault, another try, and the comparison."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowFailException

import proof_airflow
import proof_child
from proof_airflow import Outputs
from proof_server import differences
from proof_story import Step, Story
from proof_world import World, imported

# What a task did, as opposed to what it made: a try that goes on from another has less to do.
_COUNTS = {
    "requests", "rows_changed", "deleted", "rejected", "incidents", "schedules", "seconds", "full", "reason",
    "touched_incidents", "touched_deployments", "timelines", "refused", "stored",
}  # fmt: skip
# A canary that is there already is not sent again: the next one is, so that only the end is the same.
FOLLOWED_BY = {"pagerduty_migration.canary": ("import", "verify"), "pagerduty_migration.import": ("verify",)}


class Nursery:
    """Processes that do a task or a run each, and may kill themselves in it."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout, self._errors = process.stdin, process.stdout, errors

    def start(self, **job: Any) -> int:
        """Begin a job of ``proof_child``; returns its process id."""
        return self._say({"errors": str(self._errors), **job})

    def wait(self, child: int) -> int:
        """The exit code of a job; negative: the signal that ended it."""
        return self._say({"wait": child})

    def error(self) -> str:
        """What the last job that failed said."""
        return self._errors.read_text()

    def _say(self, what: Mapping[str, Any]) -> int:
        self._stdin.write(json.dumps(what) + "\n")
        self._stdin.flush()
        return int(self._stdout.readline())


@contextmanager
def nursery(errors: Path) -> Iterator[Nursery]:
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        [sys.executable, proof_child.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    ) as process:
        yield Nursery(process, errors)
        process.communicate()


class Case:
    """A task in a database of its own, and the stand-ins as the task found them."""

    def __init__(self, world: World, story: Story, task: str, tablespace: str | None = None) -> None:
        self.world = world
        self.step: Step = story.steps[task]
        self.task = task
        self.database = f"case_{uuid.uuid4().hex}"
        world.server.copy(self.step.before, self.database, tablespace)
        world.serve(target=copy.deepcopy(self.step.target))
        os.environ |= world.environment(self.database)
        self._expected = (
            story.steps[f"pagerduty_migration.{self._following[-1]}"] if self._following else self.step
        )

    @property
    def _following(self) -> tuple[str, ...]:
        return FOLLOWED_BY.get(self.task, ())

    def close(self) -> None:
        self.world.server.drop(self.database)

    # --- tries

    def attempt(self) -> Any:
        """A try of the task; returns its output."""
        return proof_airflow.execute(
            self.step.dag_id, self.step.task_id, copy.deepcopy(self.step.outputs), self.step.params
        )

    def failure(self) -> BaseException | None:
        """Why a try failed, if it did."""
        try:
            self.attempt()
        except Exception as error:
            return error
        return None

    def job(self, **more: Any) -> dict[str, Any]:
        """The same try, for the nursery."""
        return {
            "dag": self.step.dag_id,
            "tasks": [self.step.task_id],
            "outputs": self.step.outputs,
            "params": dict(self.step.params),
            "environment": self.world.environment(self.database),
            "now": self.world.now.isoformat(),
            **more,
        }

    def may_be_tried_again(self, error: BaseException) -> bool:
        """Whether Airflow would, of its own accord, as long as the task has retries left."""
        task = proof_airflow.dag(self.step.dag_id).get_task(self.step.task_id)
        if isinstance(error, AirflowFailException):
            return False
        policy = task.retry_policy
        return policy is None or policy.evaluate(error, 1, 3).action is not RetryAction.FAIL

    # --- the end

    def recover(self) -> None:
        """Another try, in peace: it succeeds, and nothing differs from the clean run."""
        output = self.attempt()
        if not self._following:
            assert _made(output) == _made(self.step.output)
        outputs: Outputs = {**copy.deepcopy(self.step.outputs), self.step.task_id: output}
        proof_airflow.run(
            self.step.dag_id, self.step.params, self._following, outputs
        ) if self._following else None
        assert differences(self.world.server.dump(self.database), self._expected.after) == []
        for there, expected in zip_longest(imported(self.world.stores["target"]), self._expected.imported):
            assert there == expected
        assert self.world.stores["target"].pages == []


def _made(output: Any) -> Any:
    if isinstance(output, dict):
        return {name: _made(value) for name, value in output.items() if name not in _COUNTS}
    return [_made(value) for value in output] if isinstance(output, list) else output


def eventually_idle(world: World, wait: Callable[[], None]) -> None:
    """Until no stand-in is at work on a request of somebody who is gone."""
    while any(app.log.in_flight for app in world.apps.values()):
        wait()
