"""Deployments, their statuses, the pull requests of a commit: shapes, order, filters, pages."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.github import Store
from tests.sandbox.sandbox_client import Reader

Gh = Reader[Store]
PATH = "/repos/acme/ledger/deployments"
SHA = "a" * 40


def deploy(gh: Gh, at: str, sha: str = SHA, environment: str = "production", **fields: Any) -> int:
    return gh.store.add_deployment("acme/ledger", sha, environment, at, **fields).id


def test_deployments_come_newest_first(gh: Gh) -> None:
    old = deploy(gh, "2024-06-10T10:00:00Z")
    new = deploy(gh, "2024-06-11T10:00:00Z")
    late = deploy(gh, "2024-06-09T10:00:00Z")
    assert [item["id"] for item in gh.json(PATH)] == [new, old, late]


def test_a_deployment_has_neither_a_status_nor_a_pull_request(gh: Gh) -> None:
    """It says where the statuses are; production_environment is true for exactly "production"."""
    deploy(gh, "2024-06-10T10:00:00Z", payload='{"a": 1}')
    deploy(gh, "2024-06-10T09:00:00Z", environment="Production", payload={"a": 1})
    first, second = gh.json(PATH)
    assert (first["sha"], first["ref"], first["task"]) == (SHA, "main", "deploy")
    assert first["created_at"] == first["updated_at"] == "2024-06-10T10:00:00Z"
    assert not {"state", "status", "pull_requests"} & set(first)
    assert [item["production_environment"] for item in (first, second)] == [True, False]
    assert [item["payload"] for item in (first, second)] == ['{"a": 1}', {"a": 1}]
    assert gh.json(first["statuses_url"]) == []
    assert gh.json(f"{PATH}/{first['id']}") == first


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("environment", "production", 1),
        ("environment", "none", 2),
        ("sha", SHA, 1),
        ("ref", "main", 2),
        ("task", "deploy:migrations", 0),
    ],
)
def test_filters_compare_exactly(gh: Gh, name: str, value: str, count: int) -> None:
    deploy(gh, "2024-06-10T10:00:00Z")
    deploy(gh, "2024-06-10T09:00:00Z", sha="b" * 40, environment="Production")
    assert len(gh.json(PATH, **{name: value})) == count


def test_statuses_come_newest_first_and_a_success_may_end_inactive(gh: Gh) -> None:
    states = [
        ("queued", "2024-06-10T10:00:00Z"),
        ("in_progress", "2024-06-10T10:00:05Z"),
        ("success", "2024-06-10T10:04:00Z"),
    ]
    id_ = deploy(gh, "2024-06-10T10:00:00Z", states=states)
    gh.store.add_status(id_, "inactive", "2024-06-11T10:00:00Z")
    found = gh.json(f"{PATH}/{id_}/statuses")
    assert [item["state"] for item in found] == ["inactive", "success", "in_progress", "queued"]
    assert found[1]["created_at"] == "2024-06-10T10:04:00Z"
    assert gh.json(PATH)[0]["updated_at"] == "2024-06-11T10:00:00Z"
    with pytest.raises(ValueError, match="unknown state"):
        gh.store.add_status(id_, "done")


def test_pages_hold_30_by_default_and_100_at_most(gh: Gh) -> None:
    for _ in range(205):
        deploy(gh, "2024-06-10T10:00:00Z")
    assert len(gh.json(PATH)) == 30
    assert len(gh.json(PATH, per_page=500)) == 100
    assert len(gh.json(PATH, per_page="many")) == 30
    assert gh.json(PATH, per_page=100, page=4) == []


def test_links_are_absolute_and_go_by_the_repository_s_id(gh: Gh) -> None:
    """docs.github.com, "Using pagination in the REST API": .../repositories/1300192/issues?page=2"""
    for _ in range(205):
        deploy(gh, "2024-06-10T10:00:00Z")
    response = gh.get(PATH, per_page=100, environment="production")
    assert set(response.links) == {"next", "last"}
    assert response.links["last"]["url"].endswith("page=3")
    seen = {item["id"] for item in response.json()}
    while "next" in response.links:
        url = response.links["next"]["url"]
        assert url.startswith(f"{gh.base}/repositories/")
        assert "environment=production" in url
        response = gh.get(url)
        seen |= {item["id"] for item in response.json()}
    assert len(seen) == 205
    assert set(response.links) == {"prev", "first"}
    assert "link" not in gh.get(PATH, sha="b" * 40).headers


def test_a_commit_has_no_pull_request_one_or_several(gh: Gh) -> None:
    other, third = "b" * 40, "c" * 40
    for sha in (SHA, other, third):
        deploy(gh, "2024-06-10T10:00:00Z", sha=sha)
    gh.store.add_pull("acme/ledger", 7, [SHA, other], "2024-06-10T09:00:00Z", title="Seven")
    gh.store.add_pull("acme/ledger", 8, [other], title="Eight")
    commits = "/repos/acme/ledger/commits"
    assert [item["number"] for item in gh.json(f"{commits}/{SHA}/pulls")] == [7]
    seven, eight = gh.json(f"{commits}/{other}/pulls")
    assert (seven["state"], seven["merged_at"], seven["merge_commit_sha"]) == (
        "closed",
        "2024-06-10T09:00:00Z",
        other,
    )
    assert (eight["state"], eight["merged_at"]) == ("open", None)
    assert gh.json(f"{commits}/{third}/pulls") == []
    response = gh.get(f"{commits}/{'d' * 40}/pulls")
    assert (response.status_code, response.json()["message"]) == (422, f"No commit found for SHA: {'d' * 40}")


def test_names_are_not_case_sensitive(gh: Gh) -> None:
    assert gh.json("/repos/ACME/Ledger")["full_name"] == "acme/ledger"


@pytest.mark.parametrize(
    "path", ["/repos/acme/nothing", "/repos/acme/ledger/deployments/1", "/repositories/1", "/weather"]
)
def test_what_is_not_there_is_a_404(gh: Gh, path: str) -> None:
    response = gh.get(path)
    assert response.status_code == 404
    assert response.json() == {
        "message": "Not Found",
        "documentation_url": "https://docs.github.com/rest",
        "status": "404",
    }
