"""A clock of ours that is ten minutes ahead of the services', or behind: later runs still get everything.

Each run of these tests has one of the package's clocks wrong (``clocks.CLOCKS``, which the matrix gives
every task that asks one), then the sources change, and a second run has it right. What comes of
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

from tests.proof.clean_run import MIGRATION, CleanRun
from tests.proof.matrix import CLOCK_OF
from tests.support import tasks
from tests.support.clocks import CLOCKS, set_clocks
from tests.support.server import Dump, differences
from tests.support.service_world import LATER, NOON, World, imported

Runs = Callable[..., Dump]
DAG_OF = {clock: task.split(".")[0] for task, clock in CLOCK_OF.items()}
TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def two_runs(world: World, clean_run: CleanRun, airflow: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Runs a DAG at noon, the first time with a wrong clock, and two hours later; returns all rows."""
    database = f"skew_{uuid.uuid4().hex}"

    def run(dag_id: str, clock: str = "", skew: timedelta = timedelta()) -> Dump:
        world.server.drop(database)
        world.server.copy("empty", database)
        os.environ |= world.environment(database)
        params = MIGRATION if dag_id == "pagerduty_migration" else {}
        world.serve(**copy.deepcopy(clean_run.early))
        set_clocks(airflow.setattr, lambda: NOON, {clock: skew})
        tasks.run(dag_id, params)
        target = copy.deepcopy(world.stores["target"])
        world.serve(**copy.deepcopy(clean_run.late) | {"target": target})
        world.change_own(database)
        set_clocks(airflow.setattr, lambda: NOON + LATER)
        tasks.run(dag_id, params)
        found = world.server.dump(database)
        # Where a first on-call read begins: ten minutes more or less of ninety days. And when an account
        # was read first, which is what our clock said.
        for table in ("opsgenie_on_call_reads", "opsgenie_backends"):
            found.pop(f"staging.{table}")
        found["imported"] = Counter(map(str, imported(world.stores["target"])))
        return found

    yield run
    world.server.drop(database)


@pytest.fixture(scope="module")
def with_right_clocks() -> dict[str, Dump]:
    """By DAG what it must come to, once a test has run it."""
    return {}


@pytest.mark.parametrize("skew", [TEN_MINUTES, -TEN_MINUTES], ids=["ahead", "behind"])
@pytest.mark.parametrize("clock", CLOCKS)
def test_a_wrong_clock_loses_nothing(
    two_runs: Runs, with_right_clocks: dict[str, Dump], clock: str, skew: timedelta
) -> None:
    dag_id = DAG_OF[clock]
    if dag_id not in with_right_clocks:
        with_right_clocks[dag_id] = two_runs(dag_id)
    assert differences(two_runs(dag_id, clock, skew), with_right_clocks[dag_id]) == []
