"""The DAG that writes the report and notifies, in process, with Airflow's own metadata database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseNotifier
from sync_harness import Warehouse
from web_world import fill, warehouse_of

ROOT = Path(__file__).resolve().parents[2]


class Remembering(BaseNotifier):
    """A notifier that keeps what it was given.

    :param text: a template.
    """

    template_fields = ("text",)
    said: list[str] = []

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        self.said.append(self.text)


class Failing(Remembering):
    """A notifier whose service is down."""

    def notify(self, context: Any) -> None:
        raise RuntimeError("the channel is gone")


@pytest.fixture(scope="module", autouse=True)
def metadata_database() -> None:
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True, capture_output=True, timeout=600, env=os.environ,
    )  # fmt: skip


@pytest.fixture
def company(warehouse: Warehouse, postgres: str) -> Warehouse:
    """The warehouse with a small company in it; none of its rows may change."""
    fill(warehouse_of(postgres, warehouse.connection["schema"]))
    return warehouse


def run(conf: dict[str, Any]) -> Any:
    bag = DagBag(ROOT / "dags" / "dora_report.py")
    assert bag.import_errors == {}
    dag = bag.dags["dora_report"]
    for task in dag.tasks:
        if task.is_mapped:
            task.partial_kwargs["retries"] = 0
        else:
            task.retries = 0
    return dag.test(run_conf=conf)


def states(run: Any) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for ti in run.get_task_instances():
        found.setdefault(ti.task_id, Counter())[str(ti.state)] += 1
    return found


def notifiers(monkeypatch: pytest.MonkeyPatch, *named: dict[str, Any]) -> None:
    monkeypatch.setenv("OPSGENIE_PROVIDER__NOTIFIERS", json.dumps(named))


@pytest.mark.usefixtures("company")
def test_the_report_is_written_and_each_notifier_gets_the_summary(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPSGENIE_PROVIDER__REPORT_PATH", (tmp_path / "made" / "here").as_uri())
    monkeypatch.setattr(Remembering, "said", [])
    text = {"text": "{{ summary }} | {{ report }}"}
    notifiers(
        monkeypatch,
        {"class": "test_report_dag.Failing", "kwargs": text},
        {"class": "test_report_dag.Remembering", "kwargs": text},
    )
    done = run({})
    # The one that failed keeps nothing from the other, and is the one to try again.
    assert states(done) == {"report": Counter(success=1), "notify": Counter(success=1, failed=1)}
    [file] = (tmp_path / "made" / "here").iterdir()
    monday = done.run_after - timedelta(days=done.run_after.weekday())
    assert file.name == f"dora_report_{monday - timedelta(7):%Y-%m-%d}_{monday - timedelta(1):%Y-%m-%d}.html"
    page = file.read_text()
    assert "matches followed their deployment" in page
    assert "<svg" in page
    [said] = Remembering.said
    assert said.startswith("Incidents & DORA, ")
    assert said.endswith(f"here/{file.name}")


@pytest.mark.usefixtures("company")
def test_any_period_and_what_counts_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPSGENIE_PROVIDER__REPORT_PATH", str(tmp_path))
    done = run({"since": "2001-01-01", "until": "2001-02-01"})
    assert states(done) == {"report": Counter(success=1), "notify": Counter(skipped=1)}
    page = (tmp_path / "dora_report_2001-01-01_2001-01-31.html").read_text()
    assert "No incident opened in this period." in page


def test_a_report_without_a_place_to_go_is_skipped(warehouse: Warehouse) -> None:
    done = run({})
    assert states(done) == {"report": Counter(skipped=1), "notify": Counter(skipped=1)}


@pytest.mark.usefixtures("company")
def test_a_notifier_that_does_not_exist_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    notifiers(monkeypatch, {"class": "nowhere.Notifier"})
    assert states(run({}))["notify"] == Counter(failed=1)
