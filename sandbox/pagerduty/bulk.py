"""Large accounts for benchmarks, and for tests with more than 10,000 incidents."""

from __future__ import annotations

import random

from sandbox.instants import DAY, MINUTE, SECOND, Clock, When, to_nanos
from sandbox.pagerduty.seed import add_catalogue
from sandbox.pagerduty.store import Store


def bulk(
    count: int = 12_000,
    days: float = 90,
    *,
    seed: int = 7,
    end: When | None = None,
    same_second: int = 0,
    store: Store | None = None,
) -> Store:
    """An account with `count` incidents spread evenly over `days`.

    `same_second` of them are created within a second in the middle: no window can separate them.
    """
    finish = (Clock()() if end is None else to_nanos(end)) // SECOND * SECOND
    store = store or Store(seed=seed)
    span = int(days * DAY)
    first = finish - span
    add_catalogue(store, first)
    rng = random.Random(seed)
    services = list(store.services.values())
    priorities = [*store.priorities, None]
    incidents = store.incidents
    middle = first + span // 2
    burst = range((count - same_second) // 2, (count + same_second) // 2)
    for number in range(count):
        at = middle if number in burst else first + number * span // max(1, count)
        service = services[number % len(services)]
        person = store.policies[service.policy_id].user_ids[0]
        incident = incidents.add(
            f"Incident {number}: elevated error rate",
            service.id,
            at // SECOND * SECOND,
            urgency="low" if number % 5 == 0 else "high",
            priority_id=priorities[number % len(priorities)],
            body="Automatic check failed five times in a row on three hosts. " * 3,
        )
        took = (int(rng.expovariate(1 / 45)) + 1) * MINUTE
        if incident.created_at + took <= finish:
            incidents.acknowledge(incident.id, incident.created_at + took // 3, person)
            incidents.resolve(incident.id, incident.created_at + took, person)
    return store
