"""The read side of GitHub's REST API: deployments, their statuses, and pull requests by commit.

Sources: docs.github.com/rest (deployments, deployment statuses, commits, rate limits, and best practices for
redirects).
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
from msgspec import Raw

from opsgenie_provider.api.errors import ApiError, ApiStatusError, RateLimitError, RedirectError
from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.transport import Dialect, ErrorDetail, HeaderAuth, Throttle, Transport

log = logging.getLogger(__name__)
T = TypeVar("T")

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
_MOST_REDIRECTS = 5
_PERMANENT = (301, 308)
# A minute is what GitHub asks for where it does not say how long to wait.
_SECONDARY_WAIT = 60.0
# GitHub's words for its rate limits, and for the secondary one as Enterprise servers used to call it.
_LONGEST_ERROR = 2_000
_RATE_LIMIT = re.compile(r"rate[ -]limit|abuse detection", re.IGNORECASE)


class _Named(msgspec.Struct):
    full_name: str


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
        # Where GitHub says that a repository is now: the beginning of its URLs.
        self._places: dict[str, str] = {}
        self._moving = threading.Lock()
        #: The new names of repositories that were renamed or transferred, as far as they are known.
        self.renamed: dict[str, str] = {}

    def deployments(self, repository: str) -> Iterator[list[Raw]]:
        """Pages of a repository's deployments, the newest first (REST, list deployments)."""
        return self._pages(repository, "/deployments")

    def deployment_statuses(self, repository: str, deployment_id: str) -> list[Raw]:
        """All statuses of a deployment, the newest first (REST, list deployment statuses)."""
        pages = self._pages(repository, f"/deployments/{deployment_id}/statuses")
        return [status for page in pages for status in page]

    def pulls_of_commit(self, repository: str, sha: str) -> list[Raw]:
        """The pull requests that a commit belongs to (REST, pull requests associated with a commit)."""
        pages = self._pages(repository, f"/commits/{sha}/pulls")
        return [pull for page in pages for pull in page]

    def _pages(self, repository: str, below: str) -> Iterator[list[Raw]]:
        number = 1
        while True:
            params = {"per_page": PAGE_SIZE, "page": number}
            page = self._get(repository, below, params=params, into=list[Raw])
            yield page
            if len(page) < PAGE_SIZE:
                return
            number += 1

    def _get(self, repository: str, below: str, *, params: Mapping[str, Any], into: type[T]) -> T:
        """GET something below a repository's URL, wherever on this host the repository has moved to."""
        for left in reversed(range(_MOST_REDIRECTS)):
            place = self._places.get(repository, f"/repos/{repository}")
            try:
                return self.transport.get(place + below, domain=_DOMAIN, params=params, into=into)
            except RedirectError as redirect:
                if not left:
                    redirect.hint = _renamed(repository)
                    raise
                self._follow(repository, place, below, redirect)
            except RateLimitError:
                raise
            except ApiStatusError as error:
                if repository in self._places:
                    error.hint = _renamed(repository)
                raise
        raise AssertionError("the last redirect raises")

    def _follow(self, repository: str, place: str, below: str, redirect: RedirectError) -> None:
        """Note where a repository is now, and say once which setting to change.

        :raises ForeignHostError: it is on another host.
        """
        url = self.transport.url_for(redirect.location or "").partition("?")[0]
        if redirect.location is None or not url.endswith(below):
            redirect.hint = _renamed(repository)
            raise redirect
        with self._moving:
            if self._places.get(repository, place) != place:
                # Another thread was redirected at the same time.
                return
            self._places[repository] = url.removesuffix(below)
        if redirect.status in _PERMANENT:
            name = self._name_at(url.removesuffix(below))
            if name:
                self.renamed[repository] = name
            log.warning("%s", _renamed(repository, name))

    def _name_at(self, url: str) -> str | None:
        """The name of the repository at a URL; None where it does not answer."""
        named = re.search(r"/repos/([^/]+/[^/]+)$", urlsplit(url).path)
        if named:
            return named[1]
        try:
            return self.transport.get(url, domain=_DOMAIN, into=_Named).full_name
        except ApiError as error:
            # Only the name is missing; what is read at the new place fails by itself if it must.
            log.info("The new name of a repository is not known: %s", error)
            return None


def _renamed(repository: str, name: str | None = None) -> str:
    return (
        f"The repository {repository} was renamed or transferred{f' to {name}' if name else ''}: write its "
        "new name in github_repositories of the settings."
    )


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
    """A 403 is a rate limit, too, where no request is left, one may come after a while, or it says so.

    The secondary limit may come with requests left and without Retry-After; lacking rights say neither.
    """
    return response.status_code == 429 or (
        response.status_code == 403
        and (
            response.headers.get("x-ratelimit-remaining") == "0"
            or "Retry-After" in response.headers
            or _RATE_LIMIT.search(response.text[:_LONGEST_ERROR]) is not None
        )
    )


def _throttle(response: requests.Response) -> Throttle:
    """The primary limit ends at x-ratelimit-reset (epoch seconds); the secondary after a minute at least."""
    reset = response.headers.get("x-ratelimit-reset", "")
    if response.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return Throttle(wait=max(1.0, int(reset) - time.time() + 1))
    return Throttle(wait=_SECONDARY_WAIT)


DIALECT = Dialect(
    service="GitHub", hints=HINTS, detail=_detail, throttle=_throttle, is_throttled=_is_throttled
)
