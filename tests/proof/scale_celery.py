"""Celery's settings for the workers of test_scale_out.py: Airflow's, and the tasks' imports made before."""

from __future__ import annotations

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

# Tasks are forks of the worker. On a machine of two processors, a second of imports in each of them
# would be most of what there is to measure.
CONFIG = {
    **DEFAULT_CELERY_CONFIG,
    "imports": [
        "airflow.dag_processing.dagbag",
        "airflow.providers.http.hooks.http",
        "airflow.providers.postgres.hooks.postgres",
        "airflow.providers.standard.operators.python",
        "opsgenie_provider.operators.catalogue",
        "opsgenie_provider.operators.incidents",
        "opsgenie_provider.operators.key",
        "opsgenie_provider.operators.on_call",
        "opsgenie_provider.operators.plan",
        "opsgenie_provider.operators.publish",
        "opsgenie_provider.operators.timelines",
        "opsgenie_provider.operators.warehouse",
    ],
}
