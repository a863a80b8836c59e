"""Generates 100 days of the fictional company: deployments, and outages, some of them caused by one.

It is independent of any service: each stand-in converts the same world to its own service's objects. The same
seed and end give the same world.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field

from sandbox import company
from sandbox.cases import CASES
from sandbox.instants import (
    DAY,
    HOUR,
    MINUTE,
    MS,
    SECOND,
    Clock,
    Nanos,
    When,
    to_datetime,
    to_nanos,
)

_OUTAGE_INSTANTS = (
    "opened_at", "acked_at", "resolved_at", "closed_at", "reopened_at", "impact_start", "impact_end",
)  # fmt: skip
PRIORITIES = ("P1", "P2", "P3", "P4", "P5")


@dataclass(slots=True)
class Deployment:
    """`history`: (state, instant) in order; a success makes the previous deployment there inactive."""

    id: int
    service: str
    environment: str
    sha: str
    pr_number: int
    pr_title: str
    triggered_at: Nanos
    history: list[tuple[str, Nanos]] = field(default_factory=list)
    is_rollback: bool = False

    @property
    def repository(self) -> str:
        return f"{company.OWNER}/{company.REPOSITORIES.get(self.service, self.service)}"

    @property
    def status(self) -> str:
        return self.history[-1][0] if self.history else "pending"

    @property
    def ever_succeeded(self) -> bool:
        return any(state == "success" for state, _ in self.history)

    @property
    def finished_at(self) -> Nanos | None:
        return next((at for state, at in self.history if state in ("success", "failure")), None)


@dataclass(slots=True)
class Outage:
    """An outage, independent of the service that records it. An instant is None if it did not happen (yet).

    `reopened_at` is after `resolved_at` and leaves the outage open. `impact_start` and `impact_end` were
    entered manually afterwards. `chatter`: number of extra timeline entries. `cause`: id of a deployment.
    """

    id: str
    title: str
    services: list[str]
    teams: list[str]
    priority: str
    opened_at: Nanos
    acked_at: Nanos | None = None
    resolved_at: Nanos | None = None
    closed_at: Nanos | None = None
    reopened_at: Nanos | None = None
    impact_start: Nanos | None = None
    impact_end: Nanos | None = None
    people: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    chatter: int = 0
    cause: int | None = None

    @property
    def status(self) -> str:
        if self.closed_at is not None:
            return "closed"
        return "resolved" if self.resolved_at is not None and self.reopened_at is None else "open"


@dataclass
class World:
    """`moved_by`: by how much everything was shifted after it was generated (weekends were not moved)."""

    seed: int
    start: Nanos
    end: Nanos
    deployments: list[Deployment]
    outages: list[Outage]
    moved_by: Nanos = 0


def build_world(seed: int = 7, end: When | None = None, days: int = 100, *, moved_by: Nanos = 0) -> World:
    """The `days` before `end` (default: now). Deterministic in all four."""
    finish = Clock()() if end is None else to_nanos(end)
    world = _Builder(seed, finish - moved_by, days).build()
    for deployment in world.deployments:
        deployment.triggered_at += moved_by
        deployment.history = [(state, at + moved_by) for state, at in deployment.history]
    for outage in world.outages:
        for name in _OUTAGE_INSTANTS:
            at = getattr(outage, name)
            setattr(outage, name, None if at is None else at + moved_by)
    return World(seed, finish - days * DAY, finish, world.deployments, world.outages, moved_by)


def more_outages(world: World, nth: int = 1) -> list[Outage]:
    """Other outages of the same company in the same period, for the `nth` other account."""
    builder = _Builder(world.seed + nth, world.end, round((world.end - world.start) / DAY))
    made = builder.outages(world.deployments)
    builder.apply_cases(made)
    return made


class _Builder:
    def __init__(self, seed: int, end: Nanos, days: int) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.end = end
        self.start = end - days * DAY
        self.days = days
        self.teams = {name: team for team, names in company.SERVICES.items() for name in names}

    def build(self) -> World:
        deployments = self.deployments()
        outages = self.outages(deployments)
        self.apply_cases(outages)
        return World(self.seed, self.start, self.end, deployments, outages)

    def deployments(self) -> list[Deployment]:
        made: list[Deployment] = []
        for service in self.teams:
            pull = self.rng.randrange(100, 900)
            pace = self.rng.uniform(0.6, 2.2)
            for day in range(self.days + 1):
                midnight = self.start // DAY * DAY + day * DAY
                weekend = to_datetime(midnight).weekday() >= 5
                count = int(self.rng.expovariate(1 / pace) * (0.1 if weekend else 1) + 0.5)
                for at in sorted(self.rng.randrange(8 * 60, 18 * 60) for _ in range(min(count, 5))):
                    pull += self.rng.randrange(1, 4)
                    made += self._release(
                        service, pull, midnight + at * MINUTE + self.rng.randrange(60) * SECOND
                    )
        made += self._rollbacks(made)
        made = [
            deployment
            for deployment in made
            if self.start <= deployment.triggered_at and deployment.triggered_at <= self.end
        ]
        made.sort(
            key=lambda deployment: (deployment.triggered_at, deployment.service, deployment.environment)
        )
        live: dict[tuple[str, str], Deployment] = {}
        for number, deployment in enumerate(made, start=1):
            deployment.id = 900_000 + number
            deployment.history = [(state, at) for state, at in deployment.history if at <= self.end]
            if deployment.ever_succeeded and deployment.finished_at is not None:
                before = live.get((deployment.service, deployment.environment))
                if before is not None:
                    before.history.append(("inactive", deployment.finished_at))
                live[deployment.service, deployment.environment] = deployment
        return made

    def _rollbacks(self, made: list[Deployment]) -> list[Deployment]:
        """Rollbacks: the previous release is deployed again some minutes after a release. One per team."""
        rng = random.Random(self.seed)  # separate, so that the other data do not depend on it
        rollbacks = []
        for services in company.SERVICES.values():
            live = [
                deployment
                for deployment in made
                if deployment.service == services[0]
                and deployment.environment == "production"
                and deployment.ever_succeeded
            ]
            if len(live) < 2:
                continue
            place = rng.randrange(1, len(live))
            good, begin = live[place - 1], live[place].triggered_at + rng.randrange(20, 50) * MINUTE
            history = [
                ("queued", begin),
                ("in_progress", begin + 4 * SECOND),
                ("success", begin + 95 * SECOND),
            ]
            rollbacks.append(
                Deployment(
                    0, good.service, "production", good.sha, good.pr_number, good.pr_title, begin, history,
                    is_rollback=True,
                )
            )  # fmt: skip
        return rollbacks

    def _release(self, service: str, pull: int, at: Nanos) -> list[Deployment]:
        """A change is deployed to staging, then to production; sometimes a deployment fails."""
        sha = f"{self.rng.getrandbits(160):040x}"
        title = self.rng.choice(company.CHANGES)
        made = []
        for environment, begin in (("staging", at - self.rng.randrange(20, 70) * MINUTE), ("production", at)):
            took = self.rng.randrange(90, 900) * SECOND
            state = "failure" if self.rng.random() < 0.06 else "success"
            history = [("queued", begin), ("in_progress", begin + 5 * SECOND), (state, begin + took)]
            made.append(Deployment(0, service, environment, sha, pull, title, begin, history))
            if state == "failure":
                break
        return made

    def outages(self, deployments: list[Deployment]) -> list[Outage]:
        """Outages minutes to hours after a deployment, and outages independent of any."""
        eligible = [
            deployment
            for deployment in deployments
            if deployment.environment == "production"
            and deployment.ever_succeeded
            and not deployment.is_rollback
        ]
        made = []
        for deployment in eligible:
            if self.rng.random() < 0.07:
                at = deployment.triggered_at + self.rng.randrange(3, 200) * MINUTE
                made.append(self._outage(deployment.service, at, deployment.id))
        for _ in range(int(self.days * 0.8)):
            made.append(
                self._outage(self.rng.choice(list(self.teams)), self.rng.randrange(self.start, self.end))
            )
        # In any case, the first day has an outage, the last day has some, and two are ongoing.
        for hours in (self.days * 24 - 2, 23, 11, 5, 1.5, 0.3):
            made.append(self._outage(self.rng.choice(list(self.teams)), self.end - int(hours * HOUR)))
        for ongoing in made[-2:]:
            ongoing.resolved_at = ongoing.closed_at = None
        return sorted(
            (outage for outage in made if outage.opened_at < self.end), key=lambda outage: outage.opened_at
        )

    def _digits(self, at: Nanos) -> Nanos:
        """0 to 3 fraction digits, as the service prints them; rarely more."""
        unit = self.rng.choices((SECOND, 100 * MS, 10 * MS, MS, 1), (2, 2, 3, 12, 0.4))[0]
        return at // SECOND * SECOND + self.rng.randrange(SECOND // unit) * unit

    def _past(self, at: Nanos) -> Nanos | None:
        exact = self._digits(at)
        return exact if exact <= self.end else None

    def _outage(self, service: str, opened: Nanos, cause: int | None = None) -> Outage:
        rng = self.rng
        opened = self._digits(opened)
        team = self.teams[service]
        made = Outage(
            id=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            title=rng.choice(company.TITLES).format(service=service),
            services=[service],
            teams=[team],
            priority=rng.choices(PRIORITIES, (8, 22, 45, 18, 7))[0],
            opened_at=opened,
            tags=rng.sample(
                ["customer-facing", "database", "network", "capacity", "third-party"], rng.randrange(3)
            ),
            details={
                "region": rng.choice(["eu-central-1", "us-east-1"]),
                "monitor": f"m-{rng.randrange(1000)}",
            },
            chatter=rng.choices((0, 1, 3), (5, 3, 1))[0],
            cause=cause,
        )
        if rng.random() < 0.3:
            made.people = [rng.choice(company.PEOPLE[team])[0]]
        made.acked_at = self._past(opened + rng.randrange(1, 25) * MINUTE) if rng.random() < 0.85 else None
        # Most are over within the hour, some take a day: a long-tailed time to recover.
        resolved = opened + int(min(rng.lognormvariate(3.7, 1.0), 2800) * MINUTE)
        made.resolved_at = self._past(max(resolved, (made.acked_at or opened) + MINUTE))
        if made.resolved_at is not None and rng.random() < 0.6:
            made.closed_at = self._past(made.resolved_at + rng.randrange(1, 2880) * MINUTE)
        return made

    def apply_cases(self, outages: list[Outage]) -> None:
        """Turn random past outages into the special cases of `sandbox.cases`."""
        settled = [
            outage
            for outage in outages
            if outage.closed_at is not None and outage.opened_at < self.end - 2 * DAY
        ]
        chosen = self.rng.sample(settled, min(len(settled), sum(count for _, count in CASES)))
        for case, count in CASES:
            for _ in range(count):
                if chosen:
                    case(chosen.pop())
        if settled:
            settled[0].opened_at += 123_456_789  # nine digits
        rest = [outage for outage in outages if outage.services]
        for title, outage in zip(company.ODD_TITLES, self.rng.sample(rest, min(len(rest), 5)), strict=False):
            outage.title = title.format(service=outage.services[0])
