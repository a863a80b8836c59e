"""Issues, their changelogs, fields, statuses and users: the Jira side of Jira Service Management.

Source: developer.atlassian.com, Jira Cloud platform REST API v3 (issue search, issues, issue fields,
workflow statuses, issue types, users, myself).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Raw

from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import (
    REPORT_REMEDY,
    InvalidRequestError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
)
from opsgenie_provider.api.jsm_dialect import ISSUES, SEARCH, SERVICE_NAME, USERS
from opsgenie_provider.api.jsm_transport import Gateway

# With fields other than id and key, a page has at most 100 issues, whatever is requested.
PAGE_SIZE, IDS_PAGE_SIZE = 100, 5000
CHANGELOG_PAGE_SIZE = 100
# A changelog embedded in a page of issues is truncated at this many entries.
_EMBEDDED_CHANGELOG_LIMIT = 40
_USERS_PER_REQUEST = 50
# The number of users returned where the requested page size was ignored; the rest is silently dropped.
_DEFAULT_USERS_PAGE = 10


class Myself(msgspec.Struct):
    """The account that the credentials belong to.

    :param accountType: "atlassian" for a person; "app" for a service account or an app, "customer"
        for someone who only uses the portal.
    :param timeZone: the zone in which times of a search are read.
    """

    accountId: str
    accountType: str | None = None
    displayName: str | None = None
    emailAddress: str | None = None
    timeZone: str | None = None


class SearchPage(msgspec.Struct):
    """A page of a search. It may be shorter than requested, or empty, and still have a next page."""

    issues: list[Raw]
    nextPageToken: str | None = None


class _ChangelogPage(msgspec.Struct):
    values: list[Raw]
    total: int | None = None
    isLast: bool | None = None


class _EmbeddedChangelog(msgspec.Struct):
    histories: list[Raw]
    total: int | None = None


class _IssueChangelog(msgspec.Struct):
    changelog: _EmbeddedChangelog | None = None


class _Users(msgspec.Struct):
    values: list[Raw]
    isLast: bool | None = None


class _User(msgspec.Struct):
    accountId: str | None = None


class JsmJira:
    """Reads the Jira of one site. Safe to use from several threads."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def myself(self) -> Myself:
        """The account that the credentials belong to (myself): the cheapest check of them."""
        return self._gateway.get(USERS, "/myself", Myself)

    def fields(self) -> list[Raw]:
        """All fields of the site, whose ids differ from site to site (issue fields)."""
        return self._gateway.get(ISSUES, "/field", list[Raw])

    def statuses(self) -> list[Raw]:
        """All statuses with their categories (workflow statuses)."""
        return self._gateway.get(ISSUES, "/status", list[Raw])

    def issue_types(self) -> list[Raw]:
        """All issue types that this account may see (issue types)."""
        return self._gateway.get(ISSUES, "/issuetype", list[Raw])

    def search(
        self,
        jql: str,
        *,
        fields: Iterable[str] = ("id",),
        expand: str | None = None,
        size: int = IDS_PAGE_SIZE,
        token: str | None = None,
        reconcile: Sequence[str] = (),
    ) -> SearchPage:
        """One page of a search (issue search, search/jql), which has no total.

        :param token: the last page's ``nextPageToken``.
        :param reconcile: ids of issues to search in their latest state, indexed or not; at most 50.
        """
        params: dict[str, Any] = {"jql": jql, "fields": ",".join(fields), "maxResults": size}
        params |= {"expand": expand} if expand else {}
        params |= {"nextPageToken": token} if token else {}
        params |= {"reconcileIssues": list(reconcile)} if reconcile else {}
        return self._gateway.get(SEARCH, "/search/jql", SearchPage, params)

    def pages(
        self, jql: str, *, fields: Iterable[str], expand: str | None = None, size: int = PAGE_SIZE
    ) -> Iterator[list[Raw]]:
        """All pages of a search, by ``nextPageToken``: the number of issues on a page does not show the end.

        :raises InvalidResponseError: a token repeats, so that paging would never end.
        """
        fields, token, seen = list(fields), None, set[str]()
        while True:
            page = self.search(jql, fields=fields, expand=expand, size=size, token=token)
            yield page.issues
            token = page.nextPageToken
            if not token:
                return
            if token in seen:
                raise InvalidResponseError(
                    f"Paging through a search of {SERVICE_NAME} repeats a page token. {REPORT_REMEDY}"
                )
            seen.add(token)

    def issue(self, issue_id: str, *, fields: Iterable[str], expand: str | None = None) -> Raw:
        """One issue (issues, get).

        :raises NotFoundError: it was deleted, or this account may not see it.
        """
        params = {"fields": ",".join(fields)} | ({"expand": expand} if expand else {})
        return self._gateway.get(ISSUES, f"/issue/{quote(issue_id, safe='')}", Raw, params)

    def sees_project(self, project_id: str) -> bool:
        """Whether this account may see a project (issue search; projects, get).

        A search answers for a project without issues, and for one that does not exist, with an empty list
        or with 400.
        """
        with suppress(InvalidRequestError, NotFoundError, PermissionDeniedError):
            if self.search(f"project = {project_id}", size=1).issues:
                return True
        with suppress(NotFoundError, PermissionDeniedError):
            self._gateway.get(ISSUES, f"/project/{quote(project_id, safe='')}", Raw)
            return True
        return False

    def may_hide_issues(self, project_id: str) -> bool:
        """Whether a security level may hide issues of a visible project from this account: they answer 404
        as deleted ones do (project permission schemes, get project issue security scheme).

        Only who administers the project is told: for others, issues may be hidden. Without a scheme there is
        no such object, or nothing in the answer.
        """
        path = f"/project/{quote(project_id, safe='')}/issuesecuritylevelscheme"
        try:
            return bytes(self._gateway.get(ISSUES, path, Raw)) != b"null"
        except NotFoundError:
            return False
        except (InvalidRequestError, InvalidResponseError, PermissionDeniedError):
            return True

    def changelog(self, issue_id: str) -> list[Raw]:
        """The whole changelog of an issue (issues, get changelogs; pages of at most 100).

        :raises InvalidResponseError: an empty page that is not the last.
        """
        histories: list[Raw] = []
        while True:
            params = {"startAt": len(histories), "maxResults": CHANGELOG_PAGE_SIZE}
            page = self._gateway.get(
                ISSUES, f"/issue/{quote(issue_id, safe='')}/changelog", _ChangelogPage, params
            )
            histories += page.values
            if page.total is not None:
                last = len(histories) >= page.total
            else:
                last = page.isLast or (page.isLast is None and len(page.values) < CHANGELOG_PAGE_SIZE)
            if last:
                return histories
            if not page.values:
                raise InvalidResponseError(
                    f"{SERVICE_NAME} listed only {len(histories)} entries of the changelog of issue "
                    f"{issue_id}, but says that more follow. {REPORT_REMEDY}"
                )

    def users(self, account_ids: Iterable[str]) -> Iterator[Raw]:
        """The users with these account ids, without unknown ids (users, bulk get)."""
        wanted = sorted(set(account_ids))
        for start in range(0, len(wanted), _USERS_PER_REQUEST):
            yield from self._users_batch(wanted[start : start + _USERS_PER_REQUEST])

    def _users_batch(self, wanted: list[str]) -> Iterator[Raw]:
        while wanted:
            params = {"accountId": wanted, "maxResults": len(wanted)}
            answer = self._gateway.get(USERS, "/user/bulk", _Users, params)
            yield from answer.values
            found = {_account_id(user) for user in answer.values}
            missing = [account_id for account_id in wanted if account_id not in found]
            truncated = answer.isLast is False or len(answer.values) == _DEFAULT_USERS_PAGE
            if not truncated or len(missing) == len(wanted):
                return  # The missing ids are unknown to the service.
            wanted = missing


def _account_id(user: Raw) -> str | None:
    try:
        return decode_into(user, _User).accountId
    except msgspec.DecodeError:
        return None


def whole_changelog(issue: Raw) -> list[Raw] | None:
    """The changelog embedded in an issue; None where it is absent or may be truncated."""
    try:
        changelog = decode_into(issue, _IssueChangelog).changelog
    except msgspec.DecodeError:
        return None
    if changelog is None or len(changelog.histories) >= _EMBEDDED_CHANGELOG_LIMIT:
        return None
    if changelog.total is not None and changelog.total > len(changelog.histories):
        return None
    return changelog.histories
