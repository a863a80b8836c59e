"""The Airflow connections and settings of `make run`: to the stand-ins, or to the real services."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sandbox.company import OWNER, REPOSITORIES, SERVICES
from sandbox.github.store import SYNC_KEY as GITHUB_KEY
from sandbox.jsm.store import SYNC_EMAIL, SYNC_TOKEN
from sandbox.opsgenie.store import IMPORT_KEY, SYNC_KEY
from sandbox.pagerduty.store import READ_KEY

# Of the demo's webhook, which listens on loopback only.
WEBHOOK_SECRET = "sandbox-webhook-secret"  # noqa: S105
# The account in Jira Service Management, beside ``opsgenie_default``.
JSM_CONN_ID = "jsm_default"
# The account of a plan without incidents: its alerts stand for them.
ALERTS_CONN_ID = "opsgenie_alerts"


def connections(socket_dir: Path, stand_ins: dict[str, str]) -> dict[str, str]:
    """AIRFLOW_CONN_* of the stand-ins, or of the real services that have a key in the environment."""
    env = os.environ
    warehouse = {"conn_type": "postgres", "host": str(socket_dir), "login": "postgres", "schema": "warehouse"}
    found = {"postgres_default": env.get("WAREHOUSE_URL") or json.dumps(warehouse)}

    def add(conn_id: str, conn_type: str, key: str | None, **fields: Any) -> None:
        if key:
            found[conn_id] = json.dumps({"conn_type": conn_type, "password": key, **fields})

    if opsgenie_key := env.get("OPSGENIE_API_KEY"):
        region = {"extra": {"region": env.get("OPSGENIE_REGION", "us")}}
        add("opsgenie_default", "opsgenie_api", opsgenie_key, **region)
        add("pagerduty_default", "pagerduty_api", env.get("PAGERDUTY_API_KEY"))
    elif "JSM_API_TOKEN" not in env:
        add("opsgenie_default", "opsgenie_api", SYNC_KEY, host=stand_ins["opsgenie"])
        add(ALERTS_CONN_ID, "opsgenie_api", SYNC_KEY, host=stand_ins["alerts"])
        add("opsgenie_import", "opsgenie_api", IMPORT_KEY, host=stand_ins["opsgenie"])
        add("pagerduty_default", "pagerduty_api", READ_KEY, host=stand_ins["pagerduty"])
        add("github_default", "http", GITHUB_KEY, host=stand_ins["github"])
        add("deployments_webhook", "generic", WEBHOOK_SECRET)
    if token := env.get("JSM_API_TOKEN"):
        site, email = env.get("JSM_SITE", ""), env.get("JSM_EMAIL", "")
        add(JSM_CONN_ID, "jsm_api", token, host=site, login=email)
    elif "OPSGENIE_API_KEY" not in env:
        jsm = {"host": stand_ins["jsm"], "login": SYNC_EMAIL, "extra": {"api_url": stand_ins["jsm"]}}
        add(JSM_CONN_ID, "jsm_api", SYNC_TOKEN, **jsm)
    return {_variable(conn_id): connection for conn_id, connection in found.items()}


def _variable(conn_id: str) -> str:
    return f"AIRFLOW_CONN_{conn_id.upper()}"


def with_services(env: dict[str, str], socket_dir: Path, stand_ins: dict[str, str]) -> dict[str, str]:
    """The environment with the connections, and with the settings that the user has not made."""
    found = connections(socket_dir, stand_ins)
    return settings(found) | env | found


def settings(connections: dict[str, str]) -> dict[str, str]:
    """Settings of the package, as environment variables, for what ``connections`` returned."""
    known = ("opsgenie_default", ALERTS_CONN_ID, JSM_CONN_ID)
    accounts = [conn_id for conn_id in known if _variable(conn_id) in connections]
    found = {"OPSGENIE_PROVIDER__ACCOUNTS": json.dumps(accounts)}
    if ALERTS_CONN_ID in accounts:
        found["OPSGENIE_PROVIDER__ALERT_ACCOUNTS"] = json.dumps([ALERTS_CONN_ID])
    if _variable("github_default") in connections:
        found["OPSGENIE_PROVIDER__GITHUB_REPOSITORIES"] = json.dumps(repositories())
    return found


def repositories() -> list[dict[str, str]]:
    """The setting github_repositories for the fictional company: one entry per service."""
    services = [service for team in SERVICES.values() for service in team]
    return [
        {"repository": f"{OWNER}/{REPOSITORIES.get(service, service)}", "service": service}
        for service in services
    ]
