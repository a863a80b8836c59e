"""Bring deployments into the warehouse, every hour.

The repositories of `github_repositories` in `include/settings.yaml` are read side by side: their
deployments, whether each ever succeeded, and the pull request that it brought out. A table or view
of your own (`deployments_relation`) is taken over, too. Rows that you write into
`staging.deployments` yourself need neither.

1. **sync** checks the settings, creates or upgrades the tables, takes over the relation, if there is one,
   and reads up to 50 repositories side by side: 90 days at first, then what is new or unfinished. One that
   fails does not stop the others; the task names it and fails at the end.
2. **repositories** reads in the same way what are more than 50: in up to four tasks, to which `sync` leaves
   them all.
3. **publish** sums up and starts `dora_metrics` after several tasks, and also where one failed. A `sync` that
   has read everything and succeeds starts `dora_metrics` itself.

What is not needed is skipped, and takes no process; nor does **complete**, which fails with the run.
"""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TriggerRule

from opsgenie_provider.assets import DEPLOYMENTS_STAGING
from opsgenie_provider.operators.deployments import DeploymentsToPostgresOperator, SyncDeploymentsOperator
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
        bounds = {"since": "{{ params.since or '' }}", "until": "{{ params.until or '' }}"}
        sync = SyncDeploymentsOperator(task_id="sync", outlets=[DEPLOYMENTS_STAGING], **bounds)
        repositories = DeploymentsToPostgresOperator.partial(task_id="repositories", **bounds).expand_kwargs(
            sync.output
        )
        # Airflow marks an asset as updated only for a task that succeeds. Where sync has read all and
        # succeeded, `repositories` is skipped, and so is this.
        publish = PublishSyncOperator(
            task_id="publish", outlets=[DEPLOYMENTS_STAGING], trigger_rule=TriggerRule.NONE_SKIPPED
        )
        # The run is as its last task: this one fails where anything before it did. The scheduler sets its
        # state by itself, as there is nothing to execute.
        complete = EmptyOperator(task_id="complete", trigger_rule=TriggerRule.NONE_FAILED)
        [sync, repositories] >> publish
        [sync, repositories, publish] >> complete
    return dag
