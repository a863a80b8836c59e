"""The only file of this package that Airflow's plugin loader may execute (see .airflowignore)."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class OpsgenieProviderPlugin(AirflowPlugin):
    """Makes the package known to ``airflow plugins``."""

    name = "opsgenie_provider"
