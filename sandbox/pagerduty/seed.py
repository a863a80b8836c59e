"""Fills a PagerDuty account with the months before the company moved to OpsGenie."""

from __future__ import annotations

import random
from datetime import timedelta

from sandbox import company
from sandbox.instants import HOUR, MINUTE, SECOND, Nanos, to_datetime, to_nanos
from sandbox.pagerduty.model import Incident
from sandbox.pagerduty.store import USER_KEY, Key, Store
from sandbox.world import PRIORITIES, Outage, World, build_world

#: The account's own priorities, most severe first: (name, colour).
PRIORITY_NAMES = (
    ("SEV-1", "a8171c"),
    ("SEV-2", "eb6016"),
    ("SEV-3", "f9b406"),
    ("Minor", "3a9bdc"),
    ("Cosmetic", "555555"),
)

_REOPEN_ENTRIES = ("trigger", "unacknowledge", "acknowledge")
_NULLS = (
    ("acknowledgements", "pending_actions"),
    ("teams", "assignments", "last_status_change_by"),
    ("escalation_policy", "alert_counts", "priority"),
)
_LONG = "🔥🧯 {service}: the on-call engineer pasted the whole alert text into the title — "


def load(world: World, store: Store | None = None, *, days: int = 240, count: int = 250) -> Store:
    """An account whose last incidents are from about the start of the world, when OpsGenie was introduced."""
    store = store or Store(seed=world.seed)
    add_catalogue(store, world.start - days * 24 * HOUR)
    _IncidentSeeder(store, world.seed).add(history_before(world, days, count))
    service = next(
        service for service in store.services.values() if service.name == company.DELETED_SERVICE[1]
    )
    # Deleted last: its incidents still refer to it.
    store.drop("service", service.id)
    return store


def history_before(world: World, days: int = 240, count: int = 250) -> list[Outage]:
    """`count` outages of the same company in the `days` before the world, oldest first."""
    found = build_world(world.seed + 1, world.start, days, moved_by=world.moved_by).outages
    chosen = random.Random(world.seed).sample(found, min(count, len(found)))
    return sorted(chosen, key=lambda outage: outage.opened_at)


def add_catalogue(store: Store, start: Nanos) -> None:
    """The company's people, teams and services, and an escalation policy per team."""
    created = to_nanos(to_datetime(start).replace(microsecond=0) - timedelta(days=200))
    for (name, colour), rank in zip(PRIORITY_NAMES, PRIORITIES, strict=True):
        store.add_priority(name, description=f"What others call {rank}", color=colour)
    for team_name, people in company.PEOPLE.items():
        users = [
            store.add_user(
                company.username(name), name, time_zone=zone, role="admin" if index == 0 else "user"
            )
            for index, (name, zone) in enumerate(people)
        ]
        services = company.SERVICES[team_name]
        team = store.add_team(team_name, users, description=f"Runs {', '.join(services)}")
        policy = store.add_policy(f"{team_name} escalation", users, team, num_loops=1)
        for name in (*services, *[gone for owner, gone in (company.DELETED_SERVICE,) if owner == team_name]):
            store.add_service(name, policy, created, description=f"The {name} service")
    if USER_KEY not in store.keys:
        store.keys[USER_KEY] = Key("user", read_only=False, user=next(iter(store.users)))


def _whole(at: Nanos) -> Nanos:
    """Truncated to whole seconds, as PagerDuty stores it."""
    return at // SECOND * SECOND


class _IncidentSeeder:
    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.incidents = store.incidents
        self.rng = random.Random(seed)
        self.services = {service.name: service for service in store.services.values()}
        self.priorities = dict(zip(PRIORITIES, store.priorities, strict=True))

    def add(self, outages: list[Outage]) -> None:
        settled = [place for place, outage in enumerate(outages) if _over(outage) is not None]
        twins = set(self.rng.sample(settled, min(5, len(settled))))
        rows: list[tuple[Nanos, int, bool]] = []
        for place, outage in enumerate(outages):
            rows.append((_whole(outage.opened_at), place, False))
            if place in twins:
                rows.append((_whole(outage.opened_at) + 40 * SECOND, place, True))
        made: dict[int, Incident] = {}
        copies = []
        # In chronological order, because incidents are numbered in it.
        for at, place, is_twin in sorted(rows):
            incident = self._open(outages[place], at)
            if is_twin:
                copies.append((incident, place))
            else:
                made[place] = incident
        for copy, place in copies:
            self.incidents.merge(copy.id, made[place].id, copy.created_at + MINUTE, self._person(copy))
        for place, incident in made.items():
            self._live(incident, outages[place])
        self._oddities([made[place] for place in settled if place not in twins])

    def _person(self, incident: Incident) -> str:
        return self.rng.choice(self.store.policies[incident.policy_id].user_ids)

    def _open(self, outage: Outage, at: Nanos) -> Incident:
        # An incident has exactly one service in PagerDuty, even if more were affected.
        service = self.services[(*outage.services, "notifications")[0]]
        by_hand = self.rng.random() < 0.12
        urgent = outage.priority in PRIORITIES[:3]
        incident = self.incidents.add(
            outage.title,
            service.id,
            at,
            by=self.rng.choice(self.store.policies[service.policy_id].user_ids) if by_hand else None,
            skew=-1 if self.rng.random() < 0.1 else 0,
            urgency="high" if urgent else "low",
            # Many incidents have no priority (keephq/keep#5698).
            priority_id=None if self.rng.random() < 0.25 else self.priorities[outage.priority],
            body=f"{outage.title}\nSeen from {outage.details.get('region', 'outside')}",
        )
        for number in range(0 if by_hand else self.rng.randrange(4)):
            details = dict(outage.details) if number % 2 == 0 else f"Check failed: {outage.title}"
            self.incidents.add_alert(incident.id, outage.title, at + number * MINUTE, details=details)
        return incident

    def _live(self, incident: Incident, outage: Outage) -> None:
        at, end = incident.created_at, _over(outage)
        person = self._person(incident)
        self.incidents.assign(incident.id, person, at)
        self.incidents.notify(incident.id, person, at + 3 * SECOND)
        acked = None if outage.acked_at is None else _whole(outage.acked_at)
        if acked is None and end is not None and end - at > 30 * MINUTE:
            self.incidents.add_entry(incident.id, "escalate", at + 30 * MINUTE)
        if acked is not None:
            self.incidents.acknowledge(incident.id, acked, person)
            if end is not None and end - acked > 40 * MINUTE and self.rng.random() < 0.3:
                # After acknowledgement_timeout (half an hour), it is triggered again.
                self.incidents.unacknowledge(incident.id, acked + 30 * MINUTE)
                self.incidents.acknowledge(incident.id, acked + 34 * MINUTE, self._person(incident))
        self._notes(incident, outage, person, end)
        if end is None:
            return
        by_person = self.rng.random() < 0.7
        self.incidents.resolve(
            incident.id,
            end,
            person if by_person else None,
            "" if by_person else self.rng.choice(("api", "timeout")),
        )
        if outage.reopened_at is not None:
            again = max(_whole(outage.reopened_at), end + MINUTE)
            entry = _REOPEN_ENTRIES[incident.number % len(_REOPEN_ENTRIES)]
            self.incidents.reopen(incident.id, again, person, entry=entry)
            self.incidents.resolve(incident.id, again + 25 * MINUTE, person)

    def _notes(self, incident: Incident, outage: Outage, person: str, end: Nanos | None) -> None:
        until = end or incident.created_at + HOUR
        if self.rng.random() < 0.1:
            self.incidents.add_note(
                incident.id, "Runbook attached.", incident.created_at, bot="A Global Event Rule"
            )
        for number in range(outage.chatter):
            at = incident.created_at + (until - incident.created_at) * (number + 1) // (outage.chatter + 1)
            note = self.incidents.add_note(
                incident.id, f"Update {number + 1}: still looking", _whole(at), user=person
            )
            if number == 2:
                self.incidents.edit_note(incident.id, note.id, "Update 3: found it (edited)", until + HOUR)

    def _oddities(self, settled: list[Incident]) -> None:
        """Titles of 300 characters with emoji, null fields, a reopening by each kind of log entry."""
        plain = [incident for incident in settled if incident.merged_into is None]
        chosen = self.rng.sample(plain, min(len(plain), 2 + len(_NULLS) + len(_REOPEN_ENTRIES)))
        for _ in range(min(2, len(chosen))):
            incident = chosen.pop()
            text = _LONG.format(service=self.store.services[incident.service_id].name)
            self.incidents.edit(incident.id, title=(text * 5)[:299] + "😱", updated_at=incident.updated_at)
        for nulls in _NULLS[: len(chosen)]:
            incident = chosen.pop()
            self.incidents.edit(incident.id, nulls=nulls, updated_at=incident.updated_at)
        for entry, incident in zip(_REOPEN_ENTRIES, chosen, strict=False):
            person = self._person(incident)
            again = (incident.resolved_at or incident.updated_at) + 11 * MINUTE
            self.incidents.reopen(incident.id, again, person, entry=entry)
            self.incidents.resolve(incident.id, again + 30 * MINUTE, person)


def _over(outage: Outage) -> Nanos | None:
    """When it was resolved; None while it is open, as the last incidents were when the company moved."""
    at = outage.resolved_at if outage.resolved_at is not None else outage.closed_at
    return None if at is None else _whole(at)
