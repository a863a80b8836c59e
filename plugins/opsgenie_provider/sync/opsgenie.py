"""OpsGenie as the source of a sync."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from msgspec import Raw

from opsgenie_provider.absence import WHOLE_ACCOUNT
from opsgenie_provider.api.changes import ChangeReader
from opsgenie_provider.api.errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PlanError,
)
from opsgenie_provider.api.limits import limits_from_json, limits_to_json
from opsgenie_provider.api.listing import Listing
from opsgenie_provider.api.opsgenie import OpsgenieClient
from opsgenie_provider.api.opsgenie_windows import Window, WindowReader
from opsgenie_provider.rows import configuration as rows
from opsgenie_provider.rows.alerts import AlertRows, AlertRules, alert_rows
from opsgenie_provider.rows.directory import Directory
from opsgenie_provider.rows.incidents import IncidentRows, incident_rows
from opsgenie_provider.rows.on_call import Timeline, timeline_periods
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.rows.tables import (
    ESCALATION_RULES,
    ESCALATIONS,
    OPSGENIE,
    ROTATIONS,
    SCHEDULES,
    SERVICES,
    TEAMS,
    USERS,
)
from opsgenie_provider.sync.alert_lists import AlertLists, begin_windows
from opsgenie_provider.sync.reader import IncidentWindows, ReadTimeline, Sweeper, TableRows
from opsgenie_provider.warehouse.keys import Access, StoredLimits

log = logging.getLogger(__name__)
_WEEK = timedelta(weeks=1)

_LISTS: Mapping[str, Sequence[TableRows]] = {
    "services": [(SERVICES, rows.service_rows)],
    "teams": [(TEAMS, rows.team_rows)],
    "users": [(USERS, rows.user_rows)],
    "schedules": [(SCHEDULES, rows.schedule_rows), (ROTATIONS, rows.rotation_rows)],
    "escalations": [(ESCALATIONS, rows.escalation_rows), (ESCALATION_RULES, rows.escalation_rule_rows)],
}


class InvalidKeyError(ValueError):
    """The password of the connection is no API key at all."""


class OpsgenieReader:
    """Reads an OpsGenie account; a ``sync.reader.Reader``.

    :param account: the id of the key's connection.
    :param key: the key, of which only hashes are handed on.
    :param executor: runs the requests; its size bounds how many are under way.
    :param alerts: which alerts are the account's incidents; None: incidents are.
    """

    backend = OPSGENIE
    lists = _LISTS
    separate_timelines = True
    looks_up_users = False
    sweeper: Sweeper | None = None

    def __init__(
        self,
        client: OpsgenieClient,
        *,
        account: str,
        key: str,
        executor: ThreadPoolExecutor,
        alerts: AlertRules | None = None,
    ) -> None:
        self._client = client
        self._account = account
        self._executor = executor
        self._alerts = alerts
        self._windows = WindowReader(client.incidents, executor)
        self._alert_lists = AlertLists(client.alerts, executor, alerts, count=client.alert_count)
        # Names that distinguish two keys without revealing them.
        self._key_name = f"key {_hash(key)}"
        self.key_hash = _hash(f"{client.transport.base_url} {key}")

    @property
    def requests_sent(self) -> int:
        return self._client.transport.requests_sent

    @property
    def requests_denied(self) -> int:
        return self._client.transport.requests_denied

    # --- the key

    def validate(self) -> Access:
        try:
            self._read_any()
        except InvalidRequestError as error:
            # A key that is no UUID is refused with 422, not 401: nothing else here could be wrong.
            raise InvalidKeyError(
                f"{error} Check the password of the connection {self._account!r}."
            ) from None
        notes: list[str] = []
        what = "alerts" if self._alerts else "incidents"
        limits, whole_account = self._limits()
        if not whole_account:
            notes.append(
                "The key does not read the account's settings: it is a team's key, or lacks Configuration "
                f"Access. A team's key lists only that team's {what}; use a key from API key management "
                "(Read and Configuration Access) to see all."
            )
        configuration = self._reads_configuration(whole_account)
        if not configuration:
            notes.append(
                "The key may not read services: without Configuration Access, or with a team's key, the "
                "services, teams, users, schedules, escalations and timelines that it is refused are "
                f"skipped. {what.capitalize()} are synced."
            )
        return Access(
            reach=WHOLE_ACCOUNT if whole_account else self._key_name,
            configuration=configuration,
            limits=limits,
            notes=notes,
        )

    def set_stored_names(self, names: Directory, *, reach: str) -> None:
        """OpsGenie sends names with the ids."""

    def set_limits(self, limits: StoredLimits) -> None:
        self._client.transport.limiter.set_limits(limits_from_json(limits))

    def _limits(self) -> tuple[StoredLimits, bool]:
        """The account's rate limits, and whether the key is one of the whole account."""
        try:
            return limits_to_json(self._client.request_limits()), True
        except AuthenticationError:
            raise
        except ApiError:
            # Not in the published reference: whatever it answers, the sync does without.
            log.info("The rate limits cannot be read with this key: they are learned from refusals.")
        try:
            self._client.account()
        except (PermissionDeniedError, NotFoundError):
            return {}, False
        return {}, True

    def _read_any(self) -> None:
        """Read an incident, or an alert where alerts are the incidents.

        :raises ApiError: the key cannot; where the plan may have no incidents, the message names the setting.
        """
        if self._alerts:
            self._client.alerts(limit=1, order="desc")
            return
        try:
            self._client.incidents(limit=1, order="desc")
        except PermissionDeniedError as error:
            if self._client.reads_alerts():
                hint = (
                    "The key reads alerts, but no incidents. If the plan has none, or alerts are your "
                    f"incidents, name {self._account!r} in the setting alert_accounts; else give the key the "
                    "right to read incidents."
                )
                raise error.copy_as(type(error), hint=hint) from error
            raise

    def _reads_configuration(self, whole_account: bool) -> bool:
        try:
            self._client.check_services_readable()
        except PlanError:
            # A plan without services: as for incidents, that says nothing about the key.
            return whole_account
        except (PermissionDeniedError, NotFoundError):
            return False
        return True

    # --- incidents

    def begin_windows(self, since: datetime, until: datetime) -> Callable[[], IncidentWindows]:
        return begin_windows(self._windows, Window.between(since, until))

    def begin_changes(
        self, created_since: datetime, created_until: datetime, since: datetime
    ) -> ChangeReader:
        among = Window.between(created_since, created_until)
        return ChangeReader(self._client.incidents, self._executor, among=among, since=since)

    def incident(self, incident_id: str) -> Raw:
        return self._client.incident(incident_id)

    def incident_rows(self, raw: Raw, *, key_reach: str) -> IncidentRows:
        return incident_rows(raw, account=self._account, key_reach=key_reach)

    def hidden_from_key(self, incidents: Mapping[str, Raw]) -> set[str]:
        return set()

    def users(self, ids: Iterable[str]) -> Listing:
        return self.listing("users")

    # --- alerts

    def begin_alert_windows(self, since: datetime, until: datetime) -> Callable[[], IncidentWindows]:
        return self._alert_lists.begin_windows(since, until)

    def begin_alert_changes(
        self, created_since: datetime, created_until: datetime, since: datetime
    ) -> ChangeReader:
        return self._alert_lists.begin_changes(created_since, created_until, since)

    def alert(self, alert_id: str) -> Raw:
        return self._client.alert(alert_id)

    def alert_rows(self, raw: Raw, *, key_reach: str, single: bool) -> AlertRows:
        return alert_rows(raw, account=self._account, key_reach=key_reach, single=single)

    # --- the rest

    def timeline(self, incident_id: str) -> list[Raw]:
        return self._client.timeline_entries(incident_id)

    def listing(self, name: str) -> Listing:
        read: dict[str, Callable[[], Listing]] = {
            "services": self._client.services,
            "teams": self._client.teams,
            "users": self._client.users,
            "schedules": self._client.schedules,
            "escalations": self._client.escalations,
        }
        return read[name]()

    def schedule_timeline(self, schedule_id: str, *, since: datetime, until: datetime) -> Raw:
        weeks = math.ceil((until - since) / _WEEK)
        return self._client.schedule_timeline(schedule_id, start=since, weeks=weeks)

    def resolve_names(self, timelines: Iterable[ReadTimeline]) -> Iterable[ReadTimeline]:
        return timelines

    def on_call(self, timeline: Raw, /, *, rejected: Rejected) -> Timeline:
        return Timeline(timeline_periods(timeline, rejected=rejected))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
