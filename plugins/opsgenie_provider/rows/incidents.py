"""OpsGenie incidents, their services, responders and timeline (incident and incident timeline APIs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    UnreadablePayloadError,
    as_key_text,
    decode,
    json_text,
    key_text,
    raw_text,
    required_text,
    required_timestamp,
    text,
    timestamp,
)
from opsgenie_provider.rows.parts import OptionalFields, Rejected
from opsgenie_provider.rows.tables import (
    DERIVED_INCIDENT_COLUMNS,
    INCIDENT_RESPONDERS,
    INCIDENT_SERVICES,
    INCIDENT_TIMELINE,
    INCIDENTS,
    OPSGENIE,
    Row,
)


class IncidentRows(NamedTuple):
    """An incident as rows.

    :param rejected: the parts that cannot be read, each with the reason.
    :param timeline: its whole timeline, where that comes with the incident; ``incident`` then has the times
        that are derived from it. None: the timeline is read separately.
    """

    incident_id: str
    incident: Row
    services: list[Row]
    responders: list[Row]
    rejected: Rejected
    timeline: list[Row] | None = None

    @property
    def identity(self) -> str:
        """The incident's id."""
        return self.incident_id

    @property
    def by_table(self) -> Sequence[Sequence[Row]]:
        """The rows of each table."""
        return [self.incident], self.services, self.responders, self.timeline or ()


def incident_rows(raw: Raw, *, account: str, key_reach: str) -> IncidentRows:
    """An incident as listed or as read by its id: both have the same fields.

    :param key_reach: what the key can read, see ``absence``.
    :raises UnreadablePayloadError: it has no id or creation time, or its status is not a text.
    """
    payload = decode(raw)
    rejected: Rejected = []
    parts = OptionalFields(payload, rejected)
    incident_id = required_text(payload, "id")
    incident = INCIDENTS.row(
        account=account,
        incident_id=incident_id,
        tiny_id=parts.read(text, "tinyId"),
        message=parts.read(text, "message"),
        description=parts.read(text, "description"),
        status=key_text(payload, "status"),
        priority=parts.read(text, "priority"),
        created_at=required_timestamp(payload, "createdAt"),
        updated_at=parts.read(timestamp, "updatedAt"),
        impact_start_at=parts.read(timestamp, "impactStartDate"),
        impact_end_at=parts.read(timestamp, "impactEndDate"),
        tags=parts.texts("tags"),
        details=json_text(payload.get("extraProperties")),
        web_url=parts.nested("links").read(text, "web"),
        key_reach=key_reach,
        backend=OPSGENIE,
        raw=raw_text(raw),
        deleted_at=None,
        **dict.fromkeys(DERIVED_INCIDENT_COLUMNS),
    )
    services = parts.each("impactedServices", partial(as_key_text, name="impactedServices"))
    responders = dict(parts.each("responders", _responder))
    return IncidentRows(
        incident_id,
        incident,
        service_rows(
            {service: json_text(service) for service in services}, account=account, incident_id=incident_id
        ),
        responder_rows(responders, account=account, incident_id=incident_id),
        rejected,
    )


def service_rows(services: Mapping[str, str | None], *, account: str, incident_id: str) -> list[Row]:
    """The services of an incident, by id with each one's JSON."""
    return [
        INCIDENT_SERVICES.row(account=account, incident_id=incident_id, service_id=service, raw=source)
        for service, source in services.items()
    ]


def responder_rows(
    responders: Mapping[tuple[str, str], str | None], *, account: str, incident_id: str
) -> list[Row]:
    """The responders of an incident, by type and id with each one's JSON."""
    return [
        INCIDENT_RESPONDERS.row(
            account=account, incident_id=incident_id, responder_type=kind, responder_id=identity, raw=source
        )
        for (kind, identity), source in responders.items()
    ]


def timeline_row(raw: Raw, *, account: str, incident_id: str, rejected: Rejected | None = None) -> Row:
    """An entry of an incident's timeline.

    :param rejected: receives an actor that cannot be read.
    :raises UnreadablePayloadError: it has no id, or its type or time cannot be read.
    """
    payload = decode(raw)
    actor = OptionalFields(payload, rejected).nested("actor")
    return INCIDENT_TIMELINE.row(
        account=account,
        incident_id=incident_id,
        entry_id=required_text(payload, "id"),
        entry_type=text(payload, "type"),
        event_at=timestamp(payload, "eventTime"),
        actor_name=actor.read(text, "name"),
        actor_type=actor.read(text, "type"),
        raw=raw_text(raw),
    )


def _responder(responder: Any) -> tuple[tuple[str, str], str | None]:
    """Type and id (or the name where there is no id), and the responder as JSON."""
    if not isinstance(responder, dict):
        raise UnreadablePayloadError("responders: expected objects")
    identity = key_text(responder, "id") or key_text(responder, "username") or key_text(responder, "name")
    if identity is None:
        raise UnreadablePayloadError("responders: a responder has neither id nor name")
    return (key_text(responder, "type") or "unknown", identity), json_text(responder)
