"""What a service offers to a sync: the interface that each backend implements once.

``sync.opsgenie`` is OpsGenie's, ``sync.jsm`` Jira Service Management's. The parts of a sync know no other
service words than these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from msgspec import Raw

from opsgenie_provider.api.listing import Listing, Sink
from opsgenie_provider.progress import Watch
from opsgenie_provider.rows.alerts import AlertRows
from opsgenie_provider.rows.directory import Directory
from opsgenie_provider.rows.incidents import IncidentRows
from opsgenie_provider.rows.on_call import Timeline
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.rows.tables import Row, Table
from opsgenie_provider.warehouse.keys import Access, StoredLimits

# Each table that a list fills, with the function that makes its rows from a payload.
TableRows = tuple[Table, Callable[..., list[Row]]]
# An incident as a reader hands it out: its payload as received is ``bytes(incident)``. What else is in it is
# between the reader and its own ``incident_rows``.
Incident = Any


class IncidentWindow(Protocol):
    """The incidents created in [since, until), few enough for one transaction; ``until`` holds once it is
    read."""

    since: datetime
    until: datetime

    def read(self, sink: Sink, watch: Watch) -> bool:
        """Put the incidents into ``sink``; returns whether that was surely all of them.

        :param watch: sees the pages pass.
        """


class IncidentWindows(NamedTuple):
    """Windows of incidents, ascending and touching; each is to be read before the next is taken.

    :param total: how many incidents they hold; 0 where the service does not say.
    """

    total: int
    windows: Iterable[IncidentWindow]


class Changes(Protocol):
    """What changed among older incidents.

    :ivar listed: after reading, the statuses of which every incident was listed.
    """

    listed: set[str]

    def pages(self) -> Iterator[list[Incident]]:
        """Pages of incidents; an incident may be listed more than once."""


class Sweeper(Protocol):
    """For a service that lists every change, and the ids of all incidents at little cost."""

    def ids(self, since: datetime, until: datetime) -> set[str]:
        """The ids of at least all incidents created in [since, until)."""

    def incidents(self, ids: Iterable[str], since: datetime, until: datetime) -> Iterator[list[Incident]]:
        """Those of these incidents that exist and were created in [since, until)."""


class ReadTimeline(NamedTuple):
    """A schedule's timeline as it was asked for; None where the credential does not see it."""

    schedule_id: str
    since: datetime
    raw: Raw | None


class Reader(Protocol):
    """Reads one account. Its methods may be called from several threads.

    :ivar backend: the service, as the column ``backend`` has it.
    :ivar key_hash: a short hash of the credential and where it is sent: another one is another key.
    :ivar lists: the lists that it has, by name, each with the tables that it fills.
    :ivar separate_timelines: whether timelines are read separately; otherwise incidents come with theirs.
    :ivar looks_up_users: whether the users are not listed as a whole, but looked up by the ids met elsewhere.
    :ivar sweeper: where the service has what it takes; ``begin_changes`` then lists whatever changed.
    """

    backend: str
    key_hash: str
    lists: Mapping[str, Sequence[TableRows]]
    separate_timelines: bool
    looks_up_users: bool
    sweeper: Sweeper | None

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

    def set_stored_names(self, names: Directory, *, reach: str) -> None:
        """Use the names that are stored for what the credential does not see.

        :param reach: what it sees, as in ``absence``.
        """

    def begin_windows(self, since: datetime, until: datetime) -> Callable[[], IncidentWindows]:
        """Ask for the incidents created in [since, until); returns what waits for the answer."""

    def begin_changes(self, created_since: datetime, created_until: datetime, since: datetime) -> Changes:
        """Ask what is not closed, or changed since ``since``, of the incidents created in a window."""

    def incident(self, incident_id: str) -> Incident | None:
        """One incident; None where the object exists, but is no incident any more.

        :raises NotFoundError: it is gone, or not for this key to see.
        """

    def incident_rows(self, incident: Incident, *, key_reach: str) -> IncidentRows:
        """An incident as rows."""

    def begin_alert_windows(self, since: datetime, until: datetime) -> Callable[[], IncidentWindows]:
        """Ask for the alerts created in [since, until); returns what waits for the answer."""

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

    def hidden_from_key(self, incidents: Mapping[str, Raw]) -> set[str]:
        """Of incidents that answer 404, by id with the stored payload: those in a place that this key does
        not see any more, of which a 404 says nothing."""

    def timeline(self, incident_id: str) -> list[Raw]:
        """The entries of an incident's timeline, where they are read separately."""

    def listing(self, name: str) -> Listing:
        """One of ``lists``, read as a whole."""

    def users(self, ids: Iterable[str]) -> Listing:
        """The users with these ids and those met in this run, where ``looks_up_users``."""

    def schedule_timeline(self, schedule_id: str, *, since: datetime, until: datetime) -> Raw:
        """Who is on call in a schedule, at least from ``since`` to ``until``, as far as the service goes."""

    def resolve_names(self, timelines: Iterable[ReadTimeline]) -> Iterable[ReadTimeline]:
        """The same timelines, once the names of who is on call in them are known."""

    def on_call(self, timeline: Raw, /, *, rejected: Rejected) -> Timeline:
        """A schedule's timeline as periods; single ones that cannot be read are rejected."""
