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
4. **end** sums up and starts `dora_metrics`, also where some of the tasks before it failed. The run
   fails if one of them did.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from opsgenie_provider.assets import DEPLOYMENTS_STAGING
from opsgenie_provider.operators.deployments import (
    GithubDeploymentsToPostgresOperator,
    PrepareDeploymentsOperator,
)
from opsgenie_provider.operators.own_deployments import OwnDeploymentsToPostgresOperator
from opsgenie_provider.operators.publish import PublishSyncOperator
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
        end = PublishSyncOperator(
            task_id="end", outcomes=[github.output, own.output], outlets=[DEPLOYMENTS_STAGING]
        )
        # A teardown runs whatever failed before it, and a run in which only it succeeded is a failed run.
        end.as_teardown()
    return dag
