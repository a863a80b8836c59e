"""One case of the matrix: a copy of what a task found, the fault, another try, and the comparison."""

from __future__ import annotations

import copy
import os
import uuid
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowFailException

from tests.proof.clean_run import CleanRun, Step
from tests.support import tasks
from tests.support.dag_runs import dag
from tests.support.processes import Job
from tests.support.server import differences
from tests.support.service_world import World, imported
from tests.support.tasks import Outputs

# What a task did, as opposed to what it made: a try that goes on from another has less to do.
_COUNTS = {
    "requests", "rows_changed", "deleted", "rejected", "incidents", "schedules", "seconds", "full", "reason",
    "touched_incidents", "touched_deployments", "parts", "stored",
}  # fmt: skip
# A canary that is there already is not sent again: the next one is, so that only the end is the same.
FOLLOWED_BY = {"pagerduty_migration.canary": ("import", "verify"), "pagerduty_migration.import": ("verify",)}


class Case:
    """A task in a database of its own, and the stand-ins as the task found them."""

    def __init__(self, world: World, clean_run: CleanRun, task: str, tablespace: str | None = None) -> None:
        self.world = world
        self.step: Step = clean_run.steps[task]
        self.database = f"case_{uuid.uuid4().hex}"
        world.server.copy(self.step.before, self.database, tablespace)
        world.serve(target=copy.deepcopy(self.step.target))
        os.environ |= world.environment(self.database, moved=self.step.moved)
        self._following = FOLLOWED_BY.get(task, ())
        last = f"{self.step.dag_id}.{self._following[-1]}" if self._following else task
        self._expected = clean_run.steps[last]

    def close(self) -> None:
        self.world.server.drop(self.database)

    # --- tries

    def attempt(self, outputs: Outputs | None = None) -> Any:
        """A try of the task; returns its output. What else it hands on is added to ``outputs``."""
        step = self.step
        outputs = copy.deepcopy(step.outputs) if outputs is None else outputs
        return tasks.execute(step.dag_id, step.task_id, outputs, step.params)

    def failure(self) -> BaseException | None:
        """Why a try failed, if it did."""
        try:
            self.attempt()
        except Exception as error:
            return error
        return None

    def job(self, **kill: Any) -> Job:
        """The same try, for a process that is killed."""
        return Job(
            self.step.dag_id,
            self.step.task_id,
            self.step.params,
            self.step.outputs,
            self.world.environment(self.database, moved=self.step.moved),
            self.world.now,
            **kill,
        )

    def may_be_tried_again(self, error: BaseException) -> bool:
        """Whether Airflow would, as long as the task has retries left."""
        if isinstance(error, AirflowFailException):
            return False
        policy = dag(self.step.dag_id).get_task(self.step.task_id).retry_policy
        return policy is None or policy.evaluate(error, 1, 3).action is not RetryAction.FAIL

    # --- the end

    def recover(self) -> None:
        """Another try, in peace: it succeeds, and nothing differs from the clean run."""
        step = self.step
        outputs: Outputs = copy.deepcopy(step.outputs)
        output = outputs[step.task_id] = self.attempt(outputs)
        if not self._following:
            assert _made(output) == _made(step.output)
        for task_id in self._following:
            outputs[task_id] = tasks.execute(step.dag_id, task_id, outputs, step.params)
        assert differences(self.world.server.dump(self.database), self._expected.after) == []
        for found, expected in zip_longest(imported(self.world.stores["target"]), self._expected.imported):
            assert found == expected
        assert self.world.stores["target"].pages == []


def _made(output: Any) -> Any:
    if isinstance(output, dict):
        return {name: _made(value) for name, value in output.items() if name not in _COUNTS}
    return [_made(value) for value in output] if isinstance(output, list) else output


def eventually_idle(world: World, wait: Callable[[], None]) -> None:
    """Until no stand-in is at work on a request of somebody who is gone."""
    while any(app.log.in_flight for app in world.apps.values()):
        wait()
