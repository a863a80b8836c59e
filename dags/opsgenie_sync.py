"""The Airflow DAG `opsgenie_sync`; opsgenie_provider/dags/opsgenie_sync.py says what it does."""

from opsgenie_provider.dags.opsgenie_sync import opsgenie_sync

dag = opsgenie_sync()
