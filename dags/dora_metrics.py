"""The Airflow DAG `dora_metrics`; opsgenie_provider/dags/dora_metrics.py says what it does."""

from opsgenie_provider.dags.dora_metrics import dora_metrics

dag = dora_metrics()
