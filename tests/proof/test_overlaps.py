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
from pathlib import Path
from typing import Any

import pytest

import proof_airflow
from proof_case import Nursery
from proof_server import Dump, differences
from proof_story import DEPLOYMENTS, FULL, MIGRATION, UNDOING, Story
from proof_world import World, imported

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


def tasks_of(dag_id: str) -> list[str]:
    return [one for one in proof_airflow.order(dag_id) if one not in UNDOING]


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


def at_once(world: World, children: Nursery, warehouse: str, runs: tuple[Run, ...], errors: Path) -> Dump:
    """Begin the runs at the same moment, and wait for all of them to end well; returns all rows."""
    for app in world.apps.values():
        app.faults.configure(latency_ms=3)
    with world.server.connect(warehouse) as holding:
        # The first thing that every run does needs this lock.
        holding.execute(f"select pg_advisory_lock({_LOCK})")
        started = [
            children.start(
                dag=dag_id, params=dict(params), tasks=tasks_of(dag_id), outputs={},
                now=world.now.isoformat(), environment=world.environment(warehouse),
                errors=str(errors / f"{number}"),
            )
            for number, (dag_id, params) in enumerate(runs)
        ]  # fmt: skip
        end = time.monotonic() + 120
        while holding.execute(_WAITING).fetchone() != (len(runs),):
            assert time.monotonic() < end
            time.sleep(0.01)
        holding.execute(f"select pg_advisory_unlock({_LOCK})")
        codes = [children.wait(child) for child in started]
    said = [file.read_text() for file in errors.iterdir()]
    assert (codes, said) == ([0] * len(runs), [])
    return world.server.dump(warehouse)


def in_turn(world: World, warehouse: str, runs: tuple[Run, ...]) -> Dump:
    for dag_id, params in runs:
        proof_airflow.run(dag_id, params, tasks_of(dag_id))
    return world.server.dump(warehouse)


@pytest.mark.parametrize(
    ("before", "runs", "expected"),
    [
        pytest.param("empty", (HOURLY, HOURLY), (HOURLY,), id="two first syncs"),
        pytest.param("opsgenie_sync.sync", (HOURLY, HOURLY), (HOURLY,), id="two hourly syncs"),
        pytest.param("opsgenie_sync.sync", (HOURLY, BY_HAND), (BY_HAND,), id="a full one by hand meanwhile"),
        pytest.param("empty", (DEPLOYS, DEPLOYS), (DEPLOYS,), id="two first deployment syncs"),
        pytest.param(
            "deployments_sync.repositories", (DEPLOYS, DEPLOYS), (DEPLOYS,), id="two deployment syncs"
        ),
        pytest.param("dora_metrics.refresh", (METRICS, METRICS), (METRICS,), id="two refreshes"),
        pytest.param(
            "dora_metrics.refresh", (METRICS, REBUILD), (METRICS, REBUILD), id="a rebuild meanwhile"
        ),
        pytest.param("empty", (MIGRATE, MIGRATE), (MIGRATE,), id="two migrations"),
    ],
)
def test_runs_of_a_dag_at_once(
    world: World, story: Story, children: Nursery, database: Any, tmp_path: Path,
    before: str, runs: tuple[Run, ...], expected: tuple[Run, ...],
) -> None:  # fmt: skip
    template = story.steps[before].before if before in story.steps else before
    world.serve(**copy.deepcopy(story.late))
    right = in_turn(world, database(template), expected)
    moved = imported(world.stores["target"])

    world.serve(**copy.deepcopy(story.late))
    warehouse = database(template)
    found = at_once(world, children, warehouse, runs, tmp_path)

    assert differences(found, right) == []
    assert imported(world.stores["target"]) == moved
    assert world.stores["target"].pages == []


def test_everything_at_once(
    world: World, story: Story, children: Nursery, database: Any, tmp_path: Path
) -> None:
    """All four DAGs, each twice; then the metrics once more, for what came after they looked."""
    template = story.steps["opsgenie_sync.sync"].before
    world.serve(**copy.deepcopy(story.late))
    right = in_turn(world, database(template), (BY_HAND, DEPLOYS, MIGRATE, METRICS))

    world.serve(**copy.deepcopy(story.late))
    warehouse = database(template)
    at_once(
        world,
        children,
        warehouse,
        (HOURLY, BY_HAND, DEPLOYS, DEPLOYS, METRICS, METRICS, MIGRATE, MIGRATE),
        tmp_path,
    )

    assert differences(in_turn(world, warehouse, (METRICS,)), right) == []
