"""The read side of OpsGenie's REST API. Nothing here sends anything but GET.

Sources: docs.opsgenie.com/docs (incident, alert, service, team, user, schedule, escalation, account and
incident-timeline APIs, rate limiting, response), the opsgenie-oas description and
support.atlassian.com/opsgenie ("Search syntax for incidents").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec
import requests
from msgspec import Raw

from opsgenie_provider.api.dialect import Dialect, ErrorDetail, Throttle
from opsgenie_provider.api.errors import (
    REPORT_REMEDY,
    InvalidRequestError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    PlanError,
)
from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.listing import Listing, read_whole
from opsgenie_provider.api.transport import HeaderAuth, Transport
from opsgenie_provider.instants import whole_seconds

HOSTS = {"us": "https://api.opsgenie.com", "eu": "https://api.eu.opsgenie.com"}
PAGE_SIZE = 100
TIMELINE_PAGE_SIZE = 20
# The service rejects offset + limit of 20,000 or more; whether 20,000 itself is allowed is not documented.
REACHABLE = 20_000 - PAGE_SIZE

# Rate-limit domains: each has its own limits (docs.opsgenie.com/docs/api-rate-limiting).
INCIDENT, ALERT, SEARCH, CONFIGURATION = "incident", "alert", "search", "configuration"

HINTS = {
    401: "The key is unknown to this host: check the password of the connection, that its integration is "
    "enabled, and the region (the EU host rejects a US key, and vice versa).",
    402: "The account's plan does not include this API: incidents and services need the Standard or "
    "Enterprise plan. Where alerts are your incidents, name the account in the setting alert_accounts.",
    403: "The key lacks an access right: the sync needs Read, and Configuration Access for services, "
    "schedules, escalations, teams and users. A team's key sees that team only.",
    422: "If the format of the key is not valid, the password of the connection is not an API key.",
    404: "Check the host of the connection: it is the API's base URL, without a path.",
}


T = TypeVar("T")


class _Paging(msgspec.Struct):
    next: str | None = None


class _Envelope(msgspec.Struct, Generic[T]):
    """The JSON around every answer; items stay raw, so that they are stored as received."""

    data: T
    totalCount: int | None = None
    paging: _Paging | None = None


class _Count(msgspec.Struct):
    count: int


class _TimelinePage(msgspec.Struct):
    entries: list[Raw] | None = None
    nextOffset: str | int | None = None


class Page(msgspec.Struct, frozen=True):
    """One page of a list.

    :param items: the payloads as received.
    :param total: how many items the query matches; None where the service does not say.
    :param last: whether no page follows.
    """

    items: list[Raw]
    total: int | None
    last: bool


class OpsgenieClient:
    """Reads one OpsGenie account. Safe to use from several threads.

    Pages are requested by offset; the absolute links in ``paging`` are never followed, so the key is
    never sent to another host.

    :param session: a requests session with TLS and proxy settings applied.
    :param base_url: ``HOSTS["us"]``, ``HOSTS["eu"]`` or any other.
    :param key: the API key; it is put into the Authorization header and nowhere else.
    """

    def __init__(
        self, session: requests.Session, base_url: str, key: str, *, limiter: RateLimiter | None = None
    ) -> None:
        self.transport = Transport(
            session, base_url, auth=HeaderAuth("GenieKey ", key), dialect=DIALECT, limiter=limiter
        )

    # --- account

    def account(self) -> dict[str, Any]:
        """Name, user count and plan of the account (account API).

        :raises PermissionDeniedError: the key is a team's.
        """
        return self._data("/v2/account", CONFIGURATION, dict[str, Any])

    def request_limits(self) -> dict[str, list[tuple[int, float]]]:
        """Domain -> (requests, seconds) windows of this account.

        The published reference lacks this endpoint, but Atlassian's own backup tool reads it.

        :raises PermissionDeniedError: the key is a team's.
        """
        answer = self._data("/v2/request-limits/", CONFIGURATION, _RequestLimits)
        return {
            domain_name(entry.domain): [(window.limit, window.periodInSeconds) for window in entry.limits]
            for entry in answer.rateLimits
        }

    # --- incidents

    def incidents(
        self,
        *,
        query: str = "",
        offset: int = 0,
        limit: int = PAGE_SIZE,
        sort: str = "createdAt",
        order: str = "asc",
    ) -> Page:
        """One page of incidents (incident API, list; at most 100, offset + limit < 20,000)."""
        params = {"limit": limit, "offset": offset, "sort": sort, "order": order}
        return self._page("/v1/incidents", INCIDENT, params | ({"query": query} if query else {}))

    def incident(self, incident_id: str) -> Raw:
        """One incident by its id (incident API, get).

        :raises NotFoundError: it was deleted, or this key may not see it.
        """
        return self._data(f"/v1/incidents/{incident_id}", INCIDENT, Raw, {"identifierType": "id"})

    def timeline_entries(self, incident_id: str) -> list[Raw]:
        """All timeline entries of an incident (incident timeline API; pages of 20 by nextOffset).

        :raises InvalidResponseError: ``nextOffset`` repeats, so that paging would never end.
        """
        entries: list[Raw] = []
        seen: set[str] = set()
        offset = ""
        while True:
            params = {"limit": TIMELINE_PAGE_SIZE} | ({"offset": offset} if offset else {})
            page = self._data(
                f"/v2/incident-timelines/{incident_id}/entries", INCIDENT, _TimelinePage, params
            )
            entries += page.entries or ()
            following = str(page.nextOffset or "")
            if not following or not page.entries:
                return entries
            if following == offset and len(page.entries) < TIMELINE_PAGE_SIZE:
                # A page that is not full, and leads to itself, is the last.
                return entries
            offset = following
            if offset in seen:
                raise InvalidResponseError(
                    f"OpsGenie's timeline of incident {incident_id} repeats the page offset {offset!r}. "
                    f"{REPORT_REMEDY}"
                )
            seen.add(offset)

    # --- alerts

    def alerts(
        self,
        *,
        query: str = "",
        offset: int = 0,
        limit: int = PAGE_SIZE,
        sort: str = "createdAt",
        order: str = "asc",
    ) -> Page:
        """One page of alerts (alert API, list; at most 100, offset + limit < 20,000; no total)."""
        params = {"limit": limit, "offset": offset, "sort": sort, "order": order}
        return self._page("/v2/alerts", SEARCH, params | ({"query": query} if query else {}))

    def reads_alerts(self) -> bool:
        """Whether the key may list alerts."""
        try:
            self.alerts(limit=1)
        except (PermissionDeniedError, PlanError, NotFoundError):
            return False
        return True

    def alert_count(self, query: str) -> int | None:
        """How many alerts a query matches (alert API, count); None where the service does not say."""
        try:
            return self._data("/v2/alerts/count", SEARCH, _Count, {"query": query}).count
        except (InvalidRequestError, NotFoundError, PermissionDeniedError, PlanError, InvalidResponseError):
            return None

    def alert(self, alert_id: str) -> Raw:
        """One alert by its id (alert API, get), with description, details and entity, which lists lack.

        :raises NotFoundError: it was deleted, or this key may not see it.
        """
        return self._data(f"/v2/alerts/{quote(alert_id, safe='')}", ALERT, Raw, {"identifierType": "id"})

    # --- configuration

    def services(self) -> Listing:
        """All services (service API; Standard and Enterprise plans only). The service does not count them."""
        return read_whole(lambda: self._pages("/v1/services", CONFIGURATION), "services", overlapping=True)

    def check_services_readable(self) -> None:
        """Ask for one service: a cheap check of the right to read services.

        :raises ApiError: the key may not, or the plan has no services.
        """
        self._page("/v1/services", CONFIGURATION, {"limit": 1})

    def users(self) -> Listing:
        """All users (user API); their requests belong to the Search domain."""
        return read_whole(lambda: self._pages("/v2/users", SEARCH), "users", overlapping=True)

    def teams(self) -> Listing:
        """All teams, without their members (team API, list: not paged)."""
        return self._unpaged("/v2/teams")

    def schedules(self) -> Listing:
        """All schedules with their rotations (schedule API, list: not paged)."""
        return self._unpaged("/v2/schedules", {"expand": "rotation"})

    def schedule_timeline(self, schedule_id: str, *, start: datetime, weeks: int) -> Raw:
        """Who is on call from ``start`` for ``weeks``, overrides and forwardings applied (schedule API,
        timeline)."""
        params = {
            "identifierType": "id",
            "date": whole_seconds(start),
            "interval": weeks,
            "intervalUnit": "weeks",
        }
        return self._data(f"/v2/schedules/{schedule_id}/timeline", CONFIGURATION, Raw, params)

    def escalations(self) -> Listing:
        """All escalation policies with their rules (escalation API, list: not paged)."""
        return self._unpaged("/v2/escalations")

    # --- requests

    def _data(self, path: str, domain: str, into: type[T], params: Mapping[str, Any] | None = None) -> T:
        return self.transport.get(path, domain=domain, params=params, into=_Envelope[into]).data  # type: ignore[valid-type]

    def _page(self, path: str, domain: str, params: Mapping[str, Any]) -> Page:
        answer = self.transport.get(path, domain=domain, params=params, into=_Envelope[list[Raw]])
        full = len(answer.data) >= int(params["limit"])
        last = not answer.paging.next if answer.paging else not full
        return Page(items=answer.data, total=answer.totalCount, last=last or not answer.data)

    def _unpaged(self, path: str, params: Mapping[str, Any] | None = None) -> Listing:
        """A list in a single answer; it is incomplete if the answer has a next page or a larger total."""
        answer = self.transport.get(path, domain=CONFIGURATION, params=params, into=_Envelope[list[Raw]])
        has_more = answer.paging is not None and answer.paging.next
        complete = not has_more and answer.totalCount in (None, len(answer.data))
        return Listing(answer.data, complete)

    def _pages(self, path: str, domain: str) -> Iterator[Page]:
        """Pages of a list; each later one begins with the last item of the one before."""
        offset = 0
        while True:
            page = self._page(path, domain, {"limit": PAGE_SIZE, "offset": offset, "order": "asc"})
            yield page
            offset += len(page.items) - 1
            if page.last or len(page.items) <= 1:
                return


class _LimitWindow(msgspec.Struct):
    limit: int
    periodInSeconds: float


class _DomainLimits(msgspec.Struct):
    domain: str
    limits: list[_LimitWindow]


class _RequestLimits(msgspec.Struct):
    rateLimits: list[_DomainLimits]


def domain_name(name: str) -> str:
    """The normalised name of a rate-limit domain: "Schedule-oncalls" and "SCHEDULE_ONCALLS" are the same."""
    return re.sub(r"[^a-z]", "", name.lower())


def _detail(response: requests.Response) -> ErrorDetail:
    """Reads an error body: {message, errors: {field: text}, took, requestId} (docs, response)."""
    request_id = response.headers.get("X-Request-Id")
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    kind = response.headers.get("X-Opsgenie-Errortype")
    if not isinstance(body, dict):
        return ErrorDetail(response.reason or "no message", request_id, kind=kind)
    errors = body.get("errors")
    fields = {str(name): str(text) for name, text in errors.items()} if isinstance(errors, dict) else {}
    message = str(body.get("message") or response.reason or "no message")
    return ErrorDetail(message, str(body.get("requestId") or request_id or "") or None, fields, kind)


def _throttle(response: requests.Response) -> Throttle:
    """Reads X-RateLimit-Period-In-Sec: which of the two token buckets, a second or a minute, is empty.

    Buckets refill continuously, so the next attempt waits 10 seconds at most.
    """
    value = response.headers.get("X-RateLimit-Period-In-Sec", "")
    period = float(value) if value.isdecimal() else None
    return Throttle(wait=min(period or 1.0, 10.0), period=period)


DIALECT = Dialect(service="OpsGenie", hints=HINTS, detail=_detail, throttle=_throttle)
