"""The Airflow DAG `dora_report`; opsgenie_provider/dags/dora_report.py says what it does."""

from opsgenie_provider.dags.dora_report import dora_report

dag = dora_report()
