"""The read side of PagerDuty's REST API v2. Nothing here sends anything but GET.

Sources: PagerDuty's api-schema and developer docs (authentication, pagination, rate limits, errors,
regions, incidents, log entries, notes, priorities, services, teams).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import requests
from msgspec import Raw

from opsgenie_provider.api.dialect import Dialect, ErrorDetail, Quota, Throttle
from opsgenie_provider.api.errors import REPORT_REMEDY, InvalidRequestError, InvalidResponseError
from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.listing import Listing, read_whole
from opsgenie_provider.api.transport import HeaderAuth, Transport
from opsgenie_provider.instants import whole_seconds

HOSTS = {"us": "https://api.pagerduty.com", "eu": "https://api.eu.pagerduty.com"}
PAGE_SIZE = 100
# The service rejects offset + limit beyond 10,000 (pagination); this stays a page below it.
REACHABLE = 10_000 - PAGE_SIZE
# The rate-limit domain: a key has a single limit (rate limits).
REST = "rest"
HINTS = {
    401: "The key is unknown to this host: check the password of the connection and the region (the EU "
    "host rejects a US key, and vice versa).",
    402: "The account's plan does not include this API.",
    403: "The key lacks access: use a read-only account key, or a user key that sees every team.",
    404: "Check the host of the connection: it is the API's base URL, without a path.",
}


class _Abilities(msgspec.Struct):
    abilities: list[str]


class PagerdutyPage(msgspec.Struct, frozen=True):
    """One page of a list.

    :param items: the payloads as received.
    :param total: how many items the list has; None where the service does not say.
    :param more: whether another page follows.
    """

    items: list[Raw]
    total: int | None
    more: bool


class PagerdutyClient:
    """Reads one PagerDuty account. Safe to use from several threads."""

    def __init__(
        self, session: requests.Session, base_url: str, key: str, *, limiter: RateLimiter | None = None
    ) -> None:
        session.headers["Accept"] = "application/vnd.pagerduty+json;version=2"
        self.transport = Transport(
            session, base_url, auth=HeaderAuth("Token token=", key), dialect=DIALECT, limiter=limiter
        )
        self._includes: list[str] = ["priorities", "body"]

    def abilities(self) -> list[str]:
        """Features of the account's plan (abilities); the cheapest check of a key, account's or user's."""
        return self.transport.get("/abilities", domain=REST, into=_Abilities).abilities

    def incidents(self, since: datetime, until: datetime, *, offset: int = 0) -> PagerdutyPage:
        """A page of the incidents created from ``since`` until ``until``, oldest first (incidents, list).

        ``include[]=body`` is not in the specification, but the body becomes the description; a server
        that rejects it is asked without it.
        """
        return self._incidents({**_window(since, until), "sort_by": "created_at:asc"}, offset)

    def first_incident(self) -> list[Raw]:
        """At most one incident: the account's oldest (incidents, list, date_range=all)."""
        return self._incidents({"date_range": "all", "sort_by": "created_at:asc"}, 0, limit=1).items

    def log_entries(self, since: datetime, until: datetime, *, offset: int = 0) -> PagerdutyPage:
        """A page of the whole account's log entries of a window (log entries, list)."""
        return self._page("/log_entries", "log_entries", _window(since, until), offset)

    def incident_log_entries(self, incident_id: str) -> list[Raw]:
        """All log entries of an incident (incidents, list log entries)."""
        path = f"/incidents/{incident_id}/log_entries"
        params = {"time_zone": "UTC"}
        return read_whole(lambda: self._pages(path, "log_entries", params), path, overlapping=True).items

    def notes(self, incident_id: str) -> list[Raw]:
        """All notes of an incident: at most 2,000, not paged (incidents, list notes)."""
        return self._items(f"/incidents/{incident_id}/notes", "notes", {})

    def priorities(self) -> Listing:
        """The account's priorities, most severe first (priorities).

        :raises PlanError: the plan has no priorities.
        """
        return self._whole("priorities")

    def services(self) -> Listing:
        """All services, without deleted services (services)."""
        return self._whole("services")

    def teams(self) -> Listing:
        """All teams (teams).

        :raises PlanError: the plan has no teams.
        """
        return self._whole("teams")

    # --- requests

    def _incidents(self, params: Mapping[str, Any], offset: int, limit: int = PAGE_SIZE) -> PagerdutyPage:
        def page(includes: Sequence[str]) -> PagerdutyPage:
            query = {**params, "include[]": list(includes)}
            return self._page("/incidents", "incidents", query, offset, limit)

        includes = self._includes
        try:
            return page(includes)
        except InvalidRequestError:
            if "body" not in includes:
                raise
            without_body = [name for name in includes if name != "body"]
            found = page(without_body)
            self._includes = without_body
            return found

    def _items(self, path: str, name: str, params: Mapping[str, Any]) -> list[Raw]:
        answer = self.transport.get(path, domain=REST, params=params, into=dict[str, Raw])
        try:
            return msgspec.json.decode(answer[name], type=list[Raw])
        except (KeyError, msgspec.DecodeError):
            raise InvalidResponseError(
                f"PagerDuty's answer to GET {path} has no list {name!r}. {REPORT_REMEDY}"
            ) from None

    def _page(
        self, path: str, name: str, params: Mapping[str, Any], offset: int, limit: int = PAGE_SIZE
    ) -> PagerdutyPage:
        query = {**params, "limit": limit, "offset": offset, "total": "true"}
        answer = self.transport.get(path, domain=REST, params=query, into=dict[str, Raw])
        try:
            return PagerdutyPage(
                items=msgspec.json.decode(answer[name], type=list[Raw]),
                total=msgspec.json.decode(answer.get("total", b"null"), type=int | None),
                more=msgspec.json.decode(answer.get("more", b"false"), type=bool | None) or False,
            )
        except (KeyError, msgspec.DecodeError):
            raise InvalidResponseError(
                f"PagerDuty's answer to GET {path} is not a page of {name!r}. {REPORT_REMEDY}"
            ) from None

    def _whole(self, name: str) -> Listing:
        return read_whole(lambda: self._pages(f"/{name}", name, {}), f"PagerDuty's {name}", overlapping=True)

    def _pages(self, path: str, name: str, params: Mapping[str, Any]) -> Iterator[PagerdutyPage]:
        """Pages of a list; each later one begins with the last item of the one before."""
        offset = 0
        while True:
            page = self._page(path, name, params, offset)
            yield page
            # A server may cap the page size, so the next offset follows from the items received.
            offset += len(page.items) - 1
            if not page.more or len(page.items) <= 1:
                return


def _window(since: datetime, until: datetime) -> dict[str, str]:
    """Bounds with Z: without an offset, PagerDuty reads them in the account's own time zone."""
    return {"since": whole_seconds(since), "until": whole_seconds(until), "time_zone": "UTC"}


def _detail(response: requests.Response) -> ErrorDetail:
    """Reads {error: {message, code, errors}}; ``error`` may be a string, ``errors`` an object or a list."""
    request_id = response.headers.get("X-Request-Id")
    try:
        error = response.json().get("error")
    except (ValueError, RecursionError, AttributeError):
        error = None
    if not isinstance(error, dict):
        return ErrorDetail(str(error or response.reason or "no message"), request_id)
    errors = error.get("errors")
    if not isinstance(errors, dict):
        listed = errors if isinstance(errors, list) else filter(None, [errors])
        errors = dict(enumerate(listed, start=1))
    fields = {str(name): str(text) for name, text in errors.items()}
    return ErrorDetail(str(error.get("message") or response.reason), request_id, fields)


def _throttle(response: requests.Response) -> Throttle:
    """Reads ratelimit-reset: seconds until the window of a minute ends; a 429 may lack it."""
    value = response.headers.get("ratelimit-reset", "")
    return Throttle(wait=min(float(value), 60.0) if value.isdecimal() else 5.0, period=60.0)


def _quota(response: requests.Response) -> Quota | None:
    """Reads ratelimit-limit, -remaining and -reset (rate limits): integers, the last in seconds."""
    values = [response.headers.get(f"ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
    if not all(value.isdecimal() for value in values):
        return None
    limit, remaining, resets_in = map(int, values)
    return Quota(limit, remaining, min(float(resets_in), 60.0))


DIALECT = Dialect(service="PagerDuty", hints=HINTS, detail=_detail, throttle=_throttle, quota=_quota)
