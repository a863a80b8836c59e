"""The world's deployments in GitHub's words: a repository per service, with pull requests."""

from __future__ import annotations

from typing import Any

from sandbox import company
from sandbox.github.store import Repository, Store
from sandbox.instants import DAY, MINUTE, SECOND, Clock, Nanos, When, to_nanos
from sandbox.world import Deployment, World

#: Pipelines differ in how they spell an environment.
ENVIRONMENTS = {
    "checkout": {"production": "Production", "staging": "Staging"},
    "auth": {"production": "PRODUCTION", "staging": "staging"},
}

#: Numbers of pull requests that hold the commits of others (a release branch, a stack).
COLLECTING = 10_000


def load(world: World, store: Store | None = None) -> Store:
    """Repositories of `company.OWNER` with the world's deployments. Deployment ids are the world's."""
    store = store or Store()
    for services in company.SERVICES.values():
        for service in services:
            name = company.REPOSITORIES.get(service, service)
            store.add_repository(f"{company.OWNER}/{name}", world.start - 300 * DAY)
    merged: set[str] = set()
    for one in world.deployments:
        states = [(_state(one, state), at) for state, at in one.history]
        store.add_deployment(
            one.repository,
            one.sha,
            ENVIRONMENTS.get(one.service, {}).get(one.environment, one.environment),
            one.triggered_at,
            states,
            id=one.id,
            payload=_payload(one),
            description="Rollback" if one.is_rollback else None,
        )
        if one.sha not in merged:
            merged.add(one.sha)
            _merge(store, one)
    return store


def _dice(one: Deployment, place: int) -> int:
    """0 to 255, from the commit: the same in every run, and no matter in which order."""
    return int(one.sha[2 * place : 2 * place + 2], 16)


def _state(one: Deployment, state: str) -> str:
    """A pipeline that breaks reports `error`, one that refuses reports `failure`."""
    return "error" if state == "failure" and _dice(one, 0) % 3 == 0 else state


def _payload(one: Deployment) -> Any:
    """Free JSON: an object, or a string that may hold JSON or nothing."""
    return ({}, "", {"service": one.service, "build": _dice(one, 1)}, '{"deploy": true}')[_dice(one, 2) % 4]


def _merge(store: Store, one: Deployment) -> None:
    """Most commits come from one pull request, some from none (pushed directly), some are in two."""
    if _dice(one, 3) < 13:
        return
    at = one.triggered_at - (5 + _dice(one, 4)) * MINUTE
    people = [name for name, _ in company.PEOPLE[_team(one.service)]]
    author = company.username(people[_dice(one, 5) % len(people)]).partition("@")[0].replace(".", "-")
    store.add_pull(
        one.repository,
        one.pr_number,
        [one.sha],
        at,
        title=one.pr_title,
        author=author,
        created_at=at - (1 + _dice(one, 6)) * 20 * MINUTE,
    )
    if _dice(one, 7) < 8:
        # Some of these were merged later, others are open to this day.
        later = at + 2 * MINUTE if _dice(one, 8) % 2 else None
        store.add_pull(
            one.repository,
            COLLECTING + one.pr_number,
            [one.sha],
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
