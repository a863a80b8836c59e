"""The assets that connect the DAGs: what one writes, another waits for.

Their URIs name no server. ``postgres://host:port/database/schema/table``, as lineage tools know a table by,
would need the connection, which no DAG file reads, and a warehouse that moves would leave the assets behind.
"""

from airflow.sdk import Asset

OPSGENIE_STAGING = Asset(name="staging.opsgenie", uri="x-warehouse://staging/opsgenie")
DEPLOYMENTS_STAGING = Asset(name="staging.deployments", uri="x-warehouse://staging/deployments")
PAGERDUTY_STAGING = Asset(name="staging.pagerduty", uri="x-warehouse://staging/pagerduty")
ATTRIBUTION_OVERRIDES = Asset(
    name="dora.attribution_overrides", uri="x-warehouse://dora/attribution_overrides"
)
SERVICE_MAP = Asset(name="dora.service_map", uri="x-warehouse://dora/service_map")
DORA = Asset(name="dora", uri="x-warehouse://dora")
