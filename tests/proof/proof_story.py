"""A clean run of every DAG, task by task: what there was before each, and what it must leave behind.

First a sync, its deployments and metrics, unrecorded; then the sources change, and what is recorded
reads the whole history again: inserts, updates and deletions. The migration and its undo follow, in a
database of their own.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import proof_airflow
from proof_airflow import Outputs, Patch
from proof_moments import Moments
from proof_server import Dump
from proof_world import NOON, World, imported
from sandbox import opsgenie

FULL = {"full_refresh": True}
DEPLOYMENTS = {"since": (NOON - timedelta(days=12)).isoformat()}
MIGRATION = {"dry_run": False, "require_approval": False}
UNDO = MIGRATION | {"undo": True}
BEFORE_BOTH = ("prepare", "options", "validate_keys", "choose")
UNDOING = ("plan_undo", "go_on_undo", "approve_undo", "undo")


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


class Story:
    """Tells it once; then has every step by the name of its task.

    ``early`` and ``late`` are copies of the accounts, before and after they change.
    """

    early: dict[str, Any]
    late: dict[str, Any]

    def __init__(self, world: World, patch: Patch) -> None:
        self._world = world
        self._patch = patch
        self.steps: dict[str, Step] = {}

    def tell(self) -> None:
        world, server = self._world, self._world.server
        world.create("empty")
        server.copy("empty", "live")
        server.copy("empty", "migrated")
        self._go_on("live")
        for dag_id in proof_airflow.DAGS[:3]:
            proof_airflow.run(dag_id, {})
        self.early = world.copies()
        world.change()
        self.late = world.copies()
        world.change_own("live")
        self._go_on("live")
        for dag_id, params in zip(proof_airflow.DAGS, (FULL, DEPLOYMENTS, {}), strict=False):
            self._record(dag_id, params, "live")
        self._record("dora_report", {}, "live")
        self._go_on("migrated")
        tasks = [one for one in proof_airflow.order("pagerduty_migration") if one not in UNDOING]
        self._record("pagerduty_migration", MIGRATION, "migrated", tasks)
        self._record("pagerduty_migration", UNDO, "migrated", [*BEFORE_BOTH, *UNDOING])

    def _go_on(self, database: str) -> None:
        os.environ |= self._world.environment(database)
        proof_airflow.set_clocks(self._patch, self._world.now)

    def _record(
        self, dag_id: str, params: Mapping[str, Any], database: str, tasks: Iterable[str] = ()
    ) -> None:
        outputs: Outputs = {}
        for task_id in tasks or proof_airflow.order(dag_id):
            if f"{dag_id}.{task_id}" not in self.steps:
                place = database
                if task_id == "prepare":
                    # Told of a warehouse in which there is nothing yet; then the run goes on in its own.
                    place = f"{dag_id}_prepared"
                    self._world.server.copy("empty", place)
                self._go_on(place)
                self._tell(dag_id, task_id, params, outputs, place)
                self._go_on(database)
                if place == database:
                    outputs[task_id] = self.steps[f"{dag_id}.{task_id}"].output
                    continue
            outputs[task_id] = proof_airflow.execute(dag_id, task_id, outputs, params)

    def _tell(
        self, dag_id: str, task_id: str, params: Mapping[str, Any], outputs: Outputs, database: str
    ) -> None:
        world, server = self._world, self._world.server
        before = f"before_{len(self.steps)}"
        target = copy.deepcopy(world.stores["target"])
        step = Step(dag_id, task_id, params, copy.deepcopy(outputs), before, target)
        server.copy(database, before)
        requests = {name: app.log.counts["total"] for name, app in world.apps.items()}
        with Moments().watched() as moments:
            step.output = proof_airflow.execute(dag_id, task_id, outputs, params)
        asked = {name: app.log.counts["total"] - requests[name] for name, app in world.apps.items()}
        step.counts = moments.counts
        step.asked = max(asked.items(), key=lambda one: one[1])
        step.after = server.dump(database)
        step.imported = imported(world.stores["target"])
        self.steps[f"{dag_id}.{task_id}"] = step
