"""Join incidents to deployments: change failure rate, MTTR and an incident history.

Runs when a sync has changed the staging tables or somebody decided on the page, or by hand.

**refresh** checks the settings, creates or upgrades the tables, and brings the tables of `dora` up to
date, in one transaction: what was touched since the last run, or everything on the first run, where a
setting changed, and where that was asked for. Each table is one SELECT of `include/sql/transform`. The
data checks of `include/sql/checks` run in the same transaction: if one fails, the tables stay as the
last good run left them.

What counts as a change failure is written in `include/sql/transform/deployment_outcomes.sql`, which
deployment an incident is attributed to in `incident_attribution.sql`.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from opsgenie_provider.assets import (
    ATTRIBUTION_OVERRIDES,
    DEPLOYMENTS_STAGING,
    DORA,
    OPSGENIE_STAGING,
    PAGERDUTY_STAGING,
    SERVICE_MAP,
)
from opsgenie_provider.operators.dora import RefreshDoraOperator
from opsgenie_provider.operators.retry import retry_arguments


def dora_metrics() -> DAG:
    """The DAG ``dora_metrics``."""
    with DAG(
        dag_id="dora_metrics",
        description="Change failure rate, MTTR and incident history from the staging tables",
        doc_md=__doc__,
        schedule=(
            OPSGENIE_STAGING | DEPLOYMENTS_STAGING | PAGERDUTY_STAGING | ATTRIBUTION_OVERRIDES | SERVICE_MAP
        ),
        catchup=False,
        max_active_runs=1,
        tags=["dora"],
        default_args=retry_arguments(),
        params={"full_refresh": Param(False, type="boolean", description="Compute all tables again")},
    ) as dag:
        RefreshDoraOperator(task_id="refresh", full_refresh="{{ params.full_refresh }}", outlets=[DORA])
    return dag
