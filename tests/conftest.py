"""An Airflow home of the tests' own, made before anything imports Airflow and gone after the tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that takes longest first: at the end, the other processes would wait for it."""
    items.sort(key=lambda item: item.path.name != "test_scale_out.py")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests measured and recorded as a property, whichever process they ran in."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
