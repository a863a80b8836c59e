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
            _JSM,
        ],
    }


def _optional(label: str, description: str, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


_JSM: dict[str, Any] = {
    "connection-type": "jsm_api",
    "hook-class-name": "opsgenie_provider.hooks.jsm.JsmHook",
    "hook-name": "Jira Service Management",
    "ui-field-behaviour": {
        "hidden-fields": ["port", "schema"],
        "relabeling": {"host": "Site", "login": "E-mail", "password": "API token"},
        "placeholders": {
            "host": "https://acme.atlassian.net",
            "login": "of an agent; no service account",
            "password": "from id.atlassian.com; it lives a year at most",
        },
    },
    "conn-fields": {
        "incident_jql": _optional(
            "Which issues are incidents",
            "JQL. Empty: the issue types named [System] Incident or Incident.",
        ),
        "impact_start_field": _optional(
            "Field: impact start", "Name or id of a date-time field that says when the impact began."
        ),
        "impact_end_field": _optional(
            "Field: impact end",
            "Name or id of a date-time field that says when the impact ended: the time of recovery, before "
            "the resolution date.",
        ),
        "priority_map": _optional(
            "Priorities",
            'Your names of priorities and what they are here, like {"Critical": "P1"}. Highest to Lowest '
            "are P1 to P5 without it.",
            "object",
        ),
        "closed_statuses": _optional(
            "Statuses that mean closed",
            "Of the statuses that count as done, those that mean closed; the others mean resolved. Empty: "
            "Closed, Canceled, Cancelled, Declined.",
            "array",
            items={"type": "string"},
        ),
        "cloud_id": _optional("Cloud id", "The site's id. Empty: asked of the site, without credentials."),
        "api_url": _optional(
            "API address",
            "The one host that the credentials are sent to. Empty: https://api.atlassian.com.",
        ),
    },
}
