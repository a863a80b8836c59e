"""Incidents, their services, responders and timeline (incident and incident timeline APIs)."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    decode,
    json_text,
    key_text,
    key_texts,
    nested,
    objects,
    required_text,
    required_timestamp,
    text,
    texts,
    timestamp,
)
from opsgenie_provider.rows.tables import DERIVED_INCIDENT_COLUMNS, Row

_NOT_DERIVED_YET = (None,) * len(DERIVED_INCIDENT_COLUMNS)


class IncidentRows(NamedTuple):
    """One incident as rows of three tables."""

    incident: Row
    services: list[Row]
    responders: list[Row]


def incident_rows(raw: Raw, *, account: str, key_reach: str) -> IncidentRows:
    """An item of the incident list, or the incident read by id: both have the same fields.

    :raises UnreadablePayloadError: no id, no creation time, or a field of another type.
    """
    payload = decode(raw)
    incident_id = required_text(payload, "id")
    incident = (
        account,
        incident_id,
        text(payload, "tinyId"),
        text(payload, "message"),
        text(payload, "description"),
        key_text(payload, "status"),
        text(payload, "priority"),
        required_timestamp(payload, "createdAt"),
        timestamp(payload, "updatedAt"),
        timestamp(payload, "impactStartDate"),
        timestamp(payload, "impactEndDate"),
        None if payload.get("tags") is None else texts(payload, "tags"),
        json_text(payload.get("extraProperties")),
        text(nested(payload, "links"), "web"),
        key_reach,
        bytes(raw).decode(),
        *_NOT_DERIVED_YET,
        None,
    )
    services = {service: json_text(service) for service in key_texts(payload, "impactedServices")}
    responders = {_responder_key(each): json_text(each) for each in objects(payload, "responders")}
    return IncidentRows(
        incident,
        [(account, incident_id, service, source) for service, source in services.items()],
        [(account, incident_id, *key, source) for key, source in responders.items()],
    )


def timeline_row(raw: Raw, *, account: str, incident_id: str) -> Row:
    """An entry of an incident's timeline.

    :raises UnreadablePayloadError: no id, or a field of another type.
    """
    payload = decode(raw)
    actor = nested(payload, "actor")
    return (
        account,
        incident_id,
        required_text(payload, "id"),
        text(payload, "type"),
        timestamp(payload, "eventTime"),
        text(actor, "name"),
        text(actor, "type"),
        bytes(raw).decode(),
    )


def _responder_key(responder: Payload) -> tuple[str, str]:
    """Type and id; where the service gives only a name, that."""
    identity = key_text(responder, "id") or key_text(responder, "username") or key_text(responder, "name")
    if identity is None:
        raise UnreadablePayloadError("responders: one has neither id nor name")
    return key_text(responder, "type") or "unknown", identity
