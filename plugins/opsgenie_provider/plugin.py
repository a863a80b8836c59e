"""The only file of this package that Airflow's plugin loader may execute (see .airflowignore)."""

from __future__ import annotations

import logging
from typing import Any

from airflow.plugins_manager import AirflowPlugin

log = logging.getLogger(__name__)


class OpsgenieProviderPlugin(AirflowPlugin):
    """The page in the navigation, and the app behind it.

    ``fastapi_apps`` is asked for by the API server alone: the other parts of Airflow, which load plugins
    too, need not import a web application.
    """

    name = "opsgenie_provider"
    external_views = [
        {
            "name": "Incidents & DORA",
            "href": "opsgenie_provider/",
            "url_route": "opsgenie_provider",
            "destination": "nav",
            "category": "browse",
        }
    ]

    class _Apps:
        """Imports the app when it is asked for."""

        def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
            try:
                from opsgenie_provider.web.app import PREFIX, app
            except ImportError as error:
                # Airflow's API server is not to stay down for want of this page.
                log.error(
                    "There is no page and no webhook: %s. Install requirements.txt for the API server, too.",
                    error,
                )
                return []
            return [{"app": app, "url_prefix": PREFIX, "name": "opsgenie_provider"}]

    fastapi_apps = _Apps()
