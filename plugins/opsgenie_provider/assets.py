"""The assets that connect the DAGs: what one writes, another waits for."""

from airflow.sdk import Asset

OPSGENIE_STAGING = Asset(name="staging.opsgenie", uri="x-warehouse://staging/opsgenie")
