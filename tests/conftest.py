"""An Airflow home of the tests' own, made before anything imports Airflow and gone after the tests."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

LONGEST = (
    "test_scale_out.py",
    "test_fault_matrix.py",
    "test_browser.py",
    "test_sync_jsm.py",
    "test_migration_run.py",
)
# Files that share what is dear to make: a clean run, Airflow's API server. One process has all of each.
SHARED = ("tests/proof/", "tests/web/")
ROOT = Path(__file__).resolve().parents[1]
HOME = Path(tempfile.mkdtemp(prefix="airflow-tests-"))


@atexit.register
def _remove_home(owner: int = os.getpid()) -> None:
    # A fork of the tests' process ends before they do.
    if os.getpid() == owner:
        shutil.rmtree(HOME, ignore_errors=True)


# Nothing of the developer's own deployment may leak in.
for name in list(os.environ):
    if name.startswith(("AIRFLOW", "OPSGENIE_", "PAGERDUTY_")):
        del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME / 'airflow.db'}",
    # Where the embedded PostgreSQL keeps its lock.
    "XDG_RUNTIME_DIR": str(HOME),
}
set_hypothesis_home_dir(HOME / "hypothesis")


# Fixtures of several directories.
pytest_plugins = (
    "tests.support.postgres",
    "tests.support.accounts",
    "tests.support.account_reads",
    "tests.support.dag_runs",
    "tests.support.faults",
    "tests.support.jsm",
    "tests.support.processes",
    "tests.support.sync",
)
pytest.register_assert_rewrite("tests.support")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first: at the end, the other process would wait for them."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """As ``--dist loadfile``, which gives each process whole files, but for the directories that share."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            shared = next((place for place in SHARED if nodeid.startswith(place)), None)
            return shared or str(super()._split_scope(nodeid))

    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """What tests measured and recorded as a property; at the very end, what was skipped for lack of what."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
    yield
    skipped: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for report in terminalreporter.stats.get("skipped", []):
        if found := re.search(r"needs the Debian package (\S+)$", str(report.longrepr[-1])):
            skipped[found[1]][report.nodeid.partition("::")[0]] += 1
    if skipped:
        parts = [
            f"{package} ({', '.join(f'{count} of {file}' for file, count in files.items())})"
            for package, files in sorted(skipped.items())
        ]
        packages = " ".join(sorted(skipped))
        terminalreporter.write_line(
            f"Skipped for want of {' and '.join(parts)}. To run them: apt-get install {packages}"
        )
