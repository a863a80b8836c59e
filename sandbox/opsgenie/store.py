"""An OpsGenie account in memory: its keys, plan, catalogue, on-call configuration and incidents."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sandbox.instants import Clock, When, to_nanos
from sandbox.opsgenie.alerts import Alert, Alerts
from sandbox.opsgenie.incidents import Incidents
from sandbox.opsgenie.matching import Names
from sandbox.opsgenie.model import Incident, Service
from sandbox.opsgenie.requests import Requests
from sandbox.opsgenie.staff import (
    Escalation,
    Forwarding,
    Override,
    Participant,
    Rotation,
    Rule,
    Schedule,
    Team,
    User,
)

READ, WRITE, DELETE, CONFIG = "read", "write", "delete", "config"
ALL_RIGHTS = frozenset({READ, WRITE, DELETE, CONFIG})

#: The default keys. They are UUIDs because the service rejects any other format before looking a key up.
SYNC_KEY = "00000000-0000-4000-8000-000000000001"
IMPORT_KEY = "00000000-0000-4000-8000-000000000002"


class _Identified(Protocol):
    id: str


Item = TypeVar("Item", bound=_Identified)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key. `team`: the id of the team it belongs to; None for an account-wide key."""

    name: str
    rights: frozenset[str] = ALL_RIGHTS
    team: str | None = None
    region: str = "us"


@dataclass
class Store:
    """`plan`: Free and Essentials have no incidents and services; `plan_refusal`: their answer, 402 or 403.
    `counts_alerts`: an endpoint counts alerts. `region`: other regions' keys are unknown.

    `paging_base` overrides the host in paging links. `trailing_offset`: the last timeline page has a
    nextOffset, too, followed by an empty page (it is not known which of both the service does).
    """

    name: str = "Acme"
    plan: str = "Enterprise"
    plan_refusal: int = 402
    counts_alerts: bool = True
    region: str = "us"
    clock: Clock = field(default_factory=Clock)
    seed: int = 0
    paging_base: str = ""
    trailing_offset: bool = False
    keys: dict[str, Key] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    escalations: dict[str, Escalation] = field(default_factory=dict)
    overrides: list[Override] = field(default_factory=list)
    forwardings: list[Forwarding] = field(default_factory=list)
    pages: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.incidents = Incidents(self.clock, self.rng, self._names)
        self.alerts = Alerts(self.clock, self.rng)
        self.requests = Requests(self.clock)
        if not self.keys:
            self.keys[SYNC_KEY] = Key("sync", frozenset({READ, CONFIG}))
            self.keys[IMPORT_KEY] = Key("import")

    def new_id(self) -> str:
        return self.incidents.new_id()

    # Permissions of a key.

    def sees(self, key: Key, incident: Incident) -> bool:
        """A team's key sees an incident where the team responds or owns an impacted service."""
        if key.team is None:
            return True
        if any(who["type"] == "team" and who["id"] == key.team for who in incident.responders):
            return True
        owned = (self.services.get(id_) for id_ in incident.services)
        return any(service is not None and service.team_id == key.team for service in owned)

    def sees_alert(self, key: Key, alert: Alert) -> bool:
        """A team's key sees the alerts that the team responds to."""
        return key.team is None or {"type": "team", "id": key.team} in alert.responders

    def owns(self, key: Key, team_id: str) -> bool:
        """A team's key sees its own team's configuration only."""
        return key.team is None or key.team == team_id

    # Changes to the catalogue.

    def add_user(self, username: str, full_name: str, **fields: Any) -> User:
        return self._put(
            self.users, User(fields.pop("id", None) or self.new_id(), username, full_name, **fields)
        )

    def add_team(self, name: str, members: Iterable[User] = (), **fields: Any) -> Team:
        ids = [user.id for user in members]
        return self._put(
            self.teams, Team(fields.pop("id", None) or self.new_id(), name, members=ids, **fields)
        )

    def add_service(self, name: str, team: Team, **fields: Any) -> Service:
        return self._put(
            self.services, Service(fields.pop("id", None) or self.new_id(), name, team.id, **fields)
        )

    def add_schedule(
        self, name: str, timezone: str, team: Team, rotations: list[Rotation], **fields: Any
    ) -> Schedule:
        id_ = fields.pop("id", None) or self.new_id()
        return self._put(self.schedules, Schedule(id_, name, timezone, team.id, rotations, **fields))

    def rotation(
        self, name: str, start: When, type: str, participants: list[Participant], **fields: Any
    ) -> Rotation:
        """A rotation for `add_schedule` or `change_rotations`."""
        id_ = fields.pop("id", None) or self.new_id()
        return Rotation(id_, name, to_nanos(start), type, participants, **fields)

    def change_rotations(self, schedule_id: str, rotations: list[Rotation]) -> None:
        """Replace the rotations from now on; the timeline's past does not change."""
        schedule = self.schedules[schedule_id]
        schedule.past.append((self.clock(), schedule.rotations))
        schedule.rotations = rotations

    def add_escalation(self, name: str, team: Team, rules: list[Rule], **fields: Any) -> Escalation:
        id_ = fields.pop("id", None) or self.new_id()
        return self._put(self.escalations, Escalation(id_, name, team.id, rules, **fields))

    def add_override(
        self, schedule_id: str, user: Participant, start: When, end: When, rotations: Iterable[str] = ()
    ) -> Override:
        made = Override(self.new_id(), schedule_id, user, to_nanos(start), to_nanos(end), list(rotations))
        self.overrides.append(made)
        return made

    def drop_override(self, alias: str) -> None:
        self.overrides = [override for override in self.overrides if override.alias != alias]

    def add_forwarding(
        self, from_user: Participant, to_user: Participant, start: When, end: When
    ) -> Forwarding:
        made = Forwarding(self.new_id(), from_user, to_user, to_nanos(start), to_nanos(end))
        self.forwardings.append(made)
        return made

    def drop_service(self, id_: str) -> None:
        """Delete a service; incidents keep its id in impactedServices."""
        del self.services[id_]
        self.incidents.forget_results()

    def drop_team(self, id_: str) -> None:
        """Delete a team with its services, schedules and escalations; incidents keep its id as responder."""
        del self.teams[id_]
        self.services = {key: value for key, value in self.services.items() if value.team_id != id_}
        self.schedules = {key: value for key, value in self.schedules.items() if value.team_id != id_}
        self.escalations = {key: value for key, value in self.escalations.items() if value.team_id != id_}
        self.incidents.forget_results()

    def page(self, incident: Incident, reason: str, detail: Any) -> None:
        """Record a notification that the service would have sent to people."""
        self.pages.append({"incidentId": incident.id, "reason": reason, "detail": detail})

    def _names(self) -> Names:
        return Names(
            {service.id: service.name for service in self.services.values()},
            {team.id: team.name for team in self.teams.values()},
        )

    def _put(self, kind: dict[str, Item], item: Item) -> Item:
        kind[item.id] = item
        self.incidents.forget_results()
        return item


def user(of: User) -> Participant:
    return Participant("user", of.id, of.username)


def team(of: Team) -> Participant:
    return Participant("team", of.id, of.name)


def escalation(of: Escalation) -> Participant:
    return Participant("escalation", of.id, of.name)


NOBODY = Participant("none")
