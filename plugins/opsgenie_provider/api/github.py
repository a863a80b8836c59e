"""The read side of GitHub's REST API: deployments, their statuses, and pull requests by commit.

Sources: docs.github.com/rest (deployments, deployment statuses, commits, rate limits).
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import requests
from msgspec import Raw

from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.transport import Dialect, ErrorDetail, HeaderAuth, Throttle, Transport

HOST = "https://api.github.com"
PAGE_SIZE = 100
HINTS = {
    401: "The token is unknown or expired: check the password of the connection.",
    403: "The token may not read this: it needs Deployments, Pull requests and Contents, all read-only.",
    404: "There is no such repository, or the token may not see it: check its name (owner/name) and that "
    "the token has access to it.",
    429: "The token's requests are used up for now: the next try waits as long as GitHub asks.",
}
_DOMAIN = "core"


class GithubClient:
    """Reads deployments of GitHub repositories. Safe to use from several threads.

    :param base_url: the API's base URL, of GitHub or of an Enterprise server (``https://HOST/api/v3``).
    """

    def __init__(
        self, session: requests.Session, base_url: str, token: str, *, limiter: RateLimiter | None = None
    ) -> None:
        session.headers["Accept"] = "application/vnd.github+json"
        session.headers["X-GitHub-Api-Version"] = "2022-11-28"
        self.transport = Transport(
            session, base_url, auth=HeaderAuth("Bearer ", token), dialect=DIALECT, limiter=limiter
        )

    def deployments(self, repository: str) -> Iterator[list[Raw]]:
        """Pages of a repository's deployments, the newest first (REST, list deployments)."""
        return self._pages(f"/repos/{repository}/deployments")

    def deployment_statuses(self, repository: str, deployment_id: str) -> list[Raw]:
        """All statuses of a deployment, the newest first (REST, list deployment statuses)."""
        pages = self._pages(f"/repos/{repository}/deployments/{deployment_id}/statuses")
        return [status for page in pages for status in page]

    def pulls_of_commit(self, repository: str, sha: str) -> list[Raw]:
        """The pull requests that a commit belongs to (REST, pull requests associated with a commit)."""
        return [pull for page in self._pages(f"/repos/{repository}/commits/{sha}/pulls") for pull in page]

    def _pages(self, path: str) -> Iterator[list[Raw]]:
        number = 1
        while True:
            params = {"per_page": PAGE_SIZE, "page": number}
            page = self.transport.get(path, domain=_DOMAIN, params=params, into=list[Raw])
            yield page
            if len(page) < PAGE_SIZE:
                return
            number += 1


def _detail(response: requests.Response) -> ErrorDetail:
    """Reads {message, errors: [{resource, field, code}]}."""
    request_id = response.headers.get("X-GitHub-Request-Id")
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        return ErrorDetail(response.reason or "no message", request_id)
    errors = [each for each in body.get("errors") or () if isinstance(each, dict)]
    fields = {str(each.get("field")): str(each.get("message") or each.get("code")) for each in errors}
    return ErrorDetail(str(body.get("message") or response.reason), request_id, fields)


def _is_throttled(response: requests.Response) -> bool:
    """A 403 is a rate limit, too, where no request is left or one may come after a while."""
    return response.status_code == 429 or (
        response.status_code == 403
        and (response.headers.get("x-ratelimit-remaining") == "0" or "Retry-After" in response.headers)
    )


def _throttle(response: requests.Response) -> Throttle:
    """The primary limit ends at x-ratelimit-reset (epoch seconds); the secondary after a minute or so."""
    reset = response.headers.get("x-ratelimit-reset", "")
    if response.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return Throttle(wait=max(1.0, int(reset) - time.time() + 1))
    return Throttle(wait=60.0)


DIALECT = Dialect(
    service="GitHub", hints=HINTS, detail=_detail, throttle=_throttle, is_throttled=_is_throttled
)
