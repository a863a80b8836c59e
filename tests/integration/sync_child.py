"""What the process does that test_sync_faults kills: a first run of the real DAG's tasks."""

from __future__ import annotations

import os
from multiprocessing.synchronize import Event
from typing import Any

from opsgenie_provider.api import windows
from opsgenie_provider.operators.opsgenie import PrepareSyncOperator, SyncAccountOperator
from opsgenie_provider.sync import timelines


def run(environment: dict[str, str], started: Event) -> None:
    """A hundred incidents or fifty timelines a batch: many transactions to be killed between and in."""
    os.environ.update(environment)
    windows.REACHABLE, windows._SPLIT_TO = 100, 50
    timelines.BATCH = 50
    context: Any = {"params": {"history_days": 91}, "run_id": "killed"}
    [arguments] = PrepareSyncOperator(task_id="prepare").execute(context)
    started.set()
    SyncAccountOperator(task_id="sync", **arguments).execute(context)
