"""A PostgreSQL that may crash, the stand-ins, and a clean run of every DAG to compare with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sandbox.server import Slot, serve
from tests.support.postgres import embedded_postgres

pytest.register_assert_rewrite("tests.proof.case")

from tests.proof.case import Case  # noqa: E402
from tests.proof.clean_run import CleanRun  # noqa: E402
from tests.support import tasks  # noqa: E402
from tests.support.clocks import set_clocks  # noqa: E402
from tests.support.processes import ProcessPool  # noqa: E402
from tests.support.server import Server, SmallDisk  # noqa: E402
from tests.support.service_world import SERVICES, World  # noqa: E402

# A database of a few small accounts takes a quarter of this.
DISK_MEGABYTES = 48


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server of these tests' own: they stop it without asking."""
    with embedded_postgres() as embedded:
        yield Server(embedded)


@pytest.fixture(scope="session")
def small_disk(server: Server) -> Iterator[SmallDisk | None]:
    with tempfile.TemporaryDirectory(prefix="pf", dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        with server.small_disk(Path(directory), DISK_MEGABYTES) as disk:
            yield disk


@pytest.fixture(scope="session")
def world(server: Server) -> Iterator[World]:
    with ExitStack() as stack:
        slots = {name: Slot() for name in SERVICES}
        yield World(server, {name: (slot, stack.enter_context(serve(slot))) for name, slot in slots.items()})


@contextmanager
def _adapted(world: World) -> Iterator[pytest.MonkeyPatch]:
    """What every test here executes tasks with, and what other directories' tests must not see."""
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        tasks.adapt(patch.setattr)
        now = world.now
        set_clocks(patch.setattr, lambda: now)
        # As the stand-ins, which have none here.
        patch.setattr("opsgenie_provider.hooks.jsm.LIMITS", {})
        yield patch
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture(scope="session")
def clean_run(world: World, processes: ProcessPool) -> CleanRun:
    """The processes get ready meanwhile."""
    with _adapted(world) as patch:
        recorded = CleanRun(world, patch.setattr)
        recorded.record()
    return recorded


@pytest.fixture
def airflow(world: World, clean_run: CleanRun) -> Iterator[pytest.MonkeyPatch]:
    with _adapted(world) as patch:
        yield patch


@pytest.fixture
def make_case(
    airflow: pytest.MonkeyPatch, world: World, clean_run: CleanRun
) -> Iterator[Callable[..., Case]]:
    """Makes cases, which are gone after the test."""
    with ExitStack() as stack:

        def make(task: str, tablespace: str | None = None) -> Case:
            case = Case(world, clean_run, task, tablespace)
            stack.callback(case.close)
            return case

        yield make
