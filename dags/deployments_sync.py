"""The Airflow DAG `deployments_sync`; opsgenie_provider/dags/deployments_sync.py says what it does."""

from opsgenie_provider.dags.deployments_sync import deployments_sync

dag = deployments_sync()
