"""The Airflow DAG `pagerduty_migration`; opsgenie_provider/dags/pagerduty_migration.py says what it does."""

from opsgenie_provider.dags.pagerduty_migration import pagerduty_migration

dag = pagerduty_migration()
