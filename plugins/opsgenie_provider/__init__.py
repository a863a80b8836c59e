"""OpsGenie incidents, on-call and escalations in PostgreSQL, and what they say about deployments."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """What Airflow's provider manager asks for: the connection types and their forms.

    See airflow.apache.org, "How to create your own provider".
    """

    def connection_type(conn_type: str, hook: str, name: str, us: str, eu: str) -> dict[str, Any]:
        return {
            "connection-type": conn_type,
            "hook-class-name": hook,
            "hook-name": name,
            "ui-field-behaviour": {
                "hidden-fields": ["login", "port", "schema"],
                "relabeling": {"password": "API key", "host": "Base URL"},
                "placeholders": {"host": f"empty: {us} or {eu}, by region"},
            },
            "conn-fields": {
                "region": {
                    "label": "Region",
                    "description": "Where the account lives; not needed with a base URL.",
                    "schema": {"type": ["string", "null"], "enum": ["us", "eu"], "default": "us"},
                },
            },
        }

    return {
        "package-name": "airflow-provider-opsgenie-dora",
        "name": "OpsGenie DORA",
        "description": "OpsGenie incidents and on-call in PostgreSQL; change failure rate and MTTR.",
        "versions": [__version__],
        "connection-types": [
            connection_type(
                "opsgenie_api",
                "opsgenie_provider.hooks.opsgenie.OpsgenieHook",
                "OpsGenie API",
                "api.opsgenie.com",
                "api.eu.opsgenie.com",
            ),
            connection_type(
                "pagerduty_api",
                "opsgenie_provider.hooks.pagerduty.PagerdutyHook",
                "PagerDuty API",
                "api.pagerduty.com",
                "api.eu.pagerduty.com",
            ),
        ],
    }
