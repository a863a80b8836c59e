"""What the process does that test_sync_faults kills: the first run's incidents and timelines."""

from __future__ import annotations

import os
from datetime import timedelta
from multiprocessing.synchronize import Event

from opsgenie_provider import planning
from opsgenie_provider.operators import timelines as timelines_module
from opsgenie_provider.operators.incidents import OpsgenieIncidentsToPostgresOperator
from opsgenie_provider.operators.key import OpsgenieValidateKeyOperator
from opsgenie_provider.operators.plan import plan_accounts
from opsgenie_provider.operators.timelines import OpsgenieTimelinesToPostgresOperator
from opsgenie_provider.operators.warehouse import PrepareWarehouseOperator


def run(environment: dict[str, str], started: Event) -> None:
    """Ten days a window and fifty timelines a batch: many transactions to be killed between and in."""
    os.environ.update(environment)
    planning.WINDOW = timedelta(days=10)
    timelines_module._BATCH = 50
    PrepareWarehouseOperator(task_id="prepare").execute({})
    access = OpsgenieValidateKeyOperator(task_id="validate_key").execute({})
    started.set()
    for window in plan_accounts([access], "postgres_default", history_days=91):
        OpsgenieIncidentsToPostgresOperator(task_id="incidents", **window).execute({})
        OpsgenieTimelinesToPostgresOperator(task_id="timelines", access=access).execute({})
