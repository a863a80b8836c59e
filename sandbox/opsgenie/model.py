"""Incidents and services, and their JSON. Instants are nanoseconds (`sandbox.instants`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from sandbox.instants import MS, Nanos, iso

WEB = "https://acme.app.opsgenie.com"
API = "https://api.opsgenie.com"

#: Timeline entry type -> its group (docs.opsgenie.com/docs/incident-timeline). "IncidentReopened" is inferred
#: from the endpoint's name: no captured payload shows it.
ENTRY_GROUPS = {
    "IncidentOpened": "incident",
    "IncidentResolved": "incident",
    "IncidentClosed": "incident",
    "IncidentReopened": "incident",
    "IncidentResponderUserAdded": "incident",
    "IncidentResponderTeamAdded": "incident",
    "ResponderAlertAcked": "responderAlert",
    "ResponderAlertClosed": "responderAlert",
    "StatusPageAdded": "statusPage",
    "CustomUserEntry": "custom",
    "CustomIncidentAction": "custom",
}

Json = dict[str, Any]


@dataclass(slots=True)
class Entry:
    """An entry of an incident's timeline."""

    id: str
    type: str
    at: Nanos
    actor: str = ""
    actor_type: str = "user"
    text: str = ""
    hidden: bool = False

    @property
    def group(self) -> str:
        return ENTRY_GROUPS.get(self.type, "custom")

    def payload(self) -> Json:
        body: Json = {
            "id": self.id,
            "group": self.group,
            "type": self.type,
            "eventTime": iso(self.at),
            "hidden": self.hidden,
            "actor": {"name": self.actor, "type": self.actor_type},
            "title": {"type": "plain_text", "content": self.type},
        }
        if self.text:
            body["description"] = {"type": "plain_text", "content": self.text}
        return body


@dataclass(slots=True)
class Note:
    text: str
    owner: str
    at: Nanos


@dataclass(slots=True, eq=False)
class Incident:
    """An incident. The payload lacks `impact_end` until it is resolved, and keeps it if it is reopened."""

    id: str
    tiny_id: str
    message: str
    created_at: Nanos
    updated_at: Nanos
    description: str = ""
    status: str = "open"
    priority: str = "P3"
    impact_start: Nanos | None = None
    impact_end: Nanos | None = None
    tags: list[str] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    services: list[str] = field(default_factory=list)
    responders: list[dict[str, str]] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    _json: bytes | None = None

    @property
    def created_ms(self) -> int:
        return self.created_at // MS

    def payload(self) -> Json:
        """The list item and, unchanged, the `data` of the single read.

        `ownerTeam` is empty: that concept was retired in 2020 (support.atlassian.com, incident visibility).
        """
        body: Json = {
            "id": self.id,
            "description": self.description,
            "impactedServices": self.services,
            "tinyId": self.tiny_id,
            "message": self.message,
            "status": self.status,
            "tags": self.tags,
            "createdAt": iso(self.created_at),
            "updatedAt": iso(self.updated_at),
            "priority": self.priority,
            "ownerTeam": "",
            "responders": self.responders,
            "extraProperties": self.details,
            "links": {"web": f"{WEB}/incident/detail/{self.id}", "api": f"{API}/v1/incidents/{self.id}"},
            "impactStartDate": iso(self.created_at if self.impact_start is None else self.impact_start),
            "actions": self.actions,
        }
        if self.impact_end is not None:
            body["impactEndDate"] = iso(self.impact_end)
        return body

    def json(self) -> bytes:
        """The payload as JSON, cached until the next change, because list pages consist of these."""
        if self._json is None:
            self._json = msgspec.json.encode(self.payload())
        return self._json

    def changed(self) -> None:
        """Clear the cached JSON."""
        self._json = None


@dataclass(slots=True)
class Service:
    id: str
    name: str
    team_id: str
    description: str = ""
    tags: list[str] = field(default_factory=list)

    def payload(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "teamId": self.team_id,
            "tags": self.tags,
            "links": {"web": f"{WEB}/service/{self.id}/status", "api": f"{API}/v1/services/{self.id}"},
            "isExternal": False,
        }
