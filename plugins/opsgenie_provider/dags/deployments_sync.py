"""Bring deployments into the warehouse, every hour.

The repositories of `github_repositories` in `include/settings.yaml` are read side by side: their
deployments, whether each ever succeeded, and the pull request that it brought out. A table or view
of your own (`deployments_relation`) is taken over, too. Rows that you write into
`staging.deployments` yourself need neither.

1. **prepare** checks the settings and creates or upgrades the tables.
2. **github** reads one repository: 90 days at first, then what is new or unfinished.
3. **own_deployments** takes over the relation of the settings, if there is one.
4. **publish** sums up and starts `dora_metrics`, also where some of the tasks before it failed.
5. **complete** fails the run if any task failed.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, task

from opsgenie_provider.assets import DEPLOYMENTS_STAGING
from opsgenie_provider.operators.deployments import GithubDeploymentsToPostgresOperator
from opsgenie_provider.operators.own_deployments import OwnDeploymentsToPostgresOperator
from opsgenie_provider.operators.publish import CompleteSyncOperator, PublishSyncOperator
from opsgenie_provider.operators.warehouse import PrepareWarehouseOperator
from opsgenie_provider.retry import retry_arguments


def deployments_sync() -> DAG:
    """The DAG ``deployments_sync``."""
    with DAG(
        dag_id="deployments_sync",
        description="Deployments with their pull requests into PostgreSQL",
        doc_md=__doc__,
        schedule="@hourly",
        catchup=False,
        max_active_runs=1,
        tags=["deployments", "dora"],
        default_args=retry_arguments(),
        params={
            "since": Param(None, type=["null", "string"], description="Only what was triggered from here on"),
            "until": Param(None, type=["null", "string"], description="Only what was triggered before this"),
        },
    ) as dag:
        prepare = PrepareWarehouseOperator(task_id="prepare")
        setting = prepare.output_of
        warehouse = {"postgres_conn_id": setting("postgres_conn_id")}

        @task
        def repositories(configured: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return configured

        github = GithubDeploymentsToPostgresOperator.partial(
            task_id="github",
            github_conn_id=setting("github_conn_id"),
            since="{{ params.since or '' }}",
            until="{{ params.until or '' }}",
            max_active_tis_per_dagrun=2,
            **warehouse,
        ).expand_kwargs(repositories(setting("github_repositories")))
        own = OwnDeploymentsToPostgresOperator(
            task_id="own_deployments",
            relation=setting("deployments_relation"),
            columns=setting("deployments_columns"),
            **warehouse,
        )
        publish = PublishSyncOperator(
            task_id="publish",
            outcomes=[github.output, own.output],
            outlets=[DEPLOYMENTS_STAGING],
            trigger_rule=TriggerRule.ALL_DONE,
        )
        complete = CompleteSyncOperator(task_id="complete", trigger_rule=TriggerRule.ALL_DONE)
        publish >> complete
    return dag
