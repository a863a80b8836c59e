"""Incidents, their services, responders and timeline (incident and incident timeline APIs)."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    UnreadablePayloadError,
    decode,
    json_text,
    key_text,
    required_text,
    required_timestamp,
    text,
    timestamp,
)
from opsgenie_provider.rows.parts import Parts, Rejected
from opsgenie_provider.rows.tables import DERIVED_INCIDENT_COLUMNS, Row

_NOT_DERIVED_YET = (None,) * len(DERIVED_INCIDENT_COLUMNS)


class IncidentRows(NamedTuple):
    """One incident as rows of three tables, and the parts of it that cannot be read, with reasons."""

    incident: Row
    services: list[Row]
    responders: list[Row]
    rejected: Rejected


def incident_rows(raw: Raw, *, account: str, key_reach: str) -> IncidentRows:
    """An item of the incident list, or the incident read by id: both have the same fields.

    :raises UnreadablePayloadError: no id, no creation time, or a status that is no text.
    """
    payload = decode(raw)
    rejected: Rejected = []
    parts = Parts(payload, rejected)
    incident_id = required_text(payload, "id")
    tags = parts.each("tags", partial(_text_of, "tags"))
    incident = (
        account,
        incident_id,
        parts.read(text, "tinyId"),
        parts.read(text, "message"),
        parts.read(text, "description"),
        key_text(payload, "status"),
        parts.read(text, "priority"),
        required_timestamp(payload, "createdAt"),
        parts.read(timestamp, "updatedAt"),
        parts.read(timestamp, "impactStartDate"),
        parts.read(timestamp, "impactEndDate"),
        tags if isinstance(payload.get("tags"), list) else None,
        json_text(payload.get("extraProperties")),
        parts.nested("links").read(text, "web"),
        key_reach,
        bytes(raw).decode(),
        *_NOT_DERIVED_YET,
        None,
    )
    services = parts.each("impactedServices", partial(_key_of, "impactedServices"))
    responders = dict(parts.each("responders", _responder))
    return IncidentRows(
        incident,
        [(account, incident_id, service, json_text(service)) for service in dict.fromkeys(services)],
        [(account, incident_id, *key, source) for key, source in responders.items()],
        rejected,
    )


def timeline_row(raw: Raw, *, account: str, incident_id: str, rejected: Rejected | None = None) -> Row:
    """An entry of an incident's timeline.

    :param rejected: takes an actor that cannot be read.
    :raises UnreadablePayloadError: no id, or a type or time that cannot be read.
    """
    payload = decode(raw)
    actor = Parts(payload, rejected).nested("actor")
    return (
        account,
        incident_id,
        required_text(payload, "id"),
        text(payload, "type"),
        timestamp(payload, "eventTime"),
        actor.read(text, "name"),
        actor.read(text, "type"),
        bytes(raw).decode(),
    )


def _text_of(name: str, item: Any) -> str | None:
    return text({name: item}, name)


def _key_of(name: str, item: Any) -> str | None:
    return key_text({name: item}, name)


def _responder(responder: Any) -> tuple[tuple[str, str], str | None]:
    """Type and id, or where the service gives only a name, that; and the responder as JSON."""
    if not isinstance(responder, dict):
        raise UnreadablePayloadError("responders: expected objects")
    identity = key_text(responder, "id") or key_text(responder, "username") or key_text(responder, "name")
    if identity is None:
        raise UnreadablePayloadError("responders: one has neither id nor name")
    return (key_text(responder, "type") or "unknown", identity), json_text(responder)
