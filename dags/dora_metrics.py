"""Join incidents to deployments: change failure rate, MTTR and an incident history.

Runs when a sync has changed the staging tables or an override was saved, or by hand.

1. **prepare** checks the settings and creates or upgrades the tables.
2. **refresh** runs the files of `include/sql/transform`, one per table, over what was touched since
   the last run, and the data checks of `include/sql/checks`, all in one transaction: if a check
   fails, the tables stay as the last good run left them. A changed setting rebuilds everything.
3. **checks** shows each data check by itself.

What counts as a change failure is written in `include/sql/transform/50_deployment_outcomes.sql`,
which deployment an incident is held against in `40_incident_attribution.sql`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.providers.common.sql.operators.sql import SQLValueCheckOperator
from airflow.sdk import DAG, Param, TaskGroup

from opsgenie_provider.assets import (
    ATTRIBUTION_OVERRIDES,
    DEPLOYMENTS_STAGING,
    DORA,
    OPSGENIE_STAGING,
    PAGERDUTY_STAGING,
)
from opsgenie_provider.operators.dora import RefreshDoraOperator
from opsgenie_provider.operators.warehouse import PrepareWarehouseOperator
from opsgenie_provider.retry import ApiRetryPolicy

INCLUDE = Path(__file__).resolve().parent.parent / "include"
CHECKS = (
    "attribution_unique",
    "change_failure_rate_in_bounds",
    "incidents_accounted_for",
    "matched_deployments_eligible",
    "metrics_add_up",
    "no_closer_deployment",
    "offset_within_window",
)

with DAG(
    dag_id="dora_metrics",
    description="Change failure rate, MTTR and incident history from the staging tables",
    doc_md=__doc__,
    schedule=OPSGENIE_STAGING | DEPLOYMENTS_STAGING | PAGERDUTY_STAGING | ATTRIBUTION_OVERRIDES,
    catchup=False,
    max_active_runs=1,
    template_searchpath=[str(INCLUDE / "sql")],
    tags=["dora"],
    default_args={
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "retry_policy": ApiRetryPolicy(),
    },
    params={"full_refresh": Param(False, type="boolean", description="Compute all tables again")},
) as dag:
    prepare = PrepareWarehouseOperator(task_id="prepare", include_dir=str(INCLUDE))
    refresh = RefreshDoraOperator(
        task_id="refresh",
        include_dir=str(INCLUDE),
        full_refresh="{{ params.full_refresh }}",
        outlets=[DORA],
    )
    with TaskGroup("checks") as checks:
        for name in CHECKS:
            # Each file returns the rows that should not be.
            SQLValueCheckOperator(
                task_id=name,
                conn_id=prepare.output_of("postgres_conn_id"),
                sql=f"select count(*) from (\n{{% include 'checks/{name}.sql' %}}\n) as found",  # noqa: S608
                pass_value=0,
                retries=0,
            )
    prepare >> refresh >> checks
