"""GitHub's own ways: rate limits that come as a 403, and repositories that have moved."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import requests_mock as rm

from opsgenie_provider.api import github
from opsgenie_provider.api.errors import (
    ApiStatusError,
    ForeignHostError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RedirectError,
)
from opsgenie_provider.api.github import GithubClient
from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.transport import MAX_SECONDS_OF_429

BASE = "https://github.example/api/v3"
OLD, NEW = f"{BASE}/repos/acme/old", f"{BASE}/repositories/42"
LEFT = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4800"}
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


@pytest.fixture
def client(clock: Any) -> GithubClient:
    return GithubClient(requests.Session(), BASE, "a-token", limiter=RateLimiter())


def read(client: GithubClient) -> int:
    return sum(len(page) for page in client.deployments("acme/old"))


def test_a_page_shorter_than_asked_for_is_the_last_only_without_a_link_to_the_next(
    client: GithubClient, requests_mock: rm.Mocker
) -> None:
    """GitHub's pagination guide: follow the Link header."""
    links = ['<x?page=2>; rel="next"', '<x?page=1>; rel="prev", <x?page=3>; rel="next"', '<x>; rel="first"']
    pages = [
        {"json": [{"id": number}] * size, "headers": {"Link": link}}
        for number, (size, link) in enumerate(zip((30, 30, 100), links, strict=True))
    ]
    requests_mock.get(f"{OLD}/deployments", pages)
    assert read(client) == 160
    assert [sent.qs["page"] for sent in requests_mock.request_history] == [["1"], ["2"], ["3"]]


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("message", "headers", "wait"),
    [
        (SECONDARY, LEFT, 60),
        ("You have triggered an abuse detection mechanism.", LEFT, 60),
        (SECONDARY, LEFT | {"Retry-After": "7"}, 7),
        (SECONDARY, LEFT | {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 60),
    ],
)
def test_a_secondary_limit_is_waited_for(
    client: GithubClient,
    requests_mock: rm.Mocker,
    clock: Any,
    status: int,
    message: str,
    headers: dict[str, str],
    wait: float,
) -> None:
    refusal = {"status_code": status, "json": {"message": message}, "headers": headers}
    requests_mock.get(f"{OLD}/deployments", [refusal, {"json": []}])
    started = clock.now
    read(client)
    assert clock.now - started == pytest.approx(wait)


@pytest.mark.parametrize(
    ("reset", "wait"),
    [
        # octokit/plugin-throttling.js#599: by GitHub's clock, whatever ours says.
        (1_600_000_300, 301),
        (1_600_000_000, 1),
        # A reset that is past: not once a second.
        (1_599_999_999, 60),
        (0, 60),
    ],
)
@pytest.mark.parametrize("hours_ahead", [-3, 0, 3])
def test_the_primary_limit_is_waited_for_by_the_clock_of_github(
    client: GithubClient,
    requests_mock: rm.Mocker,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    reset: int,
    wait: float,
    hours_ahead: int,
) -> None:
    ours = SimpleNamespace(time=lambda: 1_600_000_000 + 3600 * hours_ahead)
    monkeypatch.setattr(github, "time", ours)
    headers = {
        "Date": "Sun, 13 Sep 2020 12:26:40 GMT",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(reset),
    }
    refusal = {"status_code": 403, "json": {"message": "API rate limit exceeded"}, "headers": headers}
    requests_mock.get(f"{OLD}/deployments", [refusal, {"json": []}])
    started = clock.now
    read(client)
    assert clock.now - started == pytest.approx(wait)


@pytest.mark.parametrize("reset", ["9" * 20, "1600007200"])
def test_no_reset_is_further_away_than_the_window(
    client: GithubClient, requests_mock: rm.Mocker, clock: Any, reset: str
) -> None:
    headers = {
        "Date": "Sun, 13 Sep 2020 12:26:40 GMT", "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset,
    }  # fmt: skip
    requests_mock.get(f"{OLD}/deployments", status_code=429, json={"message": "?"}, headers=headers)
    with pytest.raises(RateLimitError) as caught:
        read(client)
    assert caught.value.retry_after == 3601


@pytest.mark.parametrize("errors", ["Validation Failed", ["a text"], 7, {"resource": "?"}, None])
def test_errors_of_any_shape_are_reported(
    client: GithubClient, requests_mock: rm.Mocker, errors: Any
) -> None:
    body = {"message": "Repository access blocked", "errors": errors}
    requests_mock.get(f"{OLD}/deployments", status_code=451, json=body)
    with pytest.raises(ApiStatusError, match=r"GitHub answered 451 .*: Repository access blocked"):
        read(client)


def test_a_secondary_limit_that_does_not_end_is_left_to_the_next_try(
    client: GithubClient, requests_mock: rm.Mocker, clock: Any
) -> None:
    requests_mock.get(f"{OLD}/deployments", status_code=403, json={"message": SECONDARY}, headers=LEFT)
    started = clock.now
    with pytest.raises(RateLimitError):
        read(client)
    assert clock.now - started <= MAX_SECONDS_OF_429


def test_a_lack_of_rights_is_no_rate_limit(client: GithubClient, requests_mock: rm.Mocker) -> None:
    body = {"message": "Resource not accessible by personal access token"}
    requests_mock.get(f"{OLD}/deployments", status_code=403, json=body, headers=LEFT)
    with pytest.raises(PermissionDeniedError, match="it needs Deployments"):
        read(client)
    assert requests_mock.call_count == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("query", ["", "?per_page=100&page=1"])
def test_a_repository_that_moved_is_followed_on_the_same_host(
    client: GithubClient,
    requests_mock: rm.Mocker,
    caplog: pytest.LogCaptureFixture,
    status: int,
    query: str,
) -> None:
    moved = {"Location": f"{NEW}/deployments{query}"}
    requests_mock.get(f"{OLD}/deployments", status_code=status, headers=moved)
    requests_mock.get(f"{NEW}/deployments?per_page=100&page=1", json=[{"id": n} for n in range(100)])
    requests_mock.get(f"{NEW}/deployments?per_page=100&page=2", json=[{"id": 100}])
    requests_mock.get(NEW, json={"full_name": "acme/new"})
    with caplog.at_level(logging.WARNING):
        assert read(client) == 101
    # One redirect shows the way for all that follows.
    assert sum(sent.path.startswith("/api/v3/repos/") for sent in requests_mock.request_history) == 1
    is_permanent = status in (301, 308)
    assert ("to acme/new: change its name in github_repositories" in caplog.text) == is_permanent
    assert client.renamed == ({"acme/old": "acme/new"} if is_permanent else {})


@pytest.mark.parametrize("host", ["https://evil.example", "http://github.example"])
def test_the_token_is_not_sent_to_where_another_host_has_it(
    client: GithubClient, requests_mock: rm.Mocker, host: str
) -> None:
    requests_mock.get(rm.ANY, json=[])
    moved = {"Location": f"{host}/repositories/42/deployments"}
    requests_mock.get(f"{OLD}/deployments", status_code=301, headers=moved)
    with pytest.raises(ForeignHostError):
        read(client)
    assert [sent.url.split("?")[0] for sent in requests_mock.request_history] == [f"{OLD}/deployments"]


def test_a_repository_that_moved_out_of_sight_says_which_setting_to_change(
    client: GithubClient, requests_mock: rm.Mocker
) -> None:
    requests_mock.get(rm.ANY, status_code=404, json={"message": "Not Found"})
    moved = {"Location": f"{NEW}/deployments"}
    requests_mock.get(f"{OLD}/deployments", status_code=301, headers=moved)
    with pytest.raises(NotFoundError, match=r"acme/old was renamed or transferred.*github_repositories"):
        read(client)


@pytest.mark.parametrize("location", [{}, {"Location": f"{OLD}/deployments"}, {"Location": "/elsewhere"}])
def test_redirects_that_lead_nowhere_end(
    client: GithubClient, requests_mock: rm.Mocker, location: dict[str, str]
) -> None:
    requests_mock.get(rm.ANY, status_code=404)
    requests_mock.get(f"{OLD}/deployments", status_code=301, headers=location)
    with pytest.raises(RedirectError, match="github_repositories"):
        read(client)
