"""Finds out what exists in OpsGenie: by an incident's id at once, by its tag once the index shows it.

The search index is eventually consistent. What it lists is asked for by its id, for it may be deleted;
what it does not list does not exist only once it has had the time to show it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import NotFoundError
from opsgenie_provider.api.opsgenie_writes import OpsgenieWriter
from opsgenie_provider.migration.payloads import IMPORT_TAG, tag_of
from opsgenie_provider.migration.search import tagged_incidents

T = TypeVar("T")

SETTLE_SECONDS = 60.0
_MAX_POLL_SECONDS = 5.0


class OutcomePendingError(Exception):
    """A request may have been carried out, and it is too early to say."""


class _Incident(msgspec.Struct):
    id: str
    status: str = ""
    tags: list[str] | None = None
    extraProperties: dict[str, Any] | None = None


class Lookup:
    """Looks up incidents of one PagerDuty account. Safe to use from several threads.

    :param account: the PagerDuty account, as the details of imported incidents name it.
    :param settle_seconds: how long the service may lag behind a write. What it does not show by then
        does not exist.
    """

    def __init__(self, writer: OpsgenieWriter, account: str, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._writer = writer
        self._account = account
        self._settle_seconds = settle_seconds
        # Whatever another process sent, it sent before it lost the lock that we hold now.
        self._started = time.monotonic()
        # When this process wrote something, by PagerDuty id and what it was.
        self._written_at: dict[tuple[str, str], float] = {}

    def read(self, incident_id: str) -> Raw:
        """An incident by its id, as received; unlike a search, this sees it at once.

        :raises NotFoundError: it was deleted.
        """
        return self._writer.incident(incident_id)

    def exists(self, incident_id: str) -> bool:
        """Whether there is an incident, by its id."""
        try:
            self.read(incident_id)
        except NotFoundError:
            return False
        return True

    def is_over(self, incident_id: str) -> bool:
        """Whether an incident is resolved or closed.

        :raises NotFoundError: it was deleted.
        """
        return decode_into(self.read(incident_id), _Incident).status in ("resolved", "closed")

    def find(self, pagerduty_id: str) -> str | None:
        """The id of the existing incident that the search index lists with a PagerDuty incident's tag."""
        tag = tag_of(pagerduty_id)
        for raw in self._writer.tagged(tag):
            incident = decode_into(raw, _Incident)
            account = (incident.extraProperties or {}).get("pagerduty_account", self._account)
            if tag in (incident.tags or ()) and account == self._account and self.exists(incident.id):
                return incident.id
        return None

    def find_new(self, pagerduty_id: str) -> str | None:
        """As ``find``, for an incident that was just created: waits for the index."""
        self.written(pagerduty_id, "create")
        return self.poll(lambda: self.find(pagerduty_id), pagerduty_id, "create", may_wait=True)

    def imported(self, executor: ThreadPoolExecutor) -> Iterator[tuple[str, str]]:
        """The PagerDuty id and the id of each of the account's incidents that the search index lists."""
        for raw in tagged_incidents(self._writer, executor, IMPORT_TAG):
            incident = decode_into(raw, _Incident)
            details = incident.extraProperties or {}
            if details.get("pagerduty_account") == self._account:
                yield str(details.get("pagerduty_id")), incident.id

    def written(self, pagerduty_id: str, what: str, *, at_first: bool = False) -> None:
        """Note that something was written now; from here on it takes time to show.

        :param at_first: unless that was noted before.
        """
        if not at_first or (pagerduty_id, what) not in self._written_at:
            self._written_at[pagerduty_id, what] = time.monotonic()

    def poll(self, look: Callable[[], T | None], pagerduty_id: str, what: str, may_wait: bool) -> T | None:
        """What ``look`` finds, asked until it would have to be visible.

        :raises OutcomePendingError: this may not wait.
        """
        if not may_wait:
            raise OutcomePendingError(pagerduty_id)
        end = self._written_at.get((pagerduty_id, what), self._started) + self._settle_seconds
        pause = 0.25
        while True:
            # The time is taken first: a look that begins after the end is the last.
            is_over = time.monotonic() >= end
            if (found := look()) is not None or is_over:
                return found
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(2 * pause, _MAX_POLL_SECONDS)
