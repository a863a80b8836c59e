"""A PagerDuty account in memory: its keys, abilities, catalogue and incidents."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sandbox.instants import Clock, When, to_nanos
from sandbox.pagerduty.incidents import Incidents
from sandbox.pagerduty.model import Policy, Priority, Service, Team, User

#: The default keys, 20 characters like the service's own: a read-only and a full-access key of the account,
#: and a user's key (in a seeded account).
READ_KEY = "sandbox-pd-read-0001"
FULL_KEY = "sandbox-pd-full-0002"
USER_KEY = "sandbox-pd-user-0003"

#: The account's abilities (GET /abilities), including every ability that a read here requires.
ABILITIES = ("teams", "urgencies", "priorities", "read_only_users", "service_support_hours")


class _Named(Protocol):
    id: str
    name: str


Item = TypeVar("Item", bound=_Named)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key. `user`: the id of the user it belongs to; None for the account's ("general access") key."""

    name: str
    read_only: bool = True
    user: str | None = None
    region: str = "us"


@dataclass
class Store:
    """`time_zone`: the account's, which applies to since and until without an offset. `region`: other
    regions' keys are unknown.

    These are settings, because it is not known what the service does:

    - `error_style`: `errors` as a list, a map, or `error` as a string (list, map, string)
    - `bare_429`: a 429 comes without headers and body (04-Rate-Limits says it may)
    - `long_range`: answer to more than 6 months: error (400, grafana-pagerduty#19) or empty (DevLake)
    - `until_inclusive`: whether an incident created at `until` is listed (developer-docs#74 is open)
    - `log_digits`: fraction digits of log entries' times ("...06.000000Z" in DevLake's fixtures)
    """

    name: str = "acme"
    region: str = "us"
    time_zone: str = "America/New_York"
    clock: Clock = field(default_factory=Clock)
    seed: int = 0
    error_style: str = "list"
    bare_429: bool = False
    long_range: str = "error"
    until_inclusive: bool = False
    log_digits: int = 0
    abilities: list[str] = field(default_factory=lambda: list(ABILITIES))
    keys: dict[str, Key] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    priorities: dict[str, Priority] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.incidents = Incidents(self.clock, self.rng, self.services)
        if not self.keys:
            self.keys[READ_KEY] = Key("read")
            self.keys[FULL_KEY] = Key("full", read_only=False)

    def new_id(self) -> str:
        return self.incidents.new_id("P", 7)

    def kinds(self) -> dict[str, dict[str, Any]]:
        """Type of a reference -> the objects it can refer to, by id."""
        return {
            "user": self.users,
            "team": self.teams,
            "service": self.services,
            "escalation_policy": self.policies,
            "priority": self.priorities,
        }

    def add_user(self, email: str, name: str, **fields: Any) -> User:
        return self._put(self.users, User(fields.pop("id", None) or self.new_id(), name, email, **fields))

    def add_team(self, name: str, members: Iterable[User] = (), **fields: Any) -> Team:
        made = self._put(self.teams, Team(fields.pop("id", None) or self.new_id(), name, **fields))
        for user in members:
            user.team_ids.append(made.id)
        return made

    def add_policy(self, name: str, users: Iterable[User], team: Team | None = None, **fields: Any) -> Policy:
        teams = [team.id] if team else []
        id_ = fields.pop("id", None) or self.new_id()
        return self._put(self.policies, Policy(id_, name, [user.id for user in users], teams, **fields))

    def add_service(
        self, name: str, policy: Policy, created_at: When = "2020-01-01T00:00:00Z", **fields: Any
    ) -> Service:
        id_ = fields.pop("id", None) or self.new_id()
        teams = fields.pop("team_ids", list(policy.team_ids))
        made = Service(id_, name, policy.id, teams, to_nanos(created_at), **fields)
        return self._put(self.services, made)

    def add_priority(self, name: str, **fields: Any) -> Priority:
        """A new priority, less severe than those before."""
        return self._put(self.priorities, Priority(fields.pop("id", None) or self.new_id(), name, **fields))

    def drop(self, kind: str, id_: str) -> None:
        """Delete a user, team, service, escalation_policy or priority. References to it stay.

        They keep the summary, but self and html_url are null (11-References).
        """
        self.gone[id_] = self.kinds()[kind].pop(id_).name

    def _put(self, kind: dict[str, Item], item: Item) -> Item:
        kind[item.id] = item
        return item
