"""Converts the world's deployments to GitHub's objects: a repository per service, with pull requests."""

from __future__ import annotations

from typing import Any

from sandbox import company
from sandbox.github.store import Repository, Store
from sandbox.instants import DAY, MINUTE, SECOND, Clock, Nanos, When, to_nanos
from sandbox.world import Deployment, World

#: service -> its pipeline's spelling of environments, where it differs.
ENVIRONMENTS = {
    "checkout": {"production": "Production", "staging": "Staging"},
    "auth": {"production": "PRODUCTION", "staging": "staging"},
}

#: First number of pull requests that contain the commits of others (a release branch, a stack).
COLLECTING = 10_000


def load(world: World, store: Store | None = None) -> Store:
    """Repositories of `company.OWNER` with the world's deployments. Deployment ids are the world's."""
    store = store or Store()
    for services in company.SERVICES.values():
        for service in services:
            name = company.REPOSITORIES.get(service, service)
            store.add_repository(f"{company.OWNER}/{name}", world.start - 300 * DAY)
    merged: set[str] = set()
    for deployment in world.deployments:
        states = [(_state(deployment, state), at) for state, at in deployment.history]
        store.add_deployment(
            deployment.repository,
            deployment.sha,
            ENVIRONMENTS.get(deployment.service, {}).get(deployment.environment, deployment.environment),
            deployment.triggered_at,
            states,
            id=deployment.id,
            payload=_payload(deployment),
            description="Rollback" if deployment.is_rollback else None,
        )
        if deployment.sha not in merged:
            merged.add(deployment.sha)
            _add_pulls(store, deployment)
    return store


def _dice(deployment: Deployment, place: int) -> int:
    """A byte (0 to 255) of the commit's hash: a random number that does not depend on the order of calls."""
    return int(deployment.sha[2 * place : 2 * place + 2], 16)


def _state(deployment: Deployment, state: str) -> str:
    """A third of the failed deployments report `error` in place of `failure`."""
    return "error" if state == "failure" and _dice(deployment, 0) % 3 == 0 else state


def _payload(deployment: Deployment) -> Any:
    """Any JSON: an object, or a string, which may be empty or contain JSON."""
    return ({}, "", {"service": deployment.service, "build": _dice(deployment, 1)}, '{"deploy": true}')[
        _dice(deployment, 2) % 4
    ]


def _add_pulls(store: Store, deployment: Deployment) -> None:
    """Most commits are in one pull request, some in none (pushed directly), some in two."""
    if _dice(deployment, 3) < 13:
        return
    at = deployment.triggered_at - (5 + _dice(deployment, 4)) * MINUTE
    people = [name for name, _ in company.PEOPLE[_team(deployment.service)]]
    author = company.username(people[_dice(deployment, 5) % len(people)]).partition("@")[0].replace(".", "-")
    store.add_pull(
        deployment.repository,
        deployment.pr_number,
        [deployment.sha],
        at,
        title=deployment.pr_title,
        author=author,
        created_at=at - (1 + _dice(deployment, 6)) * 20 * MINUTE,
    )
    if _dice(deployment, 7) < 8:
        # Some of these were merged later, others are still open.
        later = at + 2 * MINUTE if _dice(deployment, 8) % 2 else None
        store.add_pull(
            deployment.repository,
            COLLECTING + deployment.pr_number,
            [deployment.sha],
            later,
            title="Release train",
            author=author,
            created_at=at,
        )


def _team(service: str) -> str:
    return next(team for team, services in company.SERVICES.items() if service in services)


def bulk(count: int = 12_000, days: float = 90, *, end: When | None = None) -> Store:
    """One repository, acme/checkout, with `count` deployments spread evenly over `days`."""
    finish = (Clock()() if end is None else to_nanos(end)) // SECOND * SECOND
    store = Store()
    repository: Repository = store.add_repository(f"{company.OWNER}/checkout", finish - 500 * DAY)
    first: Nanos = finish - int(days * DAY)
    for number in range(count):
        at = first + number * int(days * DAY) // max(1, count)
        states: list[tuple[str, When]] = [("in_progress", at), ("success", at + 2 * MINUTE)]
        sha = f"{number:040x}"
        store.add_deployment(repository.full_name, sha, "production", at, states)
    return store
