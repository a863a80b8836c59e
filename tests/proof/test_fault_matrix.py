"""Every task of every DAG, and every fault that can strike it: after another try nothing differs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

import proof_airflow
from hurry import hurry, next_hangs
from opsgenie_provider.api.errors import ApiError
from opsgenie_provider.operators.migration_base import MigrationFailedError
from opsgenie_provider.sync.account import PartsFailedError
from opsgenie_provider.warehouse.connection import WarehouseUnavailableError
from proof_case import Case, Nursery, eventually_idle
from proof_matrix import CLOCK_OF, FAULTS, HTTP, KINDS, TASKS, TRIED, why_not
from proof_moments import COPY, REQUEST, STATEMENT, Moments
from proof_server import Server, SmallDisk
from proof_story import Story
from proof_world import World

Cases = Callable[..., Case]
# They look after every incident and end well; what is unfinished is the next try's, and the
# verification fails the run for it.
CARRIES_ON = {"pagerduty_migration.import"}
# They fail the run for a person to look at: another try is another run.
FAILS_FOR_A_PERSON = {"pagerduty_migration.canary", "pagerduty_migration.undo"}


def tried(*faults: str) -> list[Any]:
    return [pytest.param(task, fault, id=f"{task}-{fault}") for task, fault in TRIED if fault in faults]


# --- the table itself


def test_every_task_of_every_dag_is_in_the_matrix() -> None:
    there = {
        f"{dag_id}.{task_id}" for dag_id in proof_airflow.DAGS for task_id in proof_airflow.order(dag_id)
    }
    assert there == TASKS.keys()
    assert {path.stem for path in (proof_airflow.ROOT / "dags").glob("*.py")} == set(proof_airflow.DAGS)


def test_every_pair_is_tried_or_has_a_reason() -> None:
    struck = [(task, fault) for task, fault in TRIED if fault != "skew"]
    here = [*tried(*HTTP), *tried("kill"), *tried("restart"), *tried("disk_full")]
    assert sorted(tuple(each.values) for each in here) == sorted(struck)
    for task in TASKS:
        for fault in FAULTS:
            assert ((task, fault) in TRIED) != bool(why_not(task, fault))


def test_the_kinds_are_what_the_clean_run_did(story: Story) -> None:
    assert story.steps.keys() == TASKS.keys()
    for task, step in story.steps.items():
        kind, counts = TASKS[task], step.counts
        assert kind in KINDS
        assert bool(counts[REQUEST]) == (kind == "loads" or "asks" in kind), task
        assert bool(counts[COPY]) == (kind == "loads"), task
        assert bool(counts[STATEMENT]) == (kind not in ("computes", "asks")), task


def test_no_other_clock_is_asked() -> None:
    """``datetime.now`` and ``time.time`` in the tasks' code, but for where the matrix says."""
    package = proof_airflow.ROOT / "plugins"
    asking = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if "web" not in path.parts
        if any(call in path.read_text() for call in ("datetime.now(", "time.time(", "utcnow("))
    }
    # GitHub's client compares with the instant at which GitHub's quota begins anew, by its own header.
    assert asking - {"opsgenie_provider.api.github"} == set(proof_airflow.CLOCKS.values())
    assert set(CLOCK_OF.values()) == proof_airflow.CLOCKS.keys()


# --- what strikes


@pytest.mark.parametrize(("task", "fault"), tried(*HTTP))
def test_a_service_that_breaks_down_in_the_middle(
    case: Cases, world: World, monkeypatch: pytest.MonkeyPatch, task: str, fault: str
) -> None:
    it = case(task)
    service, times = it.step.asked
    app = world.apps[service]
    app.faults.configure(script=[*[None] * (times // 2), *[fault] * 1000], hang_seconds=0.5)

    with monkeypatch.context() as hurried:
        hurry(hurried, next_hangs(app, world.urls[service]))
        error = it.failure()

    assert app.log.counts[f"fault:{fault}"]
    if task in FAILS_FOR_A_PERSON:
        assert isinstance(error, MigrationFailedError | ApiError)
    elif task not in CARRIES_ON:
        causes = error.errors.values() if isinstance(error, PartsFailedError) else [error]
        assert all(isinstance(cause, ApiError) for cause in causes)
        assert it.may_be_tried_again(error)
    app.faults.clear()
    eventually_idle(world, lambda: time.sleep(0.01))
    it.recover()


@pytest.mark.parametrize(("task", "fault"), tried("kill"))
def test_a_killed_process(case: Cases, children: Nursery, task: str, fault: str) -> None:
    """Three tries are killed: on the way, before the last statement or request, after the last commit."""
    it = case(task)
    moments = []
    for kind in (REQUEST, STATEMENT):
        if count := it.step.counts[kind]:
            moments += [{"kind": kind, "place": place} for place in sorted({count // 2, count - 1})]
    codes = [children.wait(children.start(**it.job(**moment))) for moment in [*moments, {"after": True}]]

    # A later try has less to do, and may not come as far as the clean run's moment.
    assert codes[0] == codes[-1] == -9, children.error()
    assert set(codes) <= {0, -9}
    it.recover()


@pytest.mark.parametrize(("task", "fault"), tried("restart"))
def test_a_warehouse_that_stops_at_once_and_comes_back(
    case: Cases, server: Server, task: str, fault: str
) -> None:
    it = case(task)
    middle = it.step.counts[STATEMENT] // 2
    with Moments(STATEMENT, middle, server.stop_at_once).watched() as moments:
        try:
            error = it.failure()
        finally:
            server.start()

    assert moments.struck
    assert isinstance(error, psycopg.OperationalError | WarehouseUnavailableError), error
    assert it.may_be_tried_again(error)
    it.recover()


@pytest.mark.parametrize(("task", "fault"), tried("disk_full"))
def test_a_disk_that_fills_up(
    case: Cases, server: Server, small_disk: SmallDisk | None, task: str, fault: str
) -> None:
    """A real one where this user may mount: from the first COPY on, the database's file system is full.

    Elsewhere triggers stand for it, which raise the same error (53100) in the merge after the COPY.
    """
    it = case(task, small_disk and small_disk.tablespace)
    if small_disk is None and not server.pretend_full(it.database, is_full=True):
        pytest.skip("no tmpfs can be mounted here, and there is no table yet that could stand in")
    kind, place = (COPY, 0) if it.step.counts[COPY] else (STATEMENT, it.step.counts[STATEMENT] // 2)
    with Moments(kind, place, small_disk.fill if small_disk else lambda: None).watched() as moments:
        try:
            error = it.failure()
        finally:
            if small_disk:
                small_disk.free()
            else:
                server.pretend_full(it.database, is_full=False)

    assert moments.struck
    assert isinstance(error, psycopg.errors.DiskFull), error
    assert it.may_be_tried_again(error)
    it.recover()
