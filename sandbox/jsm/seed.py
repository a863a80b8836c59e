"""Fills a Jira Service Management site with the fictional company's data, or bulk data for benchmarks."""

from __future__ import annotations

import random

from sandbox import company
from sandbox.instants import DAY, HOUR, MINUTE, Clock, Nanos, When, iso, to_nanos
from sandbox.jsm.catalogue import IMPACT_END, IMPACT_START, SEVERITY
from sandbox.jsm.model import Account, Issue
from sandbox.jsm.store import Store
from sandbox.opsgenie.rotas import add_on_call
from sandbox.opsgenie.store import escalation
from sandbox.world import PRIORITIES, Outage, World, build_world, more_outages

#: P1 to P5 -> Jira's default names.
_PRIORITY = dict(zip(PRIORITIES, ("Highest", "High", "Medium", "Low", "Lowest"), strict=True))


def load(world: World, store: Store | None = None) -> Store:
    """A site of the same company: its people, teams, services and on-call schedules, with its own incidents.

    They differ from those of OpsGenie's stand-in, so that both can be synced as two accounts.
    """
    store = store or Store(seed=world.seed)
    seeder = _Seeder(store, world)
    seeder.catalogue()
    seeder.on_call()
    outages = more_outages(world)
    issues = [seeder.issue(outage) for outage in outages]
    seeder.oddities(issues)
    for outage in outages:
        seeder.alert(outage)
    # Removed last: its incidents still refer to it.
    store.drop_service(seeder.service_ids[company.DELETED_SERVICE[1]])
    store.issues.settle()
    return store


class _Seeder:
    def __init__(self, store: Store, world: World) -> None:
        self.store = store
        self.world = world
        self.rng = random.Random(world.seed)
        self.people: dict[str, Account] = {}
        self.service_ids: dict[str, str] = {}
        self.team_ids: dict[str, str] = {}

    def catalogue(self) -> None:
        for team, people in company.PEOPLE.items():
            accounts = [self._account(*person) for person in people]
            made = self.store.add_team(team, [account.id for account in accounts])
            self.team_ids[team] = made.id
            for name in company.SERVICES[team]:
                self._service(name, made.id)
        owner, gone = company.DELETED_SERVICE
        self._service(gone, self.team_ids[owner])
        self.store.operations.add_team("Office", id=self.store.new_id())
        self.store.plain_teams.add(list(self.store.operations.teams)[-1])

    def _account(self, name: str, zone: str) -> Account:
        """Every fourth account hides its e-mail; every third has an id without a colon, the older format."""
        number = len(self.people)
        id_ = f"{self.rng.getrandbits(96):024x}" if number % 3 == 2 else None
        made = self.store.add_account(
            name, company.username(name), time_zone=zone, id=id_, hides_email=number % 4 == 3
        )
        self.people[name] = made
        return made

    def _service(self, name: str, team_id: str) -> None:
        made = self.store.add_service(name, team_id, description=f"The {name} service")
        self.service_ids[name] = made.ari

    def on_call(self) -> None:
        """The company's schedules, a schedule without a team, and a recently deleted rotation."""
        operations, end = self.store.operations, self.world.end
        add_on_call(operations, self.world.start, end)
        schedules = {schedule.name: schedule for schedule in operations.schedules.values()}
        platform = schedules["Platform_schedule"]
        platform.past.append((end - 5 * DAY, list(platform.rotations)))
        platform.rotations = [
            rotation for rotation in platform.rotations if rotation.name != "Migration watch"
        ]
        policies = [escalation(policy) for policy in operations.escalations.values()]
        rotation = operations.rotation("Weeks", self.world.start // DAY * DAY, "weekly", policies)
        team = next(iter(operations.teams.values()))
        operations.add_schedule(
            "Everybody", "Etc/UTC", team, [rotation], description="Of no team"
        ).team_id = ""

    def issue(self, outage: Outage) -> Issue:
        impact = {IMPACT_START: outage.impact_start, IMPACT_END: outage.impact_end}
        custom: dict[str, object] = {id_: iso(at) for id_, at in impact.items() if at is not None}
        made = self.store.issues.add(
            outage.title,
            outage.opened_at,
            priority=_PRIORITY[outage.priority],
            description=f"{outage.title}\nRunbook: https://runbooks.example.com/{outage.id[:8]}",
            labels=list(outage.tags),
            services=[self.service_ids[name] for name in outage.services],
            responders=[
                *(("team", self.team_ids[name]) for name in outage.teams),
                *(("user", self.people[name].id) for name in outage.people),
            ],
            reporter=self._voice(outage),
            major=outage.priority == "P1",
            custom={
                **custom,
                SEVERITY: {"id": f"1010{outage.priority[1]}", "value": f"SEV-{outage.priority[1]}"},
            },
        )
        self._life(made, outage)
        return made

    def _voice(self, outage: Outage) -> str:
        team = outage.teams[0] if outage.teams else next(iter(company.PEOPLE))
        return self.people[company.PEOPLE[team][0][0]].id

    def _life(self, made: Issue, outage: Outage) -> None:
        issues, by = self.store.issues, self._voice(outage)
        if outage.acked_at is not None:
            issues.acknowledge(made.id, outage.acked_at, by)
        until = outage.resolved_at or outage.closed_at or outage.opened_at + HOUR
        for number in range(outage.chatter):
            at = outage.opened_at + (until - outage.opened_at) * (number + 1) // (outage.chatter + 1)
            line = {"field": "Comment", "to": str(number), "toString": f"Update {number + 1}: still looking"}
            issues.add_history(made.id, [line], at, None if number % 2 else by)
        if outage.resolved_at is not None:
            issues.resolve(made.id, outage.resolved_at, by)
        if outage.reopened_at is not None:
            issues.reopen(made.id, outage.reopened_at, by)
        if outage.closed_at is not None:
            issues.close(made.id, outage.closed_at, by)

    def oddities(self, made: list[Issue]) -> None:
        """A moved issue, a cancelled issue, a workflow without resolutions, a renamed status."""
        issues, catalogue = self.store.issues, self.store.catalogue
        old = [issue for issue in made if issue.updated < self.world.end - 2 * DAY and issue.resolution]
        chosen = self.rng.sample(old, min(4, len(old)))
        for issue, odd in zip(
            chosen, (self._moved, self._cancelled, self._unresolved, self._pending), strict=False
        ):
            odd(issue.id, issue.updated + HOUR)
        catalogue.rename_status("Pending", "Waiting for a supplier")
        for number in range(3):
            issues.add(f"New laptop {number + 1}", self.world.end - (number + 2) * DAY, issue_type="Task")

    def _moved(self, id_: str, at: Nanos) -> None:
        self.store.issues.move(id_, "OPS", at)

    def _cancelled(self, id_: str, at: Nanos) -> None:
        self.store.issues.reopen(id_, at)
        self.store.issues.transition(id_, "Canceled", at + 20 * MINUTE)

    def _unresolved(self, id_: str, at: Nanos) -> None:
        """Completed by a workflow that sets no resolution."""
        self.store.issues.reopen(id_, at)
        self.store.issues.resolve(id_, at + 20 * MINUTE, resolution=None)

    def _pending(self, id_: str, at: Nanos) -> None:
        self.store.issues.transition(id_, "Pending", at)
        self.store.issues.resolve(id_, at + HOUR)

    def alert(self, outage: Outage) -> None:
        details = {**outage.details, **({"service": outage.services[0]} if outage.services else {})}
        alerts = self.store.alerts
        made = alerts.add(
            outage.title[:130],
            outage.opened_at,
            priority=outage.priority,
            description=f"Monitor {outage.details.get('monitor', '')}",
            source="monitoring",
            tags=list(outage.tags),
            details=details,
            responders=[("team", self.team_ids[name]) for name in outage.teams],
        )
        name = self.store.accounts[self._voice(outage)].name
        if outage.acked_at is not None:
            alerts.acknowledge(made.id, outage.acked_at, name)
        over = outage.closed_at or outage.resolved_at
        if over is not None and outage.reopened_at is None:
            alerts.close(made.id, over, name)


def bulk(
    count: int = 25_000, days: int = 90, *, seed: int = 7, end: When | None = None, long_every: int = 0
) -> Store:
    """A site with `count` incidents spread evenly over `days`, for benchmarks.

    Every `long_every`th issue has more changelog entries than a list shows.
    """
    finish = Clock()() if end is None else to_nanos(end)
    store = Store(seed=seed)
    world = build_world(seed, finish, days=1)
    seeder = _Seeder(store, world)
    seeder.catalogue()
    add_on_call(store.operations, world.start, world.end)
    step, first = days * DAY // max(1, count), finish - days * DAY
    rng = random.Random(seed)
    services = list(store.services.values())
    for number in range(count):
        service = services[number % len(services)]
        at = first + number * step
        made = store.issues.add(
            f"Incident {number}: elevated error rate",
            at,
            priority=list(_PRIORITY.values())[number % 5],
            description="Automatic check failed five times in a row on three hosts. " * 3,
            labels=["bulk", f"shard-{number % 16}"],
            services=[service.ari],
            responders=[("team", service.team_id)],
        )
        _settle(store, made, number, at, at + int(rng.expovariate(1 / 45) * MINUTE) + MINUTE, finish)
        for line in range(60 if long_every and number % long_every == 0 else 0):
            store.issues.add_history(made.id, [{"field": "Comment", "toString": f"Line {line}"}], at)
    store.issues.settle()
    return store


def _settle(store: Store, made: Issue, number: int, at: Nanos, over: Nanos, finish: Nanos) -> None:
    if over > finish:
        return
    store.issues.acknowledge(made.id, at + (over - at) // 3)
    store.issues.resolve(made.id, over)
    if number % 2:
        store.issues.close(made.id, over)
