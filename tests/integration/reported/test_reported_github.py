"""What people report of GitHub's deployments, and of tools that read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import JSONResponse

from tests.integration.reported.canned import Canned, ago, values
from tests.support.postgres import Warehouse

CHECKOUT = "acme/checkout"
Read = Callable[..., None]


def statuses(warehouse: Warehouse) -> dict[str, str]:
    return dict(values(warehouse, "select deployment_id, status from staging.deployments"))


def test_a_secondary_rate_limit_that_says_not_how_long(
    services: Canned, deployments: Read, tables: Warehouse
) -> None:
    """hub4j/github-api#2009: 403, requests left, no Retry-After."""
    services.deployment(CHECKOUT, 11, ago(hours=3), ("success", ago(hours=2)))
    headers = {
        "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4800", "x-ratelimit-reset": "1999999999",
    }  # fmt: skip
    body = {"message": "You have exceeded a secondary rate limit. Wait before the next request."}
    services.refusals.append(("/11/statuses", JSONResponse(body, 403, headers)))

    deployments(CHECKOUT)

    assert services.refusals == []
    assert statuses(tables) == {"11": "success"}


def test_a_renamed_repository_is_followed_or_named(
    services: Canned, deployments: Read, tables: Warehouse
) -> None:
    """github-changelog-generator#448: 301 to the repository's id."""
    services.deployment("acme/old", 12, ago(hours=3), ("success", ago(hours=2)))
    services.move("/repos/acme/old", "/repositories/42")
    deployments("acme/old")
    assert statuses(tables) == {"12": "success"}

    services.move("/repos/acme/older", "/repositories/43")
    with pytest.raises(Exception, match=r"(?i)renamed|transferred|moved to|new name|has moved"):
        deployments("acme/older")


def test_two_services_of_one_repository_get_their_history_each(
    services: Canned, deployments: Read, tables: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """patrickedqvist/wait-for-vercel-preview#16: a monorepo, an environment per service."""
    for number, days, name in ((1, 60, "web"), (2, 60, "docs"), (3, 2, "web"), (4, 2, "docs")):
        at = ago(days=days)
        services.deployment("acme/mono", number, at, ("success", at), environment=f"Production – {name}")
    services.deployment("acme/mono", 5, ago(days=1), ("success", ago(days=1)), environment="Preview – web")
    entries = [
        {"repository": "acme/mono", "service": name, "environments": [f"Production – {name}"]}
        for name in ("web", "docs")
    ]
    names = [entry["environments"][0] for entry in entries]
    monkeypatch.setenv("OPSGENIE_PROVIDER__ENVIRONMENTS", json.dumps(names))

    for _ in range(2):
        deployments(*entries)

    found = values(tables, "select service, deployment_id from staging.deployments order by 1, 2")
    assert found == [("docs", "2"), ("docs", "4"), ("web", "1"), ("web", "3")]


def test_inactive_after_the_success_changes_nothing(
    services: Canned, deployments: Read, tables: Warehouse, metrics: Callable[[], None]
) -> None:
    """apache/devlake#8654."""
    history = [("queued", ago(hours=50)), ("in_progress", ago(hours=50)), ("success", ago(hours=49))]
    services.deployment(CHECKOUT, 31, ago(hours=50), *history)
    deployments(CHECKOUT)
    query = "select deployment_id, status, triggered_at, finished_at from staging.deployments"
    before = values(tables, query)
    services.deployment(CHECKOUT, 31, ago(hours=50), *history, ("inactive", ago(hours=25)))

    deployments(CHECKOUT)

    metrics()
    assert values(tables, query) == before
    assert before[0][:2] == ("31", "success")
    assert values(tables, "select deployment_id from dora.deployment_outcomes") == [("31",)]


def test_what_has_not_ended_is_asked_for_though_its_deployment_looks_the_same(
    services: Canned, deployments: Read, tables: Warehouse
) -> None:
    """In the list of GitHub's own documentation, updated_at is created_at."""
    same = {"updated_at": ago(days=5)}
    services.deployment(CHECKOUT, 33, ago(days=5), ("in_progress", ago(days=5)), **same)
    deployments(CHECKOUT)
    assert statuses(tables) == {"33": "running"}
    services.deployment(
        CHECKOUT, 33, ago(days=5), ("in_progress", ago(days=5)), ("success", ago(hours=1)), **same
    )
    deployments(CHECKOUT)
    assert statuses(tables) == {"33": "success"}


def pull(number: int, **more: Any) -> dict[str, Any]:
    return {
        "number": number, "title": f"Change {number}", "html_url": f"https://github.com/acme/checkout/pull/{number}",
        "merged_at": ago(hours=6), "merge_commit_sha": f"{number:040x}", "state": "closed",
        # The fork that it came from was deleted.
        "base": {"ref": "main"}, "head": {"repo": None}, **more,
    }  # fmt: skip


def test_of_several_pull_requests_the_one_that_brought_the_commit(
    services: Canned, deployments: Read, tables: Warehouse
) -> None:
    pulls = {
        61: [
            pull(3, merged_at=None, merge_commit_sha=None, state="open"),
            pull(8, base={"ref": "develop"}),
            pull(9, title="Release 12 🚀 & more", merge_commit_sha=f"{61:040x}"),
        ],
        62: [pull(12)],
        63: [],
        64: [pull(14, title=None, html_url=None, merge_commit_sha=f"{64:040x}")],
    }
    for number, found in pulls.items():
        services.deployment(CHECKOUT, number, ago(hours=5), ("success", ago(hours=5)))
        services.lists[f"/repos/{CHECKOUT}/commits/{number:040x}/pulls"] = found

    deployments(CHECKOUT)

    query = "select deployment_id, pr_number, pr_title from staging.deployments order by 1"
    assert values(tables, query) == [
        ("61", 9, "Release 12 🚀 & more"), ("62", 12, "Change 12"), ("63", None, None), ("64", 14, None),
    ]  # fmt: skip


def test_without_the_right_to_pull_requests_deployments_are_read_all_the_same(
    services: Canned, deployments: Read, tables: Warehouse
) -> None:
    """403 "Resource not accessible by integration", as a token gets whose app may not read pull requests."""
    for number, days in ((65, 30), (66, 1)):
        services.deployment(CHECKOUT, number, ago(days=days), ("success", ago(days=days)))
        services.lists[f"/repos/{CHECKOUT}/commits/{number:040x}/pulls"] = [pull(number)]
    refused = JSONResponse({"message": "Resource not accessible by integration"}, 403)
    query = "select deployment_id, status, pr_number from staging.deployments order by 1"

    services.refusals += [("/pulls", refused)] * 2
    deployments(CHECKOUT)
    services.refusals[:] = [("/pulls", refused)]
    deployments(CHECKOUT)
    assert values(tables, query) == [("65", "success", None), ("66", "success", None)]
    assert services.refusals == []

    deployments(CHECKOUT)
    assert values(tables, query) == [("65", "success", 65), ("66", "success", 66)]
    services.asked.clear()
    deployments(CHECKOUT)
    assert len(services.asked) == 1


def test_the_path_of_an_enterprise_server_stays(
    services: Canned, deployments: Read, tables: Warehouse, monkeypatch: pytest.MonkeyPatch, account: Any
) -> None:
    services.deployment(CHECKOUT, 81, ago(hours=5), ("success", ago(hours=5)))
    services.lists |= {f"/api/v3{path}": found for path, found in services.lists.items()}
    connection = {"conn_type": "http", "host": f"{account.url}/api/v3", "password": "key"}
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(connection))

    deployments(CHECKOUT)

    assert statuses(tables) == {"81": "success"}
    assert all(path.startswith(f"/api/v3/repos/{CHECKOUT}/") for path in services.asked)


def test_a_repository_s_own_environments_count(
    services: Canned, deployments: Read, tables: Warehouse, metrics: Callable[[], None]
) -> None:
    """apache/devlake#6953: production goes by many names."""
    services.deployment(CHECKOUT, 26, ago(hours=9), ("success", ago(hours=8)), environment="live")
    deployments({"repository": CHECKOUT, "environments": ["live"]})
    metrics()
    assert values(tables, "select deployment_id from dora.deployment_outcomes") == [("26",)]


def test_a_service_that_is_named_later_is_that_of_all_deployments(
    services: Canned, deployments: Read, tables: Warehouse
) -> None:
    """apache/devlake#5178: mappings are found out step by step."""
    for number, days in ((94, 40), (95, 2)):
        services.deployment(CHECKOUT, number, ago(days=days), ("success", ago(days=days)))
    deployments(CHECKOUT)

    deployments({"repository": CHECKOUT, "service": "shop"})

    assert values(tables, "select service, count(*) from staging.deployments group by 1") == [("shop", 2)]


def test_each_deployment_of_a_matrix_counts(
    services: Canned, deployments: Read, tables: Warehouse, metrics: Callable[[], None]
) -> None:
    """TryGhost/TrafficAnalytics#142: one commit, three jobs, three deployments at the same instant."""
    for number in (100, 101, 102):
        services.deployment(CHECKOUT, number, ago(hours=3), ("success", ago(minutes=170)), sha="c" * 40)
    deployments(CHECKOUT)
    tables.execute(
        "insert into staging.opsgenie_services (account, service_id, name, raw, synced_at) "
        "values ('opsgenie_default', 's1', 'checkout', '{}', now())"
    )
    tables.execute(
        "insert into staging.opsgenie_incidents "
        "(account, incident_id, message, status, created_at, key_reach, raw, synced_at) "
        "values ('opsgenie_default', 'i1', 'Down', 'open', %s, 'account', '{}', now())",
        ago(minutes=30),
    )
    tables.execute(
        "insert into staging.opsgenie_incident_services (account, incident_id, service_id, raw, synced_at) "
        "values ('opsgenie_default', 'i1', 's1', '{}', now())"
    )

    metrics()

    query = (
        "select sum(deployments)::int, sum(change_failures)::int as failures from dora.overall_metrics "
        "where grain = 'day'"
    )
    assert values(tables, query) == [(3, 1)]
    query = "select match_status, deployment_id, candidate_count from dora.incident_attribution"
    assert values(tables, query) == [("matched", "100", 3)]
