"""Two runs of the same DAG at once, as if ``max_active_runs`` did not keep them apart.

Airflow does keep the runs of a DAG apart; a run in a second Airflow, or one by ``airflow dags test``, it
does not. Both runs are let go at the same moment, and both must end well.
"""

from __future__ import annotations

import copy
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.proof.clean_run import DEPLOYMENTS, FULL, MIGRATION, CleanRun
from tests.support import tasks
from tests.support.processes import Job, ProcessPool
from tests.support.server import Dump, differences
from tests.support.service_world import World, imported

Run = tuple[str, Mapping[str, Any]]
HOURLY: Run = ("opsgenie_sync", {})
BY_HAND: Run = ("opsgenie_sync", FULL)
DEPLOYS: Run = ("deployments_sync", DEPLOYMENTS)
METRICS: Run = ("dora_metrics", {})
REBUILD: Run = ("dora_metrics", FULL)
MIGRATE: Run = ("pagerduty_migration", MIGRATION)
_LOCK = "hashtextextended('opsgenie_provider:schema', 0)"
_WAITING = (
    "select count(*) from pg_locks where locktype = 'advisory' and not granted "
    "and database = (select oid from pg_database where datname = current_database())"
)


@pytest.fixture
def database(world: World, airflow: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Copies a database and lets it be the warehouse."""
    made: list[str] = []

    def copied(template: str) -> str:
        made.append(f"overlap_{uuid.uuid4().hex}")
        world.server.copy(template, made[-1])
        os.environ |= world.environment(made[-1])
        return made[-1]

    yield copied
    for name in made:
        world.server.drop(name)


def at_once(world: World, processes: ProcessPool, warehouse: str, runs: tuple[Run, ...]) -> Dump:
    """Begin the runs at the same moment, and wait for all of them to end well; returns all rows."""
    for app in world.apps.values():
        app.faults.configure(latency_ms=3)
    with world.server.connect(warehouse) as holding:
        # The first thing that every run does needs this lock.
        holding.execute(f"select pg_advisory_lock({_LOCK})")
        environment = world.environment(warehouse)
        started = [
            processes.start(Job(dag_id, params=params, environment=environment, now=world.now))
            for dag_id, params in runs
        ]
        end = time.monotonic() + 120
        while holding.execute(_WAITING).fetchone() != (len(runs),):
            assert time.monotonic() < end
            time.sleep(0.01)
        holding.execute(f"select pg_advisory_unlock({_LOCK})")
        ends = [processes.wait(process) for process in started]
    assert ends == [(0, "")] * len(runs)
    return world.server.dump(warehouse)


def in_turn(world: World, warehouse: str, runs: tuple[Run, ...]) -> Dump:
    for dag_id, params in runs:
        tasks.run(dag_id, params)
    return world.server.dump(warehouse)


@pytest.mark.parametrize(
    ("before", "runs", "expected"),
    [
        pytest.param("empty", (HOURLY, HOURLY), (HOURLY,), id="two first syncs"),
        pytest.param("read", (HOURLY, HOURLY), (HOURLY,), id="two hourly syncs"),
        pytest.param("read", (HOURLY, BY_HAND), (BY_HAND,), id="a full one by hand meanwhile"),
        pytest.param("empty", (DEPLOYS, DEPLOYS), (DEPLOYS,), id="two first deployment syncs"),
        pytest.param("read", (DEPLOYS, DEPLOYS), (DEPLOYS,), id="two deployment syncs"),
        pytest.param("read", (METRICS, METRICS), (METRICS,), id="two refreshes"),
        pytest.param("read", (METRICS, REBUILD), (METRICS, REBUILD), id="a rebuild meanwhile"),
        pytest.param("empty", (MIGRATE, MIGRATE), (MIGRATE,), id="two migrations"),
    ],
)
def test_runs_of_a_dag_at_once(
    world: World, clean_run: CleanRun, processes: ProcessPool, database: Any,
    before: str, runs: tuple[Run, ...], expected: tuple[Run, ...],
) -> None:  # fmt: skip
    template = before if before == "empty" else clean_run.found[runs[0][0]]
    world.serve(**copy.deepcopy(clean_run.late))
    right = in_turn(world, database(template), expected)
    moved = imported(world.stores["target"])

    world.serve(**copy.deepcopy(clean_run.late))
    warehouse = database(template)
    found = at_once(world, processes, warehouse, runs)

    assert differences(found, right) == []
    assert imported(world.stores["target"]) == moved
    assert world.stores["target"].pages == []


def test_everything_at_once(world: World, clean_run: CleanRun, processes: ProcessPool, database: Any) -> None:
    """All four DAGs, each twice; then the metrics once more, for what came after they looked."""
    template = clean_run.found["opsgenie_sync"]
    world.serve(**copy.deepcopy(clean_run.late))
    right = in_turn(world, database(template), (BY_HAND, DEPLOYS, MIGRATE, METRICS))

    world.serve(**copy.deepcopy(clean_run.late))
    warehouse = database(template)
    at_once(
        world,
        processes,
        warehouse,
        (HOURLY, BY_HAND, DEPLOYS, DEPLOYS, METRICS, METRICS, MIGRATE, MIGRATE),
    )

    assert differences(in_turn(world, warehouse, (METRICS,)), right) == []
