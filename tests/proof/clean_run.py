"""A clean run of every DAG, task by task: what there was before each, and what it must leave behind.

First a sync, its deployments and metrics, unrecorded; then the sources change, and what is recorded
reads the whole history again: inserts, updates and deletions. Then OpsGenie's account moves to Jira Service
Management, and is read from there. The migration and its undo follow, in a database of their own.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sandbox import opsgenie
from tests.proof.matrix import MOVED
from tests.support import tasks
from tests.support.clocks import Patch, set_clocks
from tests.support.dag_runs import DAGS
from tests.support.faults import FaultInjector
from tests.support.server import Dump
from tests.support.service_world import NOON, World, imported
from tests.support.tasks import Outputs

FULL = {"full_refresh": True}
DEPLOYMENTS = {"since": (NOON - timedelta(days=12)).isoformat()}
MIGRATION = {"dry_run": False, "require_approval": False}
UNDO = MIGRATION | {"undo": True}


@dataclass
class Step:
    """A task of the clean run.

    :param outputs: those of the tasks before it.
    :param before: the database as the task found it.
    :param target: the OpsGenie account that is imported into, as the task found it.
    :param after: all rows as the task left them.
    :param imported: what that account must hold afterwards.
    :param counts: how many statements, COPYs and requests it took.
    :param asked: the service that it asked most, and how often.
    :param moved: whether OpsGenie's account has moved to Jira Service Management.
    """

    dag_id: str
    task_id: str
    params: Mapping[str, Any]
    outputs: Outputs
    before: str
    target: opsgenie.Store
    after: Dump = field(default_factory=dict)
    imported: list[Any] = field(default_factory=list)
    output: Any = None
    counts: dict[str, int] = field(default_factory=dict)
    asked: tuple[str, int] = ("", 0)
    moved: bool = False


class CleanRun:
    """Has every step by the name of its task, once they are recorded.

    ``early`` and ``late`` are copies of the accounts, before and after they change; ``found`` has by DAG a
    copy of the database as it found it.
    """

    early: dict[str, Any]
    late: dict[str, Any]

    def __init__(self, world: World, patch: Patch) -> None:
        self._world = world
        self._patch = patch
        self.steps: dict[str, Step] = {}
        self.found: dict[str, str] = {}

    def record(self) -> None:
        world, server = self._world, self._world.server
        world.create("empty")
        server.copy("empty", "live")
        server.copy("empty", "migrated")
        self._use("live")
        for dag_id in DAGS[:3]:
            tasks.run(dag_id, {})
        self.early = world.copies()
        world.change()
        self.late = world.copies()
        world.change_own("live")
        for dag_id, params in zip(DAGS, (FULL, DEPLOYMENTS, {}), strict=False):
            self._record_dag(dag_id, params, "live")
        self._record_dag("dora_report", {}, "live")
        self._record_move("live")
        self._record_dag("pagerduty_migration", MIGRATION, "migrated")
        self._record_dag("pagerduty_migration", UNDO, "migrated")

    def _use(self, database: str, *, moved: bool = False) -> None:
        now = self._world.now
        os.environ |= self._world.environment(database, moved=moved)
        set_clocks(self._patch, lambda: now)

    def _record_dag(self, dag_id: str, params: Mapping[str, Any], database: str) -> None:
        self._use(database)
        if dag_id not in self.found:
            self.found[dag_id] = f"{dag_id}_found"
            self._world.server.copy(database, self.found[dag_id])
        outputs: Outputs = {}
        for task_id in tasks.due(dag_id, outputs):
            if f"{dag_id}.{task_id}" in self.steps:
                outputs[task_id] = tasks.execute(dag_id, task_id, outputs, params)
            elif task_id == "prepare":
                # Recorded in a warehouse without tables; then the run goes on in its own.
                self._world.server.copy("empty", f"{dag_id}_prepared")
                self._use(f"{dag_id}_prepared")
                self._record_task(dag_id, task_id, params, outputs, f"{dag_id}_prepared")
                self._use(database)
                outputs[task_id] = tasks.execute(dag_id, task_id, outputs, params)
            else:
                self._record_task(dag_id, task_id, params, outputs, database)
                outputs[task_id] = self.steps[f"{dag_id}.{task_id}"].output

    def _record_move(self, database: str) -> None:
        """The first read of an account that has moved to Jira Service Management."""
        self._use(database, moved=True)
        step = self.steps["opsgenie_sync.sync"]
        self._record_task(step.dag_id, step.task_id, {}, step.outputs, database, moved=True)

    def _record_task(
        self,
        dag_id: str,
        task_id: str,
        params: Mapping[str, Any],
        outputs: Outputs,
        database: str,
        *,
        moved: bool = False,
    ) -> None:
        world, server = self._world, self._world.server
        before = f"before_{len(self.steps)}"
        target = copy.deepcopy(world.stores["target"])
        step = Step(dag_id, task_id, params, copy.deepcopy(outputs), before, target, moved=moved)
        server.copy(database, before)
        requests = {name: app.log.counts["total"] for name, app in world.apps.items()}
        with FaultInjector().active() as counter:
            step.output = tasks.execute(dag_id, task_id, outputs, params)
        asked = {name: app.log.counts["total"] - requests[name] for name, app in world.apps.items()}
        step.counts = counter.counts
        step.asked = max(asked.items(), key=lambda item: item[1])
        step.after = server.dump(database)
        step.imported = imported(world.stores["target"])
        self.steps[MOVED if moved else f"{dag_id}.{task_id}"] = step
