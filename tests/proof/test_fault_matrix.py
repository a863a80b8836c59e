"""Every task of every DAG, and every fault that can strike it: after another try nothing differs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from opsgenie_provider.api.errors import ApiError
from opsgenie_provider.operators.deployments import DeploymentsFailedError
from opsgenie_provider.operators.migration_base import MigrationFailedError
from opsgenie_provider.sync.account import PartsFailedError
from opsgenie_provider.warehouse.connection import WarehouseUnavailableError
from tests.proof.case import Case, eventually_idle
from tests.proof.clean_run import CleanRun
from tests.proof.matrix import CLOCK_OF, FAULTS, HTTP, KINDS, MOVED, TASKS, TRIED, why_not
from tests.support import ROOT
from tests.support.clocks import CLOCKS, asking
from tests.support.dag_runs import DAGS
from tests.support.faults import COPY, REQUEST, STATEMENT, FaultInjector, next_hangs, shorten_timeouts
from tests.support.processes import ProcessPool
from tests.support.server import Server, SmallDisk
from tests.support.service_world import World
from tests.support.tasks import order

Cases = Callable[..., Case]
# They look after every incident and end well; what is unfinished is the next try's, and the
# verification fails the run for case.
CARRIES_ON = {"pagerduty_migration.import"}
# They fail the run for a person to look at: another try is another run.
FAILS_FOR_A_PERSON = {"pagerduty_migration.canary", "pagerduty_migration.undo"}


def tried(*faults: str) -> list[Any]:
    return [pytest.param(task, fault, id=f"{task}-{fault}") for task, fault in TRIED if fault in faults]


# --- the table itself


def test_every_task_of_every_dag_is_in_the_matrix() -> None:
    assert {f"{dag_id}.{task_id}" for dag_id in DAGS for task_id in order(dag_id)} == TASKS.keys()
    assert {path.stem for path in (ROOT / "dags").glob("*.py")} == set(DAGS)


def test_every_pair_is_tried_or_has_a_reason() -> None:
    struck = [(task, fault) for task, fault in TRIED if fault != "skew"]
    here = [*tried(*HTTP), *tried("kill"), *tried("restart"), *tried("disk_full")]
    assert sorted(tuple(each.values) for each in here) == sorted(struck)
    for task in TASKS:
        for fault in FAULTS:
            assert ((task, fault) in TRIED) != bool(why_not(task, fault))


def test_the_kinds_are_what_the_clean_run_did(clean_run: CleanRun) -> None:
    assert clean_run.steps.keys() == {*TASKS, MOVED}
    for task, kind in TASKS.items():
        counts = clean_run.steps[task].counts
        assert kind in KINDS
        assert bool(counts[REQUEST]) == (kind == "loads" or "asks" in kind), task
        assert bool(counts[COPY]) == (kind == "loads"), task
        assert bool(counts[STATEMENT]) == (kind not in ("computes", "asks", "relieves")), task


def test_no_other_clock_is_asked() -> None:
    """Only by ``datetime.now``, which a test can set, and only where the matrix says."""
    assert asking("time.time(", "utcnow(") == set()
    assert set(CLOCK_OF.values()) == set(CLOCKS)


# --- what strikes


@pytest.mark.parametrize(("task", "fault"), [*tried(*HTTP), *[(MOVED, fault) for fault in HTTP]])
def test_a_service_that_breaks_down_in_the_middle(
    make_case: Cases, world: World, monkeypatch: pytest.MonkeyPatch, task: str, fault: str
) -> None:
    case = make_case(task)
    service, times = case.step.asked
    app = world.apps[service]
    app.faults.configure(script=[*[None] * (times // 2), *[fault] * 1000], hang_seconds=0.5)

    with monkeypatch.context() as hurried:
        shorten_timeouts(hurried, next_hangs(app, world.urls[service]))
        error = case.failure()

    assert app.log.counts[f"fault:{fault}"]
    if task in FAILS_FOR_A_PERSON:
        assert isinstance(error, MigrationFailedError | ApiError)
    elif task not in CARRIES_ON:
        causes = error.errors.values() if isinstance(error, PartsFailedError) else [error]
        assert all(isinstance(cause, ApiError | DeploymentsFailedError) for cause in causes), causes
        assert case.may_be_tried_again(error)
    app.faults.clear()
    eventually_idle(world, lambda: time.sleep(0.01))
    case.recover()


@pytest.mark.parametrize(("task", "fault"), tried("kill"))
def test_a_killed_process(make_case: Cases, processes: ProcessPool, task: str, fault: str) -> None:
    """Three tries are killed: on the way, before the last statement or request, after the last commit."""
    case = make_case(task)
    kills: list[dict[str, Any]] = []
    for kind in (REQUEST, STATEMENT):
        if count := case.step.counts[kind]:
            kills += [{"kill_before": (kind, index)} for index in sorted({count // 2, count - 1})]
    ends = [processes.run(case.job(**kill)) for kill in [*kills, {"kill_at_end": True}]]

    # A later try has less to do, and may not come as far as the clean run did.
    codes = [code for code, _ in ends]
    assert codes[0] == codes[-1] == -9, ends
    assert set(codes) <= {0, -9}
    case.recover()


@pytest.mark.parametrize(("task", "fault"), tried("restart"))
def test_a_warehouse_that_stops_at_once_and_comes_back(
    make_case: Cases, server: Server, task: str, fault: str
) -> None:
    case = make_case(task)
    middle = case.step.counts[STATEMENT] // 2
    with FaultInjector(STATEMENT, middle, server.stop_at_once).active() as injector:
        try:
            error = case.failure()
        finally:
            server.start()

    assert injector.struck
    assert isinstance(error, psycopg.OperationalError | WarehouseUnavailableError | DeploymentsFailedError), (
        error
    )
    assert case.may_be_tried_again(error)
    case.recover()


@pytest.mark.parametrize(("task", "fault"), tried("disk_full"))
def test_a_disk_that_fills_up(
    make_case: Cases,
    server: Server,
    small_disk: SmallDisk | None,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    fault: str,
) -> None:
    """A real one where this user may mount: from the first COPY on, the database's file system is full.

    Elsewhere triggers take its place, which raise the same error (53100) in the merge after the COPY.
    """
    case = make_case(task, small_disk and small_disk.tablespace)
    if small_disk is None and not server.pretend_full(case.database, is_full=True):
        pytest.skip("no tmpfs can be mounted here, and there is no table yet that could stand in")
    # Another reader's transaction would make room again at its end, by its temporary table.
    monkeypatch.setattr("opsgenie_provider.sync.repositories.CONCURRENT_REPOSITORIES", 1)
    kind, place = (COPY, 0) if case.step.counts[COPY] else (STATEMENT, case.step.counts[STATEMENT] // 2)
    with FaultInjector(kind, place, small_disk.fill if small_disk else lambda: None).active() as injector:
        try:
            error = case.failure()
        finally:
            if small_disk:
                small_disk.free()
            else:
                server.pretend_full(case.database, is_full=False)

    assert injector.struck
    assert isinstance(error, psycopg.errors.DiskFull), error
    assert case.may_be_tried_again(error)
    case.recover()
