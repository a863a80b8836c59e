"""A PostgreSQL that may crash, the stand-ins, and a clean run of every DAG to compare with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.register_assert_rewrite("proof_case")

import proof_airflow  # noqa: E402
from proof_case import Case, Nursery, nursery  # noqa: E402
from proof_server import Server, SmallDisk  # noqa: E402
from proof_story import Story  # noqa: E402
from proof_world import SERVICES, World  # noqa: E402
from sandbox.server import Slot, serve  # noqa: E402

# A database of a few small accounts takes a quarter of this.
DISK_MEGABYTES = 48


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server of these tests' own: they stop it without asking."""
    # Short: a socket's path may have about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="pf", dir="/tmp") as directory:
        # The embedded server runs as another user where this one is root.
        os.chmod(directory, 0o755)
        made = Server(Path(directory))
        try:
            yield made
        finally:
            made.cleanup()


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


@pytest.fixture(scope="session")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("children") / "error") as made:
        yield made


@pytest.fixture(scope="session")
def story(world: World, children: Nursery) -> Story:
    """The clean run. The children get ready meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", os.environ)
        before = dict(os.environ)
        proof_airflow.adapt(patch.setattr)
        told = Story(world, patch.setattr)
        told.tell()
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
    return told


@pytest.fixture
def airflow(world: World, story: Story) -> Iterator[pytest.MonkeyPatch]:
    """What every test here runs tasks with, and what other directories' tests must not see."""
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        proof_airflow.adapt(patch.setattr)
        proof_airflow.set_clocks(patch.setattr, world.now)
        yield patch
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture
def case(airflow: pytest.MonkeyPatch, world: World, story: Story) -> Iterator[Callable[..., Case]]:
    """Makes cases, which are gone after the test."""
    with ExitStack() as stack:

        def make(task: str, tablespace: str | None = None) -> Case:
            made = Case(world, story, task, tablespace)
            stack.callback(made.close)
            return made

        yield make
