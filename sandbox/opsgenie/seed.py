"""Fills an OpsGenie account with the world's data, or with bulk data for benchmarks."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta

from sandbox import company
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
from sandbox.opsgenie.incidents import ENTRY_DELAY
from sandbox.opsgenie.model import Entry, Incident, Note
from sandbox.opsgenie.rotas import add_on_call
from sandbox.opsgenie.store import Store
from sandbox.world import Outage, World, build_world


def load(world: World, store: Store | None = None) -> Store:
    """An account that holds the world's people, services, on-call configuration and incidents."""
    store = store or Store(seed=world.seed)
    _add_catalogue(store, world)
    add_on_call(store, world.start, world.end)
    service_ids = {service.name: service.id for service in store.services.values()}
    made = [
        _incident(store, outage, str(number), service_ids)
        for number, outage in enumerate(world.outages, start=1)
    ]
    store.incidents.add_many(made)
    # Removed last: its incidents still contain its id.
    store.drop_service(service_ids[company.DELETED_SERVICE[1]])
    return store


def load_alerts(world: World, store: Store | None = None) -> Store:
    """An account of a plan without incidents: an alert for each of the world's outages, and noise."""
    store = store or Store(name="Acme Essentials", plan="Essentials", seed=world.seed)
    _add_catalogue(store, world)
    add_on_call(store, world.start, world.end)
    rng = random.Random(world.seed)
    made = []
    for number, outage in enumerate(world.outages, start=1):
        service = outage.services[0] if outage.services else ""
        ended = outage.closed_at or (None if outage.reopened_at else outage.resolved_at)
        # Where an alert names its service: in details, in a tag, in its entity, or nowhere.
        place = number % 4
        made.append(
            store.alerts.make(
                outage.title,
                outage.opened_at // MS * MS,
                tiny_id=str(number),
                priority=outage.priority,
                status="closed" if ended else "open",
                updated_at=max(outage.opened_at, outage.acked_at or 0, ended or 0),
                acked_at=outage.acked_at,
                closed_at=ended,
                count=rng.choice((1, 1, 1, 4, 25)),
                tags=[*outage.tags, *([f"service:{service}"] if place == 1 and service else [])],
                details=dict(outage.details) | ({"service": service} if place == 0 else {}),
                entity=service if place == 2 else "",
                description=f"{outage.title}\nhttps://runbooks.example.com/{service or 'misc'}",
            )
        )
    store.alerts.add_many(made)
    return store


def _add_catalogue(store: Store, world: World) -> None:
    long_ago = to_nanos(to_datetime(world.start).replace(microsecond=0) - timedelta(days=400))
    for number, (team_name, people) in enumerate(company.PEOPLE.items()):
        users = [
            store.add_user(company.username(name), name, time_zone=zone, created_at=long_ago + number * DAY,
                           role="Admin" if index == 0 else "User")
            for index, (name, zone) in enumerate(people)
        ]  # fmt: skip
        team = store.add_team(team_name, users, description=f"Runs {', '.join(company.SERVICES[team_name])}")
        for name in company.SERVICES[team_name]:
            store.add_service(name, team, description=f"The {name} service", tags=["tier-1"])
    owner, gone = company.DELETED_SERVICE
    store.add_service(gone, next(team for team in store.teams.values() if team.name == owner))


def _incident(store: Store, outage: Outage, tiny_id: str, service_ids: dict[str, str]) -> Incident:
    teams = {team.name: team for team in store.teams.values()}
    users = {user.full_name: user for user in store.users.values()}
    happened = [outage.opened_at, outage.resolved_at, outage.closed_at, outage.reopened_at]
    made = Incident(
        id=outage.id,
        tiny_id=tiny_id,
        message=outage.title,
        description=f"{outage.title}\nRunbook: https://runbooks.example.com/{(*outage.services, 'misc')[0]}",
        created_at=outage.opened_at,
        updated_at=max(at for at in happened if at is not None),
        status=outage.status,
        priority=outage.priority,
        impact_start=outage.impact_start,
        impact_end=outage.impact_end if outage.impact_end is not None else outage.resolved_at,
        tags=list(outage.tags),
        details=dict(outage.details),
        services=[service_ids[name] for name in outage.services],
        responders=[
            *({"type": "team", "id": teams[name].id} for name in outage.teams),
            *({"type": "user", "id": users[name].id} for name in outage.people),
        ],
    )
    made.entries = _entries(store, outage)
    if outage.resolved_at is not None:
        made.notes = [
            Note("Cause found and fixed; see the timeline.", _voice(store, outage), outage.resolved_at)
        ]
    return made


def _voice(store: Store, outage: Outage) -> str:
    """The username that acts on the outage: the first member of its team."""
    names = company.PEOPLE[outage.teams[0]] if outage.teams else next(iter(company.PEOPLE.values()))
    return company.username(names[0][0])


def _entries(store: Store, outage: Outage) -> list[Entry]:
    who = _voice(store, outage)
    entries = [Entry(store.new_id(), "IncidentOpened", outage.opened_at + ENTRY_DELAY, "System", "system")]

    def add(type_: str, at: Nanos | None, text: str = "", by: str = who) -> None:
        if at is not None:
            entries.append(Entry(store.new_id(), type_, at, by, "system" if by == "System" else "user", text))

    for name in outage.teams:
        add("IncidentResponderTeamAdded", outage.opened_at + SECOND, name, "System")
    for name in outage.people:
        add("IncidentResponderUserAdded", outage.opened_at + SECOND, name, "System")
    add("ResponderAlertAcked", outage.acked_at)
    until = outage.resolved_at or outage.closed_at or outage.opened_at + HOUR
    for number in range(outage.chatter):
        at = outage.opened_at + (until - outage.opened_at) * (number + 1) // (outage.chatter + 1)
        add("CustomUserEntry", at, f"Update {number + 1}: still looking")
    for type_, instant in (
        ("IncidentResolved", outage.resolved_at),
        ("IncidentReopened", outage.reopened_at),
        ("IncidentClosed", outage.closed_at),
    ):
        add(type_, None if instant is None else instant + ENTRY_DELAY)
    return entries


def bulk(
    count: int = 25_000,
    days: int = 90,
    *,
    seed: int = 7,
    end: When | None = None,
    same_second: int = 0,
) -> Store:
    """An account with `count` incidents spread evenly over `days`, for benchmarks.

    `same_second` of them are created within a second in the middle: more than a page, so that no window of
    whole seconds can separate them.
    """
    finish = Clock()() if end is None else to_nanos(end)
    store = Store(seed=seed)
    _add_catalogue(store, build_world(seed, finish, days=1))
    rng = random.Random(seed)
    services = [(service.id, service.team_id) for service in store.services.values()]
    step = days * DAY // max(1, count)
    first = finish - days * DAY
    burst = (first + days * DAY // 2) // SECOND * SECOND

    def make(number: int) -> Incident:
        bursting = 0 <= number - (count - same_second) // 2 < same_second
        at = burst + number % 1000 * 1_000_000 if bursting else first + number * step
        service, team = services[number % len(services)]
        took = int(rng.expovariate(1 / 45) * MINUTE) + MINUTE
        resolved = at + took
        is_open = resolved > finish
        id_ = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        made = Incident(
            id=id_,
            tiny_id=str(number + 1),
            message=f"Incident {number}: elevated error rate",
            description="Automatic check failed five times in a row on three hosts. " * 3,
            created_at=at,
            updated_at=at if is_open else resolved,
            status="open" if is_open else ("resolved", "closed")[number % 2],
            priority=f"P{number % 5 + 1}",
            impact_end=None if is_open else resolved,
            tags=["bulk", f"shard-{number % 16}"],
            details={"region": "eu-central-1"},
            services=[service],
            responders=[{"type": "team", "id": team}],
        )
        happened = [("IncidentOpened", at)]
        if not is_open:
            happened += [("ResponderAlertAcked", at + took // 3), ("IncidentResolved", resolved)]
            happened += [("IncidentClosed", resolved)] if made.status == "closed" else []
        made.entries = [
            Entry(f"{id_}-{place}", type_, moment + ENTRY_DELAY, "System", "system")
            for place, (type_, moment) in enumerate(happened)
        ]
        made.json()
        return made

    store.incidents.add_many(make(number) for number in range(count))
    return store
