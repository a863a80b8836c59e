"""A site in memory: its tokens, people, issues, alerts, services and on-call configuration."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.instants import Clock, Nanos, When, to_nanos
from sandbox.jsm.alerts import Alerts
from sandbox.jsm.catalogue import Catalogue
from sandbox.jsm.issues import Issues
from sandbox.jsm.model import Account, Issue, Service
from sandbox.jsm.switches import Switches
from sandbox.opsgenie import oncall
from sandbox.opsgenie.staff import Override, Participant, Schedule, Team
from sandbox.opsgenie.store import Store as Operations

CLOUD_ID = "5f3a9c1e-0d6b-4a57-9a43-2b7c1e8d4f60"
#: The default credential: an agent who is an administrator of Operations.
SYNC_EMAIL, SYNC_TOKEN = "dora.sync@example.com", "sandbox-jsm-token-0001"
SYNC_ACCOUNT = "712020:0d6b5f3a-4a57-4a43-9a1e-c1e8d4f602b7"

OPS_CONFIG, OPS_ALERT = "read:ops-config:jira-service-management", "read:ops-alert:jira-service-management"
JIRA_WORK, JIRA_USER = "read:jira-work", "read:jira-user"


@dataclass(slots=True, eq=False)
class Token:
    """An API token of an account, with its user's permissions.

    `scopes`: None for a token without scopes, which has all permissions of its user. `role`: in Operations,
    admin, member (of the teams that the account is in) or none. `projects`: keys of visible projects, None
    for all. `expires_at`: an instant; `expires_after`: a number of requests, to expire in mid-run.
    """

    name: str
    account_id: str
    scopes: frozenset[str] | None = None
    role: str = "admin"
    licensed: bool = True
    service_account: bool = False
    projects: tuple[str, ...] | None = None
    expires_at: Nanos | None = None
    expires_after: int | None = None

    def has(self, scope: str) -> bool:
        return self.scopes is None or scope in self.scopes


@dataclass
class Store:
    """`operations`: schedules, escalations and so on, in the OpsGenie stand-in's store, because Operations is
    OpsGenie's backend with renamed fields. Its users' ids are account ids. `plain_teams`: ids of teams
    without Operations.
    """

    site: str = "https://acme.atlassian.net"
    cloud_id: str = CLOUD_ID
    clock: Clock = field(default_factory=Clock)
    seed: int = 0
    switches: Switches = field(default_factory=Switches)
    tokens: dict[str, Token] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    catalogue: Catalogue = field(default_factory=Catalogue)
    plain_teams: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        # Another seed, so that no id of a team or schedule equals an account's.
        self.operations = Operations(clock=self.clock, seed=self.seed + 1_000_003)
        self.issues = Issues(self.clock, self.catalogue)
        self.alerts = Alerts(self.clock, self.rng)
        if not self.tokens:
            self.add_account("DORA Sync", SYNC_EMAIL, id=SYNC_ACCOUNT, time_zone="Asia/Kolkata")
            self.tokens[SYNC_TOKEN] = Token("sync", SYNC_ACCOUNT)

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    # Permissions of a token.

    def sees(self, token: Token, issue: Issue) -> bool:
        if token.name in issue.hidden_from:
            return False
        return token.projects is None or self.catalogue.projects[issue.project].key in token.projects

    def teams_of(self, token: Token) -> set[str]:
        """The teams whose configuration the token's user sees."""
        if not self.has_role(token):
            return set()
        teams = self.operations.teams.values()
        return {team.id for team in teams if token.role == "admin" or token.account_id in team.members}

    def sees_schedule(self, token: Token, schedule: Schedule) -> bool:
        """Whether the user is an administrator, in its team, or on call in it, also through an override."""
        if not self.has_role(token):
            return False
        if token.role == "admin" or schedule.team_id in self.teams_of(token):
            return True
        rules = self.operations.overrides
        named = [who for rotation in schedule.rotations for who in rotation.participants]
        named += [rule.user for rule in rules if rule.schedule_id == schedule.id]
        return any(
            token.account_id == who.id
            for participant in named
            for who in oncall.people(self.operations, participant)
        )

    def has_role(self, token: Token) -> bool:
        return token.role != "none" and token.licensed

    # Changes to people, services and on-call configuration.

    def add_account(self, name: str, email: str, **fields: Any) -> Account:
        """A new account, which can also be on call."""
        id_ = fields.pop("id", None) or f"712020:{self.new_id()}"
        made = self.accounts[id_] = Account(id_, name, email, **fields)
        self.operations.add_user(email, name, id=id_)
        return made

    def hide_email(self, id_: str, hidden: bool = True) -> Account:
        account = self.accounts[id_]
        account.hides_email = hidden
        return account

    def drop_account(self, id_: str) -> None:
        """Delete an account; timelines and changelogs keep its id."""
        del self.accounts[id_]
        del self.operations.users[id_]

    def add_team(self, name: str, members: Iterable[str] = (), **fields: Any) -> Team:
        """A new team with Operations. `members`: account ids."""
        return self.operations.add_team(name, [self.operations.users[id_] for id_ in members], **fields)

    def drop_team(self, id_: str) -> None:
        """Delete a team with its schedules and escalations; services and issues keep its id."""
        self.operations.drop_team(id_)

    def add_service(self, name: str, team_id: str = "", **fields: Any) -> Service:
        ari = fields.pop("ari", None) or f"ari:cloud:graph::service/{self.new_id()}/{self.new_id()}"
        made = self.services[ari] = Service(ari, name, team_id, **fields)
        return made

    def rename_service(self, ari: str, name: str) -> Service:
        self.services[ari].name = name
        return self.services[ari]

    def drop_service(self, ari: str) -> None:
        """Delete a service; issues keep its id."""
        del self.services[ari]

    def drop_rotation(self, schedule_id: str, rotation_id: str) -> None:
        """Delete a rotation from now on; its past stays in the timeline, marked as deleted."""
        kept = [
            rotation
            for rotation in self.operations.schedules[schedule_id].rotations
            if rotation.id != rotation_id
        ]
        self.operations.change_rotations(schedule_id, kept)

    def drop_schedule(self, id_: str) -> None:
        del self.operations.schedules[id_]

    def enable_schedule(self, id_: str, enabled: bool) -> None:
        self.operations.schedules[id_].enabled = enabled

    def add_override(
        self, schedule_id: str, account_id: str, start: When, end: When, rotations: Iterable[str] = ()
    ) -> Override:
        return self.operations.add_override(schedule_id, self.person(account_id), start, end, rotations)

    def drop_escalation(self, id_: str) -> None:
        del self.operations.escalations[id_]

    def person(self, account_id: str) -> Participant:
        """A user as rotations, overrides and escalations refer to it."""
        return Participant("user", account_id, self.accounts[account_id].email)

    def expire(self, secret: str, at: When | None = None, after: int | None = None) -> Token:
        """Let a token expire now, at an instant, or after a number of requests."""
        token = self.tokens[secret]
        if after is not None:
            token.expires_after = after
        else:
            token.expires_at = self.clock() if at is None else to_nanos(at)
        return token
