"""The plugin: by entry point where the package is installed, else by the plugins folder.

This is the only file of the package that the plugins folder's loader may execute (see .airflowignore).
"""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
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
                # Airflow's API server must start even where this page cannot.
                log.error(
                    "The page and the webhook are disabled: %s. Install requirements.txt for the API "
                    "server, too.",
                    error,
                )
                return []
            return [{"app": app, "url_prefix": PREFIX, "name": "opsgenie_provider"}]

    fastapi_apps = _Apps()


if __name__ != "opsgenie_provider.plugin" and entry_points(
    group="airflow.plugins", name=OpsgenieProviderPlugin.name
):
    # The plugins folder's loader executes this file under another name. Where the package is installed, too,
    # its entry point registers the plugin, and a second class of that name would be an import error.
    del OpsgenieProviderPlugin
