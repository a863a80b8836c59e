"""Move the incident history of PagerDuty into OpsGenie, with its times, once, and prove it.

Triggered by hand. `dry_run` (the default) stops after the plan and writes nothing to OpsGenie;
docs/migration.md is the runbook.

1. **prepare** checks the settings and tables, **options** the params, **validate_keys** the keys.
2. **extract** reads PagerDuty's incidents, log entries and notes into `staging.pagerduty_*`;
   **publish** starts `dora_metrics`, also where extract failed halfway.
3. **plan** writes `migration.ledger`, a row per incident, and says what the import will and will
   not do. A dry run ends here.
4. **approve** waits for a person (unless `require_approval` is off). A refusal ends the run.
5. **canary** imports one incident and checks it; **import** does the rest and goes on wherever an
   earlier run was stopped, even killed.
6. **verify** reads everything back and fills `migration.parity`; any difference fails the run.

With `undo`, the incidents that the ledger created are deleted from OpsGenie instead: **plan_undo**,
**approve_undo**, **undo**; `dry_run` and `require_approval` mean the same there.
"""

from __future__ import annotations

from typing import Any, cast

from airflow.sdk import DAG, Param, TriggerRule, task

from opsgenie_provider.assets import PAGERDUTY_STAGING
from opsgenie_provider.migration.options import Options
from opsgenie_provider.operators.migration_approval import ApprovePlanOperator
from opsgenie_provider.operators.migration_import import ImportCanaryOperator, ImportIncidentsOperator
from opsgenie_provider.operators.migration_keys import ValidateMigrationKeysOperator
from opsgenie_provider.operators.migration_plan import PlanMigrationOperator
from opsgenie_provider.operators.migration_undo import PlanUndoOperator, UndoMigrationOperator
from opsgenie_provider.operators.migration_verify import VerifyMigrationOperator
from opsgenie_provider.operators.pagerduty import PagerdutyToPostgresOperator
from opsgenie_provider.operators.provider import fail_permanent_errors_fast
from opsgenie_provider.operators.publish import PublishSyncOperator
from opsgenie_provider.operators.retry import retry_arguments
from opsgenie_provider.operators.warehouse import PrepareWarehouseOperator


def pagerduty_migration() -> DAG:
    """The DAG ``pagerduty_migration``."""
    with DAG(
        dag_id="pagerduty_migration",
        description="PagerDuty's incident history into OpsGenie, planned, approved, verified",
        doc_md=__doc__,
        schedule=None,
        catchup=False,
        max_active_runs=1,
        tags=["pagerduty", "opsgenie", "dora"],
        default_args=retry_arguments(),
        params={name: Param(**schema) for name, schema in Options.schemas().items()},
    ) as dag:
        prepare = PrepareWarehouseOperator(task_id="prepare")
        setting = prepare.output_of
        source = {
            "pagerduty_conn_id": setting("pagerduty_conn_id"),
            "postgres_conn_id": setting("postgres_conn_id"),
        }

        @task(multiple_outputs=True)
        @fail_permanent_errors_fast
        def options(params: dict[str, Any] | None = None) -> Any:
            return Options.from_params(params or {}).as_json()

        @task.branch
        def choose(undo: bool) -> str:
            return "plan_undo" if undo else "extract"

        @task.short_circuit
        def go_on(dry_run: bool) -> bool:
            return not dry_run

        chosen: Any = options()
        prepare >> chosen
        settings = source | {
            "options": chosen,
            "import_conn_id": setting("import_conn_id"),
            "max_requests_per_minute": setting("max_requests_per_minute"),
        }
        keys = ValidateMigrationKeysOperator(task_id="validate_keys", multiple_outputs=True, **settings)
        writing = settings | {"limits": cast(Any, keys.output)["limits"]}
        approval = {
            "subject": "Import PagerDuty's history into OpsGenie?",
            "required": chosen["require_approval"],
        }

        extract = PagerdutyToPostgresOperator(
            task_id="extract",
            since=chosen["since"],
            until=chosen["until"],
            with_notes=chosen["import_notes"],
            **source,
        )
        publish = PublishSyncOperator(
            task_id="publish", outlets=[PAGERDUTY_STAGING], trigger_rule=TriggerRule.ALL_DONE
        )
        plan = PlanMigrationOperator(task_id="plan", **settings)
        approve = ApprovePlanOperator(task_id="approve", body=plan.output, **approval)
        canary = ImportCanaryOperator(task_id="canary", **writing)
        import_ = ImportIncidentsOperator(task_id="import", **writing)
        verify = VerifyMigrationOperator(task_id="verify", **writing)

        plan_undo = PlanUndoOperator(task_id="plan_undo", **settings)
        approve_undo = ApprovePlanOperator(
            task_id="approve_undo",
            body=plan_undo.output,
            **approval | {"subject": "Delete the imported incidents from OpsGenie?"},
        )
        undo = UndoMigrationOperator(task_id="undo", **writing)

        keys >> choose(chosen["undo"]) >> [extract, plan_undo]
        extract >> publish
        extract >> plan >> go_on(chosen["dry_run"]) >> approve >> canary >> import_ >> verify
        plan_undo >> go_on.override(task_id="go_on_undo")(chosen["dry_run"]) >> approve_undo >> undo
    return dag
