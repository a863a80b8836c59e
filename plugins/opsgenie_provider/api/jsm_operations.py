"""Schedules, timelines, teams, escalation policies and alerts of Jira Service Management Operations.

Source: developer.atlassian.com, JSM Operations API v1, the successor of OpsGenie's API.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Raw

from opsgenie_provider.api.errors import (
    REPORT_REMEDY,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    PlanError,
)
from opsgenie_provider.api.jsm_dialect import ALERTS, OPERATIONS, SERVICE_NAME, Family
from opsgenie_provider.api.jsm_transport import Gateway
from opsgenie_provider.api.opsgenie import Page
from opsgenie_provider.instants import whole_seconds

# The largest page sizes: of schedules; of escalation policies and alerts.
PAGE_SIZE, LARGE_PAGE_SIZE = 50, 100


class _Links(msgspec.Struct):
    next: str | None = None


class _List(msgspec.Struct):
    """A page. ``values`` is required: an answer without it is an error, not an empty list."""

    values: list[Raw]
    links: _Links | None = None
    count: int | None = None


class _Teams(msgspec.Struct):
    platformTeams: list[Raw]


class _OnCallUsers(msgspec.Struct):
    onCallUsers: list[str]


class JsmOperations:
    """Reads the Operations of one site. Safe to use from several threads.

    Pages are requested by offset: ``links.next`` is a path without the cloud id, so only its presence
    is used.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def schedules(self) -> Iterator[Page]:
        """Pages of all schedules that this account may see, with their rotations (schedules, list)."""
        return self._pages("/schedules", {"expand": "rotation"}, PAGE_SIZE)

    def first_schedule(self) -> list[Raw]:
        """A page of at most one schedule: a cheap check of the right to read them."""
        return self._page(OPERATIONS, "/schedules", {"size": 1, "offset": 0}).items

    def schedule_timeline(self, schedule_id: str, *, start: datetime, until: datetime) -> Raw:
        """Who is on call at least from ``start`` to ``until`` (schedules, timeline).

        The service starts the window at the beginning of the day of ``date``, in an undocumented time
        zone, so it may end up to a day earlier; one more day is requested to cover that. The answer's
        own ``startDate`` and ``endDate`` say what it covers. It reaches back one year at most.
        """
        days = math.ceil((until - start) / timedelta(days=1)) + 1
        params = {
            "date": whole_seconds(start),
            "interval": days,
            "intervalUnit": "days",
        }
        return self._gateway.get(
            OPERATIONS, f"/schedules/{quote(schedule_id, safe='')}/timeline", Raw, params
        )

    def on_call_users(self, schedule_id: str) -> list[str]:
        """Account ids of the users on call now, teams and escalations resolved (on-calls, flat)."""
        path = f"/schedules/{quote(schedule_id, safe='')}/on-calls"
        return self._gateway.get(OPERATIONS, path, _OnCallUsers, {"flat": "true"}).onCallUsers

    def teams(self) -> list[Raw]:
        """The teams with Operations: for an admin all, otherwise the account's own (teams; not paged)."""
        return self._gateway.get(OPERATIONS, "/teams", _Teams).platformTeams

    def escalations(self, team_id: str) -> Iterator[Page]:
        """Pages of a team's escalation policies; their payloads do not contain it (escalations, list)."""
        return self._pages(f"/teams/{quote(team_id, safe='')}/escalations", {}, LARGE_PAGE_SIZE)

    def is_admin(self) -> bool:
        """Whether this account sees all of Operations (roles); other accounts' lists are silently shorter."""
        try:
            self._gateway.get(OPERATIONS, "/roles", Raw)
        except (PermissionDeniedError, PlanError, NotFoundError):
            return False
        return True

    def alerts(
        self,
        *,
        query: str = "",
        offset: int = 0,
        limit: int = LARGE_PAGE_SIZE,
        sort: str = "createdAt",
        order: str = "asc",
    ) -> Page:
        """One page of alerts (alerts, list; at most 100, offset + size < 20,000).

        The times of a query are Unix milliseconds, as in OpsGenie's search syntax.
        """
        params = {"size": limit, "offset": offset, "sort": sort, "order": order}
        return self._page(ALERTS, "/alerts", params | ({"query": query} if query else {}))

    def alert(self, alert_id: str) -> Raw:
        """One alert by its id (alerts, get).

        :raises NotFoundError: it was deleted, or this account may not see it.
        """
        return self._gateway.get(ALERTS, f"/alerts/{quote(alert_id, safe='')}", Raw)

    # --- requests

    def _page(self, family: Family, path: str, params: Mapping[str, Any]) -> Page:
        answer = self._gateway.get(family, path, _List, params)
        full = len(answer.values) >= int(params["size"])
        last = not answer.links.next if answer.links else not full
        return Page(items=answer.values, total=answer.count, last=last)

    def _pages(self, path: str, params: Mapping[str, Any], size: int) -> Iterator[Page]:
        offset, before = 0, list[Raw]()
        while True:
            page = self._page(OPERATIONS, path, {**params, "size": size, "offset": offset})
            yield page
            if page.last:
                return
            if not page.items or page.items == before:
                raise InvalidResponseError(
                    f"{SERVICE_NAME} answered GET {path} at offset {offset} with "
                    f"{'the same page again' if page.items else 'an empty page'}, but says that more follow. "
                    f"{REPORT_REMEDY}"
                )
            offset, before = offset + len(page.items), page.items
