"""The DAG that writes the report and notifies, in process, with Airflow's own metadata database."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseNotifier

from opsgenie_provider.hooks.warehouse import open_warehouse
from tests.support.dag_runs import DagRun, run_dag
from tests.support.page_world import fill
from tests.support.postgres import Warehouse


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


@pytest.fixture
def company(warehouse: Warehouse) -> Warehouse:
    """The warehouse with a small company in it; none of its rows may change."""
    fill(open_warehouse("postgres_default"))
    return warehouse


def file_name() -> str:
    """Of the report of the week before this one."""
    now = datetime.now(UTC)
    monday = now - timedelta(days=now.weekday())
    return f"dora_report_{monday - timedelta(7):%Y-%m-%d}_{monday - timedelta(1):%Y-%m-%d}.html"


def states(run: DagRun) -> dict[str, Counter[str]]:
    return {name: Counter(run.states(name)) for name in ("report", "notify")}


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
        {"class": f"{__name__}.Failing", "kwargs": text},
        {"class": f"{__name__}.Remembering", "kwargs": text},
    )
    names = {file_name()}
    done = run_dag("dora_report")
    # The one that failed keeps nothing from the other, and is the one to try again.
    assert states(done) == {"report": Counter(success=1), "notify": Counter(success=1, failed=1)}
    [file] = (tmp_path / "made" / "here").iterdir()
    assert file.name in names | {file_name()}
    page = file.read_text()
    assert "opened after their deployment" in page
    assert "<svg" in page
    [said] = Remembering.said
    assert said.startswith("Incidents & DORA, ")
    assert said.endswith(f"here/{file.name}")


@pytest.mark.usefixtures("company")
def test_any_period_and_what_counts_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPSGENIE_PROVIDER__REPORT_PATH", str(tmp_path))
    done = run_dag("dora_report", since="2001-01-01", until="2001-02-01")
    assert states(done) == {"report": Counter(success=1), "notify": Counter(skipped=1)}
    page = (tmp_path / "dora_report_2001-01-01_2001-01-31.html").read_text()
    assert "No incident opened in this period." in page


def test_a_report_without_a_place_to_go_is_skipped(warehouse: Warehouse) -> None:
    done = run_dag("dora_report")
    assert states(done) == {"report": Counter(skipped=1), "notify": Counter(skipped=1)}


@pytest.mark.usefixtures("company")
def test_a_notifier_that_does_not_exist_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    notifiers(monkeypatch, {"class": "nowhere.Notifier"})
    assert states(run_dag("dora_report"))["notify"] == Counter(failed=1)
