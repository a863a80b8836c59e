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
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
from msgspec import Raw

from opsgenie_provider.api.dialect import Dialect, ErrorDetail, Throttle
from opsgenie_provider.api.errors import ApiError, ApiStatusError, RateLimitError, RedirectError
from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.transport import HeaderAuth, Transport

log = logging.getLogger(__name__)
T = TypeVar("T")

HOST = "https://api.github.com"
PAGE_SIZE = 100
HINTS = {
    401: "The token is unknown or expired: check the password of the connection.",
    403: "The token may not read this: it needs Deployments, Pull requests and Contents, all read-only.",
    404: "There is no such repository, or the token may not see it: check its name (owner/name) and that "
    "the token has access to it.",
    429: "The token's rate limit is used up: the next attempt waits as long as GitHub asks.",
}
_DOMAIN = "core"
_MAX_REDIRECTS = 5
_PERMANENT_REDIRECTS = (301, 308)
# GitHub asks for a minute where it does not say how long to wait.
_SECONDARY_WAIT = 60.0
# The window of the primary limit: no reset is further away.
_PRIMARY_WINDOW = 3600.0
# The messages of GitHub's rate limits, and of the secondary limit on older Enterprise servers; looked
# for in this many characters of an answer.
_SEARCHED_CHARACTERS = 2_000
_RATE_LIMIT = re.compile(r"rate[ -]limit|abuse detection", re.IGNORECASE)


class _Repository(msgspec.Struct):
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
        # Repository -> the start of its API URLs, once GitHub has redirected to a new location.
        self._locations: dict[str, str] = {}
        self._locations_lock = threading.Lock()
        #: Old -> new name of repositories that were renamed or transferred, where GitHub reported it.
        self.renamed: dict[str, str] = {}

    def deployments(self, repository: str) -> Iterator[list[Raw]]:
        """Pages of a repository's deployments, newest first (REST, list deployments)."""
        return self._pages(repository, "/deployments")

    def deployment_statuses(self, repository: str, deployment_id: str) -> list[Raw]:
        """All statuses of a deployment, newest first (REST, list deployment statuses)."""
        pages = self._pages(repository, f"/deployments/{deployment_id}/statuses")
        return [status for page in pages for status in page]

    def pulls_of_commit(self, repository: str, sha: str) -> list[Raw]:
        """The pull requests that a commit belongs to (REST, pull requests associated with a commit)."""
        pages = self._pages(repository, f"/commits/{sha}/pulls")
        return [pull for page in pages for pull in page]

    def has_moved(self, repository: str) -> bool:
        """Whether GitHub has redirected from this repository to another place."""
        return repository in self._locations

    def _pages(self, repository: str, path: str) -> Iterator[list[Raw]]:
        number = 1
        while True:
            params = {"per_page": PAGE_SIZE, "page": number}
            links: dict[str, Any] = {}
            page = self._get(repository, path, params=params, into=list[Raw], links=links)
            yield page
            # A page may be shorter than asked for; the Link header says whether another one follows.
            if not page or ("next" not in links and (links or len(page) < PAGE_SIZE)):
                return
            number += 1

    def _get(
        self, repository: str, path: str, *, params: Mapping[str, Any], into: type[T], links: dict[str, Any]
    ) -> T:
        """GET a path below a repository's URL, following the repository to a new location on this host."""
        for redirects_left in reversed(range(_MAX_REDIRECTS)):
            location = self._locations.get(repository, f"/repos/{repository}")
            try:
                return self.transport.get(
                    location + path, domain=_DOMAIN, params=params, into=into, links=links
                )
            except RedirectError as redirect:
                if not redirects_left:
                    raise redirect.copy_as(RedirectError, hint=_rename_hint(repository)) from redirect
                self._follow(repository, location, path, redirect)
            except RateLimitError:
                raise
            except ApiStatusError as error:
                if repository in self._locations:
                    raise error.copy_as(type(error), hint=_rename_hint(repository)) from error
                raise
        raise AssertionError("the last redirect raises")

    def _follow(self, repository: str, location: str, path: str, redirect: RedirectError) -> None:
        """Remember the new location of a repository, and log once which setting to change.

        :raises ForeignHostError: it is on another host.
        """
        url = self.transport.url_for(redirect.location or "").partition("?")[0]
        if redirect.location is None or not url.endswith(path):
            raise redirect.copy_as(RedirectError, hint=_rename_hint(repository))
        with self._locations_lock:
            if self._locations.get(repository, location) != location:
                # Another thread was redirected at the same time.
                return
            self._locations[repository] = url.removesuffix(path)
        if redirect.status in _PERMANENT_REDIRECTS:
            name = self._name_at(url.removesuffix(path))
            if name:
                self.renamed[repository] = name
            log.warning("%s", _rename_hint(repository, name))

    def _name_at(self, url: str) -> str | None:
        """The name of the repository at a URL; None where it cannot be read."""
        match = re.search(r"/repos/([^/]+/[^/]+)$", urlsplit(url).path)
        if match:
            return match[1]
        try:
            return self.transport.get(url, domain=_DOMAIN, into=_Repository).full_name
        except ApiError as error:
            # Only the new name is missing; reads at the new location raise their own errors.
            log.info("Could not read the new name of the repository at %s: %s", urlsplit(url).path, error)
            return None


def _rename_hint(repository: str, name: str | None = None) -> str:
    return (
        f"The repository {repository} was renamed or transferred{f' to {name}' if name else ''}: change its "
        "name in github_repositories of the settings."
    )


def _detail(response: requests.Response) -> ErrorDetail:
    """Reads {message, errors: [{resource, field, code}]}."""
    request_id = response.headers.get("X-GitHub-Request-Id")
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return ErrorDetail(response.reason or "no message", request_id)
    listed = body.get("errors")
    # Some answers have a text there.
    errors = [error for error in listed if isinstance(error, dict)] if isinstance(listed, list) else []
    fields = {str(error.get("field")): str(error.get("message") or error.get("code")) for error in errors}
    return ErrorDetail(str(body.get("message") or response.reason), request_id, fields)


def _is_throttled(response: requests.Response) -> bool:
    """429; or a 403 with no requests left, with Retry-After, or with a message about a rate limit.

    The secondary limit may be reported with requests left and without Retry-After; a 403 for a missing
    permission has none of these.
    """
    return response.status_code == 429 or (
        response.status_code == 403
        and (
            response.headers.get("x-ratelimit-remaining") == "0"
            or "Retry-After" in response.headers
            or _RATE_LIMIT.search(response.text[:_SEARCHED_CHARACTERS]) is not None
        )
    )


def _throttle(response: requests.Response) -> Throttle:
    """The primary limit resets at x-ratelimit-reset (Unix seconds), the secondary after at least a minute.

    A reset that is past says nothing: each of many tries a second would be refused.
    """
    reset = response.headers.get("x-ratelimit-reset", "")
    if response.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        wait = float(reset) - _answered_at(response)
        if wait >= 0:
            return Throttle(wait=min(wait, _PRIMARY_WINDOW) + 1)
    return Throttle(wait=_SECONDARY_WAIT)


def _answered_at(response: requests.Response) -> float:
    """When GitHub answered, in Unix seconds by its own clock, as the reset is."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return time.time()


DIALECT = Dialect(
    service="GitHub", hints=HINTS, detail=_detail, throttle=_throttle, is_throttled=_is_throttled
)
