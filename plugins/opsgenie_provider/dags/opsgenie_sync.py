"""Bring OpsGenie into the warehouse, every hour.

Each account of `include/settings.yaml` is read side by side with the others:

1. **prepare** checks the settings and creates or upgrades the tables.
2. **validate_key** says what is wrong with an account's key, or what it will not see.
3. **plan** decides what to read. The first run and one run a day read the whole history (90 days
   or more) and find deletions; the others read what is new, a trailing window, and what is not
   closed or changed lately before it.
4. **incidents** reads one window of incidents, whatever their number.
5. **catalogue**, **escalations**, **on_call** read services, teams, users, escalation policies,
   schedules, rotations and who is on call, from 90 days back to two weeks ahead.
6. **timelines** reads the timelines of incidents that changed: when they were acknowledged,
   resolved and closed.
7. **publish** sums up and starts `dora_metrics`, also where some of the tasks before it failed.
8. **complete** records which full reads are complete, and fails the run if any task failed.

Every task may be killed, repeated or run beside itself: nothing is lost and nothing doubles.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, task

from opsgenie_provider.assets import OPSGENIE_STAGING
from opsgenie_provider.operators.catalogue import OpsgenieCatalogueToPostgresOperator
from opsgenie_provider.operators.incidents import OpsgenieIncidentsToPostgresOperator
from opsgenie_provider.operators.key import OpsgenieValidateKeyOperator
from opsgenie_provider.operators.on_call import OpsgenieOnCallToPostgresOperator
from opsgenie_provider.operators.plan import plan_accounts
from opsgenie_provider.operators.publish import CompleteSyncOperator, PublishSyncOperator
from opsgenie_provider.operators.timelines import OpsgenieTimelinesToPostgresOperator
from opsgenie_provider.operators.warehouse import PrepareWarehouseOperator
from opsgenie_provider.retry import retry_arguments


def opsgenie_sync() -> DAG:
    """The DAG ``opsgenie_sync``."""
    with DAG(
        dag_id="opsgenie_sync",
        description="OpsGenie incidents, on-call and escalations into PostgreSQL",
        doc_md=__doc__,
        schedule="@hourly",
        catchup=False,
        max_active_runs=1,
        tags=["opsgenie", "dora"],
        default_args=retry_arguments(),
        params={
            "since": Param(None, type=["null", "string"], description="Only what was created from here on"),
            "until": Param(None, type=["null", "string"], description="Only what was created before this"),
            "full_refresh": Param(False, type="boolean", description="Read the whole history again"),
            "history_days": Param(
                90, type="integer", minimum=1, description="How far the first run goes back"
            ),
        },
    ) as dag:
        prepare = PrepareWarehouseOperator(task_id="prepare")
        setting = prepare.output_of
        warehouse = {"postgres_conn_id": setting("postgres_conn_id")}
        settings = warehouse | {"max_requests_per_minute": setting("max_requests_per_minute")}

        @task
        def accounts(names: list[str]) -> list[str]:
            return names

        # Where at least the tables are there: not after a failure of prepare.
        @task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
        def plan(accesses: Any, postgres_conn_id: str, params: dict[str, Any] | None = None) -> Any:
            return plan_accounts(accesses, postgres_conn_id, **(params or {}))

        access = OpsgenieValidateKeyOperator.partial(task_id="validate_key", **settings).expand(
            opsgenie_conn_id=accounts(setting("accounts"))
        )
        # One account's trouble is not another's: what follows runs for those whose key is valid.
        settings |= {"trigger_rule": TriggerRule.ALL_DONE}

        incidents = OpsgenieIncidentsToPostgresOperator.partial(
            task_id="incidents", **settings
        ).expand_kwargs(plan(access.output, **warehouse))
        catalogue = OpsgenieCatalogueToPostgresOperator.partial(
            task_id="catalogue", kinds=["services", "teams", "users"], **settings
        ).expand(access=access.output)
        escalations = OpsgenieCatalogueToPostgresOperator.partial(
            task_id="escalations", kinds=["escalations"], **settings
        ).expand(access=access.output)
        on_call = OpsgenieOnCallToPostgresOperator.partial(
            task_id="on_call", history_days="{{ params.history_days }}", **settings
        ).expand(access=access.output)
        timelines = OpsgenieTimelinesToPostgresOperator.partial(task_id="timelines", **settings).expand(
            access=access.output
        )
        outcomes = [reader.output for reader in (incidents, catalogue, escalations, on_call, timelines)]
        publish = PublishSyncOperator(
            task_id="publish",
            outcomes=outcomes,
            outlets=[OPSGENIE_STAGING],
            trigger_rule=TriggerRule.ALL_DONE,
        )
        complete = CompleteSyncOperator(
            task_id="complete", outcomes=outcomes, trigger_rule=TriggerRule.ALL_DONE, **warehouse
        )
        incidents >> timelines >> publish >> complete
    return dag
