"""The read side of Jira Service Management's REST APIs.

One client for Operations (schedules, teams, escalation policies, alerts), services, and Jira's issues
and users. Nothing here sends anything but GET, and credentials are sent to the API's host only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import msgspec
import requests
from msgspec import Raw

from opsgenie_provider.api.errors import REPORT_REMEDY, InvalidResponseError, PermissionDeniedError
from opsgenie_provider.api.jsm_dialect import DIALECT, SERVICE_NAME, SERVICES
from opsgenie_provider.api.jsm_jira import IDS_PAGE_SIZE, JsmJira, whole_changelog
from opsgenie_provider.api.jsm_jql import incident_jql, incident_types_jql, without_order
from opsgenie_provider.api.jsm_operations import JsmOperations
from opsgenie_provider.api.jsm_transport import BasicAuth, Gateway
from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.opsgenie import Page
from opsgenie_provider.api.transport import Transport
from opsgenie_provider.rows.fields import UnreadablePayloadError, decode, required_text
from opsgenie_provider.rows.jsm_site import IssueRules, SiteSettings, Statuses, issue_fields

SERVICE_PAGE_SIZE = 50
_CHANGELOG = "changelog"


class _ServicePagination(msgspec.Struct):
    totalCount: int | None = None
    hasNext: bool | None = None


class _ServicePage(msgspec.Struct):
    services: list[Raw]
    pagination: _ServicePagination | None = None


class Issue(NamedTuple):
    """An issue as received, with its changelog; None where that has to be read separately."""

    raw: Raw
    histories: list[Raw] | None

    def __bytes__(self) -> bytes:
        return bytes(self.raw)


class JsmClient:
    """Reads one site of Jira Service Management. Safe to use from several threads.

    :param session: a requests session with TLS and proxy settings applied.
    :param api_url: the only host that credentials are sent to.
    :param email: of the account that the API token belongs to.
    :param settings: the connection's settings for the site.
    """

    def __init__(
        self,
        session: requests.Session,
        api_url: str,
        *,
        cloud_id: str,
        email: str,
        token: str,
        settings: SiteSettings,
        limiter: RateLimiter | None = None,
    ) -> None:
        auth = BasicAuth(email, token)
        self.transport = Transport(session, api_url, auth=auth, dialect=DIALECT, limiter=limiter)
        self.settings = settings
        self.cloud_id = cloud_id
        self._gateway = Gateway(self.transport, cloud_id, auth)
        self.operations = JsmOperations(self._gateway)
        self.jira = JsmJira(self._gateway)

    @cached_property
    def incidents(self) -> JsmIncidents:
        """The incidents of the site; the first use reads its fields, statuses and issue types."""
        return JsmIncidents(self.jira, self.settings)

    # --- services

    def services(self) -> Iterator[Page]:
        """Pages of all services (services API; its maximum page size is not documented).

        :raises InvalidResponseError: an empty page that is not the last.
        """
        offset = 0
        while True:
            page = self._service_page(offset, SERVICE_PAGE_SIZE)
            total = page.pagination.totalCount if page.pagination else None
            offset += len(page.services)
            if page.pagination and page.pagination.hasNext is not None:
                more = page.pagination.hasNext
            elif total is not None:
                more = offset < total
            else:
                more = len(page.services) >= SERVICE_PAGE_SIZE
            yield Page(items=page.services, total=total, last=not more)
            if not more:
                return
            if not page.services:
                raise InvalidResponseError(
                    f"{SERVICE_NAME} listed no services at offset {offset}, but says that more follow. "
                    f"{REPORT_REMEDY}"
                )

    def first_service(self) -> list[Raw]:
        """A page of at most one service: a cheap check of the right to read them."""
        return self._service_page(0, 1).services

    def _service_page(self, offset: int, size: int) -> _ServicePage:
        return self._gateway.get(SERVICES, "/services/", _ServicePage, {"offset": offset, "size": size})


class JsmIncidents:
    """Reads the issues of a site that are incidents, with their changelogs.

    Its creation sends four requests: for the caller's time zone, the site's fields and statuses, and the
    issue types where the settings have no JQL for incidents.
    """

    def __init__(self, jira: JsmJira, settings: SiteSettings) -> None:
        self._jira = jira
        self._zone = _time_zone(jira)
        self.jql = settings.incident_jql or incident_types_jql(jira.issue_types())
        self.rules = IssueRules(settings, issue_fields(jira.fields(), settings), Statuses(jira.statuses()))

    def pages(
        self,
        *,
        created_since: datetime | None = None,
        created_until: datetime | None = None,
        updated_since: datetime | None = None,
    ) -> Iterator[list[Issue]]:
        """Pages of the incidents created in [created_since, created_until) and updated from
        ``updated_since`` on.

        JQL takes whole minutes, so incidents of up to a minute outside the bounds may be listed too.
        """
        jql = self._bounded(created_since, created_until, updated_since)
        fields = self.rules.fields.requested
        for page in self._jira.pages(jql, fields=fields, expand=_CHANGELOG):
            yield [Issue(raw, whole_changelog(raw)) for raw in page]

    def ids(self, *, created_since: datetime, created_until: datetime | None = None) -> Iterator[str]:
        """The ids of all incidents created in a window that still exist, 5,000 per request.

        :raises InvalidResponseError: an issue without an id.
        """
        jql = self._bounded(created_since, created_until, None)
        for page in self._jira.pages(jql, fields=["id"], size=IDS_PAGE_SIZE):
            for raw in page:
                try:
                    yield required_text(decode(raw), "id")
                except UnreadablePayloadError as error:
                    raise InvalidResponseError(
                        f"{SERVICE_NAME} listed an issue without its id: {error}. {REPORT_REMEDY}"
                    ) from None

    def complete(self, issue: Issue) -> Issue:
        """The issue with its whole changelog, which is read separately where it was truncated."""
        if issue.histories is not None:
            return issue
        issue_id = required_text(decode(issue.raw), "id")
        return Issue(issue.raw, self._jira.changelog(issue_id))

    def incident(self, issue_id: str) -> Issue:
        """One issue by its id, whether or not it still is an incident.

        :raises NotFoundError: it was deleted, or this account may not see it: the answer is the same.
        """
        raw = self._jira.issue(issue_id, fields=self.rules.fields.requested, expand=_CHANGELOG)
        return self.complete(Issue(raw, whole_changelog(raw)))

    def is_listed(self, issue_id: str) -> bool:
        """Whether an existing issue is an incident, even if the search index is not up to date."""
        if not (issue_id.isascii() and issue_id.isdecimal()):
            return False
        jql = f"({without_order(self.jql)}) AND id = {issue_id}"
        return bool(self._jira.search(jql, reconcile=[issue_id]).issues)

    def _bounded(
        self, created_since: datetime | None, created_until: datetime | None, updated_since: datetime | None
    ) -> str:
        return incident_jql(
            self.jql,
            zone=self._zone,
            created_since=created_since,
            created_until=created_until,
            updated_since=updated_since,
        )


def _time_zone(jira: JsmJira) -> str | None:
    try:
        return jira.myself().timeZone
    except PermissionDeniedError:
        return None  # The token has no scope for users: time bounds are widened instead.
