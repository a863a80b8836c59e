"""Runs a DAG by its id: the real DAG file, by Airflow's own ``dag.test()``, in this process.

What connections and settings the run has comes from the environment. Tests do not name its tasks, which
may be cut in another way: they ask for errors, outputs and logs, whichever task they came from.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import pytest
import structlog

from tests.support import ROOT

DAGS = ("opsgenie_sync", "deployments_sync", "dora_metrics", "pagerduty_migration", "dora_report")


@dataclass(frozen=True)
class TaskRun:
    """What one instance of a task came to."""

    task_id: str
    map_index: int
    state: str
    error: BaseException | None = None
    log: str = ""


@dataclass
class DagRun:
    """What a run came to.

    :param outputs: what tasks handed on, from Airflow's table.
    :param updated_assets: names of the assets that the run marked as updated.
    """

    dag_id: str
    run_id: str
    state: str
    tasks: list[TaskRun]
    outputs: list[Any] = field(default_factory=list)
    updated_assets: list[str] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        return self.state == "success"

    @property
    def errors(self) -> list[BaseException]:
        """Why tasks failed: of a sync, what was wrong with each part."""
        errors = [task.error for task in self.tasks if task.error is not None]
        return [part for error in errors for part in getattr(error, "errors", {"": error}).values()]

    @property
    def error(self) -> BaseException:
        """Why the run failed, where one task did."""
        [error] = self.errors
        return error

    @property
    def text(self) -> str:
        """What tasks handed on as text, such as a plan for a person."""
        return "\n".join(output for output in self.outputs if isinstance(output, str))

    @property
    def log(self) -> str:
        return "".join(task.log for task in self.tasks)

    def states(self, task_id: str) -> list[str]:
        return [task.state for task in self.tasks if task.task_id == task_id]

    def found(self, *names: str) -> list[dict[str, Any]]:
        """Every JSON object with these names that a task handed on, however deep it lies."""
        return [each for output in self.outputs for each in _objects(output) if set(names) <= each.keys()]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _objects(each)


@cache
def dag(dag_id: str) -> Any:
    """The DAG, for those who only look at it."""
    return load_dag(dag_id)


def load_dag(dag_id: str) -> Any:
    """The DAG as the DAG processor finds it; its tasks are tried once."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(ROOT / "dags" / f"{dag_id}.py")
    assert bag.import_errors == {}
    for task in bag.dags[dag_id].tasks:
        if task.is_mapped:
            task.partial_kwargs["retries"] = 0
        else:
            task.retries = 0
    return bag.dags[dag_id]


@cache
def create_airflow_database() -> None:
    """Airflow's own database, in the home of the tests."""
    from airflow.utils.db import upgradedb

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        upgradedb()


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """For tests that run no DAG, or ask Airflow before they do."""
    create_airflow_database()


def run_dag(dag_id: str, *, at: datetime | None = None, **params: Any) -> DagRun:
    """A run by hand with these params.

    :param at: its logical date; by default it has none.
    """
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    create_airflow_database()
    # Of its own, for Airflow writes a run's params into the DAG, which elsewhere ends with its process.
    found = load_dag(dag_id)
    with _recorded_tasks() as recorded, _dags_parsed_once():
        run = found.test(logical_date=at, run_conf=params)
    instances = {(each.task_id, each.map_index): str(each.state) for each in run.get_task_instances()}
    with create_session() as session:
        handed_on = session.scalars(select(XComModel).where(XComModel.run_id == run.run_id))
        outputs = [XComModel.deserialize_value(each) for each in handed_on]
        query = select(AssetModel.name).join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
        assets = session.scalars(query.where(AssetEvent.source_run_id == run.run_id)).all()
    return DagRun(
        dag_id,
        run.run_id,
        str(run.state),
        [TaskRun(*key, state, *recorded.get(key, ())) for key, state in sorted(instances.items())],
        outputs,
        list(assets),
    )


@contextmanager
def _recorded_tasks() -> Iterator[dict[tuple[str, int], tuple[BaseException | None, str]]]:
    """By task and map index, the error and the log of what runs meanwhile."""
    from airflow.sdk.execution_time import supervisor

    recorded: dict[tuple[str, int], tuple[BaseException | None, str]] = {}
    run_task = supervisor.run_task_in_process

    def recording(ti: Any, task: Any) -> Any:
        with logged() as lines:
            result = run_task(ti=ti, task=task)
        recorded[ti.task_id, ti.map_index] = result.error, "".join(lines)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor, "run_task_in_process", recording)
        yield recorded


@contextmanager
def _dags_parsed_once() -> Iterator[None]:
    """Airflow writes every DAG of the folder to its database before each run: a second that is saved here."""
    from airflow.dag_processing import dagbag

    with pytest.MonkeyPatch.context() as patch:
        if _is_written:
            patch.setattr(dagbag, "BundleDagBag", lambda **anything: None)
            patch.setattr(dagbag, "sync_bag_to_db", lambda *anything: None)
        yield
        _is_written.append(True)


_is_written: list[bool] = []


@contextmanager
def logged() -> Iterator[list[str]]:
    """What is logged meanwhile: by tasks through structlog, by the package's modules through ``logging``."""
    lines: list[str] = []

    def from_structlog(logger: Any, method: str, event: Any) -> Any:
        arguments = event.get("positional_args", ())
        lines.append(f"{method} {str(event['event']) % arguments if arguments else event['event']}\n")
        return event

    class FromLogging(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname.lower()} {record.getMessage()}\n")

    handler = FromLogging(logging.INFO)
    # In place: the loggers that there are already use this very list.
    processors = structlog.get_config()["processors"]
    processors.insert(0, from_structlog)
    logging.getLogger().addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(handler)
        processors.remove(from_structlog)
