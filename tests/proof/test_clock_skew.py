"""A clock of ours that is ten minutes ahead of the services', or behind: later runs still get everything.

Each run of these tests has one of the package's clocks wrong (``proof_airflow.CLOCKS``, which the matrix
gives every task that asks one), then the sources change, and a second run has it right. What comes of
the two is what comes of two runs with a right clock.
"""

from __future__ import annotations

import copy
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

import proof_airflow
from proof_matrix import CLOCK_OF
from proof_server import Dump, differences
from proof_story import MIGRATION, UNDOING, Story
from proof_world import LATER, NOON, World, imported

Runs = Callable[..., Dump]
DAG_OF = {clock: task.split(".")[0] for task, clock in CLOCK_OF.items()}
TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def two_runs(world: World, story: Story, airflow: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Runs a DAG at noon, the first time with a wrong clock, and two hours later; returns all rows."""
    database = f"skew_{uuid.uuid4().hex}"

    def run(dag_id: str, clock: str = "", skew: timedelta = timedelta()) -> Dump:
        world.server.drop(database)
        world.server.copy("empty", database)
        os.environ |= world.environment(database)
        is_migration = dag_id == "pagerduty_migration"
        tasks = [one for one in proof_airflow.order(dag_id) if one not in UNDOING] if is_migration else []
        params = MIGRATION if is_migration else {}
        world.serve(**copy.deepcopy(story.early))
        proof_airflow.set_clocks(airflow.setattr, NOON, clock, skew)
        proof_airflow.run(dag_id, params, tasks)
        target = copy.deepcopy(world.stores["target"])
        world.serve(**copy.deepcopy(story.late) | {"target": target})
        world.change_own(database)
        proof_airflow.set_clocks(airflow.setattr, NOON + LATER)
        proof_airflow.run(dag_id, params, tasks)
        found = world.server.dump(database)
        # Where a first on-call read begins: ten minutes more or less of ninety days.
        found.pop("staging.opsgenie_on_call_reads")
        found["imported"] = Counter(map(str, imported(world.stores["target"])))
        return found

    yield run
    world.server.drop(database)


@pytest.mark.parametrize("skew", [TEN_MINUTES, -TEN_MINUTES], ids=["ahead", "behind"])
@pytest.mark.parametrize("clock", proof_airflow.CLOCKS)
def test_a_wrong_clock_loses_nothing(two_runs: Runs, clock: str, skew: timedelta) -> None:
    expected = two_runs(DAG_OF[clock])
    assert differences(two_runs(DAG_OF[clock], clock, skew), expected) == []
