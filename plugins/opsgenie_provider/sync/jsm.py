"""Jira Service Management as the source of a sync."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from msgspec import Raw

from opsgenie_provider.absence import WHOLE_ACCOUNT
from opsgenie_provider.api.changes import ChangeReader
from opsgenie_provider.api.errors import ApiStatusError, NotFoundError, PermissionDeniedError, PlanError
from opsgenie_provider.api.jsm import Issue, JsmClient
from opsgenie_provider.api.jsm_dialect import NO_SERVICE_ACCOUNTS
from opsgenie_provider.api.jsm_jql import without_order
from opsgenie_provider.api.listing import Listing, read_whole
from opsgenie_provider.rows import jsm_configuration as rows
from opsgenie_provider.rows.alerts import AlertRows, AlertRules
from opsgenie_provider.rows.directory import Directory
from opsgenie_provider.rows.fields import UnreadablePayloadError, decode, nested, text
from opsgenie_provider.rows.incidents import IncidentRows
from opsgenie_provider.rows.jsm_alerts import alert_rows
from opsgenie_provider.rows.jsm_incidents import issue_rows
from opsgenie_provider.rows.jsm_on_call import timeline
from opsgenie_provider.rows.on_call import Timeline
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.rows.tables import (
    ESCALATION_RULES,
    ESCALATIONS,
    JSM,
    ROTATIONS,
    SCHEDULES,
    SERVICES,
    TEAMS,
    USERS,
    Row,
)
from opsgenie_provider.sync.alert_lists import AlertLists
from opsgenie_provider.sync.jsm_issues import IssueChanges, IssueReader
from opsgenie_provider.sync.jsm_names import LazyValue, SiteNames
from opsgenie_provider.sync.reader import IncidentWindows, ReadTimeline, Sweeper, TableRows
from opsgenie_provider.warehouse.keys import Access, StoredLimits

log = logging.getLogger(__name__)


class JsmReader:
    """Reads a site of Jira Service Management; a ``sync.reader.Reader``.

    :param account: the id of the connection.
    :param credential: e-mail and token, of which only hashes are handed on.
    :param executor: runs the requests; its size bounds how many are under way.
    :param alerts: which alerts are the account's incidents; None: incidents are.
    """

    backend = JSM
    separate_timelines = False
    looks_up_users = True

    def __init__(
        self,
        client: JsmClient,
        *,
        account: str,
        credential: str,
        executor: ThreadPoolExecutor,
        alerts: AlertRules | None = None,
    ) -> None:
        self._client = client
        self._account = account
        self._names = SiteNames(client)
        self._incidents = LazyValue(lambda: client.incidents)
        self._issues = IssueReader(self._incidents, executor, self._names.check_credentials)
        self.sweeper: Sweeper | None = self._issues
        self._alerts = alerts
        self._alert_lists = AlertLists(client.operations.alerts, executor, alerts, has_feed=False)
        self._key_name = f"key {_hash(credential)}"
        self.key_hash = _hash(f"{client.transport.base_url} {client.cloud_id} {credential}")
        self.lists: Mapping[str, Sequence[TableRows]] = {
            "services": [(SERVICES, rows.service_rows)],
            "teams": [(TEAMS, rows.team_rows)],
            "users": [(USERS, rows.user_rows)],
            "schedules": [(SCHEDULES, rows.schedule_rows), (ROTATIONS, rows.rotation_rows)],
            "escalations": [(ESCALATIONS, self._escalation_rows), (ESCALATION_RULES, self._rule_rows)],
        }

    @property
    def requests_sent(self) -> int:
        return self._client.transport.requests_sent

    @property
    def requests_denied(self) -> int:
        return self._client.transport.requests_denied

    # --- the credentials

    def validate(self) -> Access:
        # First, for Jira lists nothing to credentials that it does not know.
        self._names.check_credentials()
        if self._alerts:
            self._names.call_operations(lambda: self._client.operations.alerts(limit=1))
        else:
            self._client.jira.search(without_order(self._incidents.get().jql), size=1)
        notes = []
        operations, whole_account = True, False
        try:
            self._names.call_operations(self._client.operations.first_schedule)
            whole_account = self._names.call_operations(self._client.operations.is_admin)
        except (PermissionDeniedError, PlanError, NotFoundError) as error:
            operations = False
            notes.append(
                "Operations cannot be read: teams, schedules, escalation policies and who is on call are "
                f"skipped, and nothing is marked as deleted. Incidents are synced. {_reason(error)}"
            )
        if operations and not whole_account:
            notes.append(
                "The account is no administrator of Operations: it sees its own teams and schedules only, "
                "and nothing that it does not list is marked as deleted. Give it the admin role in "
                "Operations, or use the token of an administrator."
            )
        return Access(
            reach=WHOLE_ACCOUNT if whole_account else self._key_name,
            configuration=operations,
            limits={},
            notes=notes,
        )

    def set_limits(self, limits: StoredLimits) -> None:
        """The service does not say what its limits are: the client keeps to its own."""

    def set_stored_names(self, names: Directory, *, reach: str) -> None:
        self._names.stored, self._names.reach = names, reach

    # --- incidents

    def begin_windows(self, since: datetime, until: datetime) -> Callable[[], IncidentWindows]:
        return self._issues.begin_windows(since, until)

    def begin_changes(
        self, created_since: datetime, created_until: datetime, since: datetime
    ) -> IssueChanges:
        return self._issues.begin_changes(created_since, since)

    def incident(self, incident_id: str) -> Issue | None:
        incidents = self._incidents.get()
        try:
            issue = incidents.incident(incident_id)
        except NotFoundError:
            self._names.check_credentials()
            raise
        return issue if incidents.is_listed(incident_id) else None

    def incident_rows(self, incident: Issue, *, key_reach: str) -> IncidentRows:
        return issue_rows(
            incident.raw,
            incident.histories or (),
            account=self._account,
            key_reach=key_reach,
            rules=self._incidents.get().rules,
        )

    def hidden_from_key(self, incidents: Mapping[str, Raw]) -> set[str]:
        projects = {incident_id: _project(raw) for incident_id, raw in incidents.items()}
        jira = self._client.jira
        seen = {
            project: project is not None and jira.sees_project(project) and not jira.may_hide_issues(project)
            for project in set(projects.values())
        }
        return {incident_id for incident_id, project in projects.items() if not seen[project]}

    # --- alerts

    def begin_alert_windows(self, since: datetime, until: datetime) -> Callable[[], IncidentWindows]:
        return self._alert_lists.begin_windows(since, until)

    def begin_alert_changes(
        self, created_since: datetime, created_until: datetime, since: datetime
    ) -> ChangeReader:
        return self._alert_lists.begin_changes(created_since, created_until, since)

    def alert(self, alert_id: str) -> Raw:
        return self._names.call_operations(lambda: self._client.operations.alert(alert_id))

    def alert_rows(self, raw: Raw, *, key_reach: str, single: bool) -> AlertRows:
        return alert_rows(raw, account=self._account, key_reach=key_reach, single=single)

    # --- the rest

    def timeline(self, incident_id: str) -> list[Raw]:
        return self._client.jira.changelog(incident_id)

    def listing(self, name: str) -> Listing:
        read: dict[str, Callable[[], Listing]] = {
            "services": lambda: self._names.call_operations(
                lambda: read_whole(self._client.services, "services")
            ),
            "teams": self._names.teams.get,
            "schedules": self._names.schedules.get,
            "escalations": self._names.escalations.get,
        }
        listing = read[name]()
        if name == "escalations":
            # So that the names are known when rows are made.
            self._names.directory()
        return listing

    def users(self, ids: Iterable[str]) -> Listing:
        self._names.look_up(ids)
        # Whoever is not met any more stays.
        return Listing(self._names.users(), complete=False)

    def schedule_timeline(self, schedule_id: str, *, since: datetime, until: datetime) -> Raw:
        return self._names.call_operations(
            lambda: self._client.operations.schedule_timeline(schedule_id, start=since, until=until)
        )

    def resolve_names(self, timelines: Iterable[ReadTimeline]) -> Iterable[ReadTimeline]:
        read = list(timelines)
        self._names.directory()
        self._names.look_up_in_timelines(timeline.raw for timeline in read if timeline.raw is not None)
        return read

    def on_call(self, raw: Raw, /, *, rejected: Rejected) -> Timeline:
        return timeline(raw, directory=self._names.directory())

    def _escalation_rows(self, raw: Raw, *, account: str, rejected: Rejected) -> list[Row]:
        return rows.escalation_rows(raw, account=account, team_id=self._names.team_of[bytes(raw)])

    def _rule_rows(self, raw: Raw, *, account: str, rejected: Rejected) -> list[Row]:
        return rows.escalation_rule_rows(raw, account=account, directory=self._names.directory())


def _project(raw: Raw) -> str | None:
    """The id of an issue's project."""
    try:
        return text(nested(nested(decode(raw), "fields"), "project"), "id")
    except UnreadablePayloadError:
        return None


def _reason(error: ApiStatusError) -> str:
    return error.hint or f"{error.message.rstrip('.')}. {NO_SERVICE_ACCOUNTS}"


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:12]
