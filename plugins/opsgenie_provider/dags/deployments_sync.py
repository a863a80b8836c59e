"""Bring deployments into the warehouse, every hour.

The repositories of `github_repositories` in `include/settings.yaml` are read side by side: their
deployments, whether each ever succeeded, and the pull request that it brought out. A table or view
of your own (`deployments_relation`) is taken over, too. Rows that you write into
`staging.deployments` yourself need neither.

1. **prepare** checks the settings and creates or upgrades the tables, and shares the repositories out
   to a few tasks.
2. **github** reads several repositories side by side: 90 days at first, then what is new or
   unfinished. One that fails does not stop the others; the task names it and fails at the end.
3. **own_deployments** takes over the relation of the settings, if there is one.
4. **publish** sums up and starts `dora_metrics`, also where some of the tasks before it failed.

**complete** takes no process: it fails with the run.
"""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TriggerRule

from opsgenie_provider.assets import DEPLOYMENTS_STAGING
from opsgenie_provider.operators.deployments import (
    GithubDeploymentsToPostgresOperator,
    PrepareDeploymentsOperator,
)
from opsgenie_provider.operators.own_deployments import OwnDeploymentsToPostgresOperator
from opsgenie_provider.operators.publish import PublishSyncOperator
from opsgenie_provider.operators.retry import retry_arguments


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
        prepare = PrepareDeploymentsOperator(task_id="prepare")
        setting = prepare.output_of
        github = GithubDeploymentsToPostgresOperator.partial(
            task_id="github",
            since="{{ params.since or '' }}",
            until="{{ params.until or '' }}",
        ).expand_kwargs(prepare.output)
        own = OwnDeploymentsToPostgresOperator(
            task_id="own_deployments",
            relation=setting("deployments_relation"),
            columns=setting("deployments_columns"),
            postgres_conn_id=setting("postgres_conn_id"),
        )
        # Airflow marks an asset as updated only for a task that succeeds.
        publish = PublishSyncOperator(
            task_id="publish",
            outcomes=[github.output, own.output],
            outlets=[DEPLOYMENTS_STAGING],
            trigger_rule=TriggerRule.ALL_DONE,
        )
        # The run is as its last task: this one fails where anything before it did. The scheduler sets its
        # state by itself, as there is nothing to execute.
        complete = EmptyOperator(task_id="complete", trigger_rule=TriggerRule.NONE_FAILED)
        [github, own, publish] >> complete
    return dag
