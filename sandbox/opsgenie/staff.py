"""Users, teams, schedules and escalations, and their JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.instants import Nanos, iso
from sandbox.opsgenie.model import API, WEB, Json


@dataclass(slots=True)
class User:
    id: str
    username: str
    full_name: str
    time_zone: str = "Etc/UTC"
    role: str = "User"
    blocked: bool = False
    created_at: Nanos = 0

    def payload(self) -> Json:
        return {
            "blocked": self.blocked,
            "verified": True,
            "id": self.id,
            "username": self.username,
            "fullName": self.full_name,
            "role": {"id": self.role, "name": self.role},
            "timeZone": self.time_zone,
            "locale": "en_US",
            "userAddress": {"country": "", "state": "", "city": "", "line": "", "zipCode": ""},
            "createdAt": iso(self.created_at),
        }


@dataclass(slots=True)
class Team:
    id: str
    name: str
    description: str = ""
    members: list[str] = field(default_factory=list)  # user ids; the first is the admin

    def meta(self) -> Json:
        return {"id": self.id, "name": self.name}

    def payload(self) -> Json:
        """The list item: it has no members (only GET /v2/teams/{id} has)."""
        links = {"web": f"{WEB}/teams/dashboard/{self.id}/main", "api": f"{API}/v2/teams/{self.id}"}
        return {**self.meta(), "description": self.description, "links": links}


@dataclass(frozen=True, slots=True)
class Participant:
    """Who takes a shift: a user, team or escalation, or "none" for an intended gap."""

    type: str
    id: str = ""
    name: str = ""

    def payload(self) -> Json:
        if self.type == "none":
            return {"type": "none"}
        return {"type": self.type, "id": self.id, "username" if self.type == "user" else "name": self.name}

    def recipient(self) -> Json:
        """As in timelines and on-calls; a user's name is the username."""
        return {"id": self.id, "name": self.name, "type": self.type}


@dataclass(slots=True)
class Rotation:
    """`length` shifts of `type` (hourly, daily, weekly), in the schedule's local time."""

    id: str
    name: str
    start: Nanos
    type: str
    participants: list[Participant]
    length: int = 1
    end: Nanos | None = None
    restriction: Json | None = None

    def payload(self) -> Json:
        body: Json = {
            "id": self.id,
            "name": self.name,
            "startDate": iso(self.start),
            "type": self.type,
            "length": self.length,
            "participants": [who.payload() for who in self.participants],
            "timeRestriction": self.restriction,
        }
        if self.end is not None:
            body["endDate"] = iso(self.end)
        return body


@dataclass(slots=True)
class Schedule:
    """`past`: the former rotations and until when; later changes do not affect a past timeline."""

    id: str
    name: str
    timezone: str
    team_id: str
    rotations: list[Rotation]
    description: str = ""
    enabled: bool = True
    past: list[tuple[Nanos, list[Rotation]]] = field(default_factory=list)

    def meta(self) -> Json:
        return {"id": self.id, "name": self.name, "enabled": self.enabled}


@dataclass(slots=True)
class Override:
    """`rotations`: ids of the rotations that it applies to; empty means all."""

    alias: str
    schedule_id: str
    user: Participant
    start: Nanos
    end: Nanos
    rotations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Forwarding:
    """All on-call shifts of a user go to another user for a while."""

    id: str
    from_user: Participant
    to_user: Participant
    start: Nanos
    end: Nanos


@dataclass(slots=True)
class Rule:
    condition: str
    notify_type: str
    delay_minutes: int
    recipient: Participant

    def payload(self) -> Json:
        return {
            "condition": self.condition,
            "notifyType": self.notify_type,
            "delay": {"timeAmount": self.delay_minutes, "timeUnit": "minutes"},
            "recipient": self.recipient.payload(),
        }


@dataclass(slots=True)
class Escalation:
    """`repeat` is omitted from the payload if it is not set."""

    id: str
    name: str
    team_id: str
    rules: list[Rule]
    description: str = ""
    repeat: Json | None = None
