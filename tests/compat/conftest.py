"""What the tests of other Airflows share: the wheel, the stand-ins and a warehouse server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.stack import wait_for
from tests.compat.compat_airflow import ROOT, unreachable_index, uv


@pytest.fixture(scope="session")
def package_index() -> None:
    """For tests that ask a package index."""
    if "COMPAT" not in os.environ:
        pytest.skip("installs other Airflows from a package index: set COMPAT=1")
    if problem := unreachable_index():
        pytest.skip(f"needs a package index that answers: {problem}")


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    """Of these tests, and gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix="compat"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def wheel(package_index: None, directory: Path) -> Path:
    """The wheel of the checkout."""
    build = ("build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable)
    uv(*build, "--out-dir", str(directory / "dist"), str(ROOT))
    [made] = (directory / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="session")
def stand_ins(directory: Path) -> Iterator[dict[str, str]]:
    """The demo's services: name -> URL."""
    ports = directory / "ports.json"
    command = [sys.executable, "-m", "sandbox", "--ports-file", str(ports), "--days", "14"]
    with (directory / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            wait_for(ports.exists, "the stand-ins", 120)
            yield json.loads(ports.read_text())
        finally:
            process.terminate()
            process.wait(20)
