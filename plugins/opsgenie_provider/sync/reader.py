"""What a service offers to a sync: the interface that each backend implements once.

``sync.opsgenie`` is OpsGenie's. The parts of a sync know no other service words than these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from msgspec import Raw

from opsgenie_provider.api.listing import Listing
from opsgenie_provider.api.opsgenie import Page
from opsgenie_provider.api.opsgenie_windows import Sink
from opsgenie_provider.rows.alerts import AlertRows
from opsgenie_provider.rows.incidents import IncidentRows
from opsgenie_provider.rows.on_call import Period
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.rows.tables import Row, Table
from opsgenie_provider.warehouse.keys import Access, StoredLimits

# Each table that a list fills, with the function that makes its rows from a payload.
TableRows = tuple[Table, Callable[..., list[Row]]]


class IncidentWindow(Protocol):
    """The incidents created in [since, until), few enough for one transaction."""

    since: datetime
    until: datetime

    def read(self, sink: Sink, watch: Callable[[Iterator[Page]], Iterator[Page]]) -> bool:
        """Put the incidents into ``sink``; returns whether that was surely all of them.

        :param watch: sees the pages pass.
        """


class IncidentWindows(NamedTuple):
    """Windows of incidents, ascending and touching.

    :param total: how many incidents they hold; 0 where the service does not say.
    """

    total: int
    windows: Iterable[IncidentWindow]


class Changes(Protocol):
    """What changed among older incidents.

    :ivar listed: after reading, the statuses of which every incident was listed.
    """

    listed: set[str]

    def pages(self) -> Iterator[list[Raw]]:
        """Pages of incidents; an incident may be listed more than once."""


class Reader(Protocol):
    """Reads one account. Its methods may be called from several threads.

    :ivar key_hash: a short hash of the credential and where it is sent: another one is another key.
    :ivar lists: the lists that it has, by name, each with the tables that it fills.
    """

    key_hash: str
    lists: Mapping[str, Sequence[TableRows]]

    @property
    def requests_sent(self) -> int:
        """How many requests were sent so far."""

    @property
    def requests_denied(self) -> int:
        """How many of them were answered with 401, 402 or 403."""

    def validate(self) -> Access:
        """Ask what the credential may read.

        :raises ApiError: it cannot read incidents (of an account whose alerts these are: alerts) at all; the
            message names the remedy.
        """

    def set_limits(self, limits: StoredLimits) -> None:
        """Keep to these rate limits from now on."""

    def begin_windows(self, since: datetime, until: datetime) -> Callable[[], IncidentWindows]:
        """Ask for the incidents created in [since, until); returns what waits for the answer."""

    def begin_changes(self, created_since: datetime, created_until: datetime, since: datetime) -> Changes:
        """Ask what is not closed, or changed since ``since``, of the incidents created in a window."""

    def incident(self, incident_id: str) -> Raw:
        """One incident.

        :raises NotFoundError: it is gone, or not for this key to see.
        """

    def incident_rows(self, raw: Raw, *, key_reach: str) -> IncidentRows:
        """An incident as rows."""

    def begin_alert_windows(self, since: datetime, until: datetime) -> Callable[[], IncidentWindows]:
        """The same for the alerts that are incidents, as for all of these methods."""

    def begin_alert_changes(
        self, created_since: datetime, created_until: datetime, since: datetime
    ) -> Changes:
        """Ask what is not closed, or changed since ``since``, of the alerts created in a window."""

    def alert(self, alert_id: str) -> Raw:
        """One alert.

        :raises NotFoundError: it is gone, or not for this key to see.
        """

    def alert_rows(self, raw: Raw, *, key_reach: str, single: bool) -> AlertRows:
        """An alert as a row; ``single``: it was read by its id."""

    def timeline(self, incident_id: str) -> list[Raw]:
        """The entries of an incident's timeline."""

    def listing(self, name: str) -> Listing:
        """One of ``lists``, read as a whole."""

    def schedule_timeline(self, schedule_id: str, *, since: datetime, until: datetime) -> Raw:
        """Who is on call in a schedule, from ``since`` up to ``until`` or later."""

    def periods(self, timeline: Raw, *, rejected: Rejected) -> list[Period]:
        """The on-call periods of a schedule's timeline; single ones that cannot be read are rejected."""
