"""The deployment webhook: POST /webhook/github, /webhook/gitlab, /webhook/generic.

Senders prove that they know the secret; nobody logs in. A delivery is taken once, older events do not
overwrite newer ones, and dora_metrics is notified when a row changed. An answer other than 2xx is
``{"error": {"code", "message", "fields"}}``, and nothing was stored.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from airflow.sdk import Connection
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from opsgenie_provider.api.transport import storable
from opsgenie_provider.assets import DEPLOYMENTS_STAGING
from opsgenie_provider.compat import AirflowNotFoundException
from opsgenie_provider.hooks.base import ConnectionSettingsError
from opsgenie_provider.rows.deployment_events import Event
from opsgenie_provider.rows.fields import UnreadablePayloadError, decode
from opsgenie_provider.rows.webhook import (
    Ignored,
    WrongFieldsError,
    generic_event,
    github_event,
    gitlab_event,
)
from opsgenie_provider.settings import InvalidSettingsError, Settings, load_settings
from opsgenie_provider.warehouse.connection import Connection as WarehouseConnection
from opsgenie_provider.warehouse.connection import WarehouseUnavailableError
from opsgenie_provider.warehouse.webhook import Result, former_names, record
from opsgenie_provider.web import connection_pool, signatures
from opsgenie_provider.web.asset_events import mark_updated
from opsgenie_provider.web.webhook_requests import RefusedError, limited_body
from opsgenie_provider.web.workers import WEBHOOK, BusyError

log = logging.getLogger(__name__)
router = APIRouter()

_VERIFIED = {
    "github": signatures.from_github,
    "gitlab": signatures.from_gitlab,
    "generic": signatures.standard,
}
_PROOF = {
    "github": "X-Hub-Signature-256",
    "gitlab": "X-Gitlab-Token, or webhook-signature with its id and timestamp",
    "generic": "webhook-id, webhook-timestamp (now, in seconds) and webhook-signature",
}
# What names a delivery. Not X-Gitlab-Event-UUID: events that follow from each other share one.
_DELIVERY = {
    "github": ("x-github-delivery",),
    "gitlab": ("webhook-id", "idempotency-key"),
    "generic": ("webhook-id",),
}
_LONGEST_ID = 255
# A sender waits for about ten seconds.
_SECONDS = 8.0
_MISSING_TABLE = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.InvalidSchemaName,
)


@router.post("/webhook/github")
async def github(request: Request) -> JSONResponse:
    """GitHub's events ``deployment`` and ``deployment_status``."""
    return await _answer("github", request)


@router.post("/webhook/gitlab")
async def gitlab(request: Request) -> JSONResponse:
    """GitLab's deployment events."""
    return await _answer("gitlab", request)


@router.post("/webhook/generic")
async def generic(request: Request) -> JSONResponse:
    """Deployments in the words of ``staging.deployments``."""
    return await _answer("generic", request)


async def _answer(sender: str, request: Request) -> JSONResponse:
    try:
        body = await limited_body(request)
        return JSONResponse(await WEBHOOK.run(lambda: _receive(sender, request.headers, body)))
    except RefusedError as refused:
        return refused.response()
    except BusyError:
        message = "Too many deliveries at once. Deliver it again."
        return RefusedError(503, "busy", message, retry_after=True).response()


def _receive(sender: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """All that waits for something: settings, secret, warehouse, Airflow's database."""
    try:
        settings = load_settings()
        authentic = _VERIFIED[sender](_secret(settings.webhook_conn_id), headers, body)
    except (ConnectionSettingsError, signatures.UnusableSecretError) as error:
        raise RefusedError(503, "not_configured", str(error), retry_after=True) from None
    except (InvalidSettingsError, FileNotFoundError) as error:
        # Details go to the log only: the sender is not authenticated yet.
        log.error("The webhook does not work: %s", error)
        message = "The settings are wrong; the API server's log says which."
        raise RefusedError(503, "not_configured", message, retry_after=True) from None
    if not authentic:
        raise RefusedError(
            401,
            "not_authentic",
            f"Signature missing or wrong. Send {_PROOF[sender]}, made with the password of the Airflow "
            f"connection {settings.webhook_conn_id!r} over the body as it is sent.",
        )
    event = _read(sender, headers, body, settings)
    if not isinstance(event, Event):
        return event
    result = _stored(settings.postgres_conn_id, event, sender, _delivery_id(sender, headers, body))
    key = {"source": event.deployment.source, "deployment_id": event.deployment.deployment_id}
    log.info("Webhook of %s: deployment %r %s.", sender, key["deployment_id"], result)
    if result != "stored":
        return {"status": result, **key}
    notified = mark_updated(DEPLOYMENTS_STAGING, {"webhook": sender, **key})
    follow = (
        "dora_metrics was notified"
        if notified
        else "dora_metrics was not notified: it follows with the next sync"
    )
    return {"status": result, **key, "asset_event": notified, "message": follow}


def _read(sender: str, headers: Mapping[str, str], body: bytes, settings: Settings) -> Event | dict[str, Any]:
    """The event in a body, or the answer to one that holds none."""
    name = headers.get("x-github-event", "")
    try:
        body = storable(body)
        payload = decode(body)
        raw = body.decode()
        if sender == "github":
            if name == "ping":
                return {"status": "ok"}
            event = github_event(
                name,
                payload,
                raw,
                settings.github_repositories,
                lambda repository: _former_names(settings.postgres_conn_id, repository),
            )
        elif sender == "gitlab":
            event = gitlab_event(payload, raw, settings.environments)
        else:
            event = generic_event(payload, raw)
    except WrongFieldsError as error:
        raise RefusedError(422, "wrong_fields", str(error), fields=error.fields) from None
    except UnreadablePayloadError as error:
        raise RefusedError(
            422, "unreadable", f"The body is {error}. Send a JSON object as application/json."
        ) from None
    return {"status": "ignored", "reason": event.reason} if isinstance(event, Ignored) else event


def _secret(conn_id: str) -> str:
    try:
        password = Connection.get(conn_id).password
    except AirflowNotFoundException:
        password = None
    if not password:
        raise ConnectionSettingsError(
            f"The webhook has no secret. Create the Airflow connection {conn_id!r} with type 'generic' and "
            f"the secret as its password (or set AIRFLOW_CONN_{conn_id.upper()})."
        )
    return str(password)


def _delivery_id(sender: str, headers: Mapping[str, str], body: bytes) -> str:
    """What the sender calls the delivery; where it has no such name, the digest of the body."""
    named = next((value for name in _DELIVERY[sender] if (value := headers.get(name))), "")
    return named if 0 < len(named) <= _LONGEST_ID else f"sha256:{hashlib.sha256(body).hexdigest()}"


def _former_names(conn_id: str, repository: str) -> list[str]:
    with _warehouse(conn_id, "github") as connection:
        return former_names(connection, repository)


def _stored(conn_id: str, event: Event, sender: str, delivery_id: str) -> Result:
    """Record an event."""
    with _warehouse(conn_id, sender) as connection:
        return record(connection, event, sender=sender, delivery_id=delivery_id)


@contextmanager
def _warehouse(conn_id: str, sender: str) -> Iterator[WarehouseConnection]:
    """A connection to the warehouse, and the answer to whatever goes wrong with it.

    The tables are for a DAG to make: a request does not change the schema.
    """
    try:
        with connection_pool.connection(conn_id, seconds=_SECONDS) as connection:
            yield connection
    except _MISSING_TABLE as error:
        # The first line names what is missing, and holds no values of rows.
        log.error("A webhook of %s could not be stored: %s", sender, str(error).partition("\n")[0])
        raise RefusedError(
            503,
            "no_tables",
            "The warehouse tables are missing or outdated. Run deployments_sync once: it creates or upgrades "
            "them. Then deliver it again.",
            retry_after=True,
        ) from None
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded) as error:
        reason = error.diag.message_primary or "a value is out of range"
        raise RefusedError(422, "not_storable", f"PostgreSQL cannot hold the payload: {reason}.") from None
    except (psycopg.Error, WarehouseUnavailableError, ConnectionSettingsError) as error:
        # A detail may hold values of rows, and the first line names neither.
        log.warning("A webhook of %s could not be stored: %s", sender, str(error).partition("\n")[0])
        raise RefusedError(
            503,
            "warehouse_unavailable",
            "The warehouse did not take the deployment; the API server's log says why. Deliver it again.",
            retry_after=True,
        ) from None
