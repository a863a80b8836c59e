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
    found = {item["id"]: item for all_ in deployments.values() for item in all_}
    assert set(found) == {deployment.id for deployment in world.deployments}
    assert gh_demo.get("/repos/acme/web-frontend").status_code == 404
    assert deployments["storefront-web"]


def test_environments_are_spelled_in_several_ways(deployments: dict[str, list[dict[str, Any]]]) -> None:
    names = {item["environment"] for all_ in deployments.values() for item in all_}
    assert names >= {"production", "Production", "staging"}


def test_every_outcome_of_a_deployment_is_there(
    gh_demo: Gh, deployments: dict[str, list[dict[str, Any]]]
) -> None:
    outcomes = set()
    for deployment in (each for name in ("ledger", "checkout") for each in deployments[name][:80]):
        states = [status["state"] for status in gh_demo.json(deployment["statuses_url"])]
        outcomes.add(tuple(reversed(states[:-2])))
    assert outcomes >= {("success",), ("success", "inactive"), ("failure",), ("error",)}


def test_a_rollback_deploys_an_older_commit_again(deployments: dict[str, list[dict[str, Any]]]) -> None:
    rollbacks = [item for all_ in deployments.values() for item in all_ if item["description"] == "Rollback"]
    assert rollbacks
    deployed = Counter((item["sha"], item["environment"]) for all_ in deployments.values() for item in all_)
    assert all(deployed[rollback["sha"], rollback["environment"]] >= 2 for rollback in rollbacks)


def test_commits_have_no_one_or_two_pull_requests(
    gh_demo: Gh, deployments: dict[str, list[dict[str, Any]]]
) -> None:
    counts = set()
    for name in ("ledger", "checkout"):
        for sha in {deployment["sha"] for deployment in deployments[name]}:
            pulls = gh_demo.json(f"/repos/acme/{name}/commits/{sha}/pulls")
            counts.add(len(pulls))
            first = min(
                deployment["created_at"] for deployment in deployments[name] if deployment["sha"] == sha
            )
            assert all(pull["merged_at"] is None or pull["created_at"] <= first for pull in pulls)
            assert all(pull["merged_at"] < first for pull in pulls[:1])
    assert counts >= {0, 1, 2}
    merged = {pull.merged_at is None for repo in gh_demo.store.repositories.values() for pull in repo.pulls}
    assert merged == {True, False}


def test_bulk_makes_many_deployments() -> None:
    store = bulk(500, 10, end=NOW)
    made = store.repositories["acme/checkout"].deployments
    assert len({item.sha for item in made}) == 500
    assert max(item.created_at for item in made) <= to_nanos(NOW)
