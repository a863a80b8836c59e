"""The objects of a PagerDuty account. Instants are nanoseconds (`sandbox.instants`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.instants import Nanos

Json = dict[str, Any]

#: (kind, id) of who made a change: a user, or the service itself.
Agent = tuple[str, str]

STATUSES = ("triggered", "acknowledged", "resolved")
URGENCIES = ("low", "high")

#: Log entries left out with is_overview=true: "only the most important changes to the incident".
#: Which entries these are is not documented; entries that change the status always stay.
MINOR_ENTRIES = frozenset(
    {
        "assign",
        "notify",
        "reach_ack_limit",
        "reach_trigger_limit",
        "repeat_escalation_path",
        "exhaust_escalation_path",
    }
)


@dataclass(slots=True)
class User:
    id: str
    name: str
    email: str
    time_zone: str = "UTC"
    role: str = "user"
    team_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Team:
    id: str
    name: str
    description: str | None = None


@dataclass(slots=True)
class Policy:
    """An escalation policy: one rule per user, in order."""

    id: str
    name: str
    user_ids: list[str]
    team_ids: list[str] = field(default_factory=list)
    delay_minutes: int = 30
    num_loops: int = 0


@dataclass(slots=True)
class Service:
    """`status`: None to derive it from the open incidents (active, warning, critical)."""

    id: str
    name: str
    policy_id: str
    team_ids: list[str]
    created_at: Nanos
    description: str | None = None
    status: str | None = None
    auto_resolve_timeout: int | None = 14_400
    acknowledgement_timeout: int | None = 1_800


@dataclass(slots=True)
class Priority:
    """Names are the account's own; the list is ordered, most severe first."""

    id: str
    name: str
    description: str | None = None
    color: str = "eeeeee"


@dataclass(slots=True)
class Note:
    """`user`: None if the service named `bot` wrote it (a bot_user_reference)."""

    id: str
    content: str
    at: Nanos
    updated_at: Nanos
    user: str | None = None
    bot: str | None = None


@dataclass(slots=True)
class Alert:
    """`details`: an object or a string."""

    id: str
    key: str
    summary: str
    created_at: Nanos
    resolved_at: Nanos | None = None
    severity: str = "critical"
    details: Json | str = ""


@dataclass(slots=True, eq=False)
class LogEntry:
    """`type` without its suffix `_log_entry`; `user`: whom a notify entry notified."""

    id: str
    type: str
    at: Nanos
    incident_id: str
    agent: Agent
    channel: str
    text: str = ""
    user: str | None = None
    note: str | None = None


@dataclass(slots=True, eq=False)
class Incident:
    """`nulls`: fields answered with null ("any non-required field can be null", 06-Types).

    `assigned` and `acks` are kept when it is resolved, but only shown where the API shows them.
    """

    id: str
    number: int
    title: str
    service_id: str
    policy_id: str
    team_ids: list[str]
    created_at: Nanos
    updated_at: Nanos
    changed_at: Nanos
    changed_by: Agent
    status: str = "triggered"
    urgency: str = "high"
    priority_id: str | None = None
    key: str | None = None
    body: str = ""
    resolved_at: Nanos | None = None
    merged_into: str | None = None
    assigned: list[tuple[Nanos, str]] = field(default_factory=list)
    acks: list[tuple[Nanos, Agent]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    entries: list[LogEntry] = field(default_factory=list)
    nulls: frozenset[str] = frozenset()
