"""The demo's deployments in GitHub: every case that a reader of them must get right."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sandbox import company
from sandbox.github import Store
from sandbox.github.seed import bulk
from sandbox.instants import to_nanos
from sandbox.world import World
from tests.sandbox.sandbox_client import NOW, Reader

Gh = Reader[Store]


def read(gh: Gh, path: str) -> list[dict[str, Any]]:
    response = gh.get(path, per_page=100)
    found: list[dict[str, Any]] = response.json()
    while "next" in response.links:
        response = gh.get(response.links["next"]["url"])
        found += response.json()
    return found


@pytest.fixture(scope="module")
def deployments(gh_demo: Gh) -> dict[str, list[dict[str, Any]]]:
    """By repository, over the API."""
    names = [company.REPOSITORIES.get(name, name) for names in company.SERVICES.values() for name in names]
    return {name: read(gh_demo, f"/repos/acme/{name}/deployments") for name in names}


def test_each_service_has_a_repository_and_one_has_another_name(
    deployments: dict[str, list[dict[str, Any]]], world: World, gh_demo: Gh
) -> None:
    found = {one["id"]: one for all_ in deployments.values() for one in all_}
    assert set(found) == {one.id for one in world.deployments}
    assert gh_demo.get("/repos/acme/web-frontend").status_code == 404
    assert deployments["storefront-web"]


def test_environments_are_spelled_in_several_ways(deployments: dict[str, list[dict[str, Any]]]) -> None:
    names = {one["environment"] for all_ in deployments.values() for one in all_}
    assert names == {"production", "Production", "PRODUCTION", "staging", "Staging"}


def test_every_outcome_of_a_deployment_is_there(
    gh_demo: Gh, deployments: dict[str, list[dict[str, Any]]]
) -> None:
    outcomes = set()
    for one in (each for name in ("ledger", "checkout") for each in deployments[name][:80]):
        states = [status["state"] for status in gh_demo.json(one["statuses_url"])]
        outcomes.add(tuple(reversed(states[:-2])))
    assert outcomes == {("success",), ("success", "inactive"), ("failure",), ("error",)}


def test_a_rollback_deploys_an_older_commit_again(deployments: dict[str, list[dict[str, Any]]]) -> None:
    rollbacks = [one for all_ in deployments.values() for one in all_ if one["description"] == "Rollback"]
    assert rollbacks
    deployed = Counter((one["sha"], one["environment"]) for all_ in deployments.values() for one in all_)
    assert {deployed[one["sha"], one["environment"]] for one in rollbacks} == {2}


def test_commits_have_no_one_or_two_pull_requests(
    gh_demo: Gh, deployments: dict[str, list[dict[str, Any]]]
) -> None:
    counts = set()
    for name in ("ledger", "checkout"):
        for sha in {one["sha"] for one in deployments[name]}:
            pulls = gh_demo.json(f"/repos/acme/{name}/commits/{sha}/pulls")
            counts.add(len(pulls))
            first = min(one["created_at"] for one in deployments[name] if one["sha"] == sha)
            assert all(one["merged_at"] is None or one["created_at"] <= first for one in pulls)
            assert all(one["merged_at"] < first for one in pulls[:1])
    assert counts == {0, 1, 2}
    merged = {one.merged_at is None for repo in gh_demo.store.repositories.values() for one in repo.pulls}
    assert merged == {True, False}


def test_bulk_makes_many_deployments() -> None:
    store = bulk(500, 10, end=NOW)
    made = store.repositories["acme/checkout"].deployments
    assert len({one.sha for one in made}) == 500
    assert max(one.created_at for one in made) <= to_nanos(NOW)
