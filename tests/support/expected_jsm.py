"""What the staging tables must hold of a site, worked out from the contract and the stand-in's own objects.

The column ``raw`` is left out, but for services and responders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sandbox.instants import to_datetime, to_nanos
from sandbox.jsm import Store
from sandbox.jsm.catalogue import IMPACT_END, IMPACT_START
from sandbox.jsm.model import Issue, Item, Status
from sandbox.opsgenie.oncall import lines, people
from sandbox.opsgenie.rotations import Span
from sandbox.opsgenie.staff import Participant
from tests.support.expected_tables import instant_at
from tests.support.postgres import Row

CLOSED = {"closed", "canceled", "cancelled", "declined"}
PRIORITIES = {"Highest": "P1", "High": "P2", "Medium": "P3", "Low": "P4", "Lowest": "P5"}
INCIDENT_TYPES = {"[System] Incident", "Incident"}


class Expected:
    """The tables of one account."""

    def __init__(self, store: Store, account: str) -> None:
        self.store = store
        self._known: Row = {"account": account, "backend": "jsm"}
        self._account: Row = {"account": account}

    def incidents(self, since: datetime | None = None) -> list[Issue]:
        """The issues that are incidents."""
        types = self.store.catalogue.issue_types
        return [
            issue
            for issue in self.store.issues.all()
            if types[issue.issue_type].name in INCIDENT_TYPES
            and (since is None or to_datetime(issue.created) >= since)
        ]

    def incident_tables(self, issues: Iterable[Issue]) -> dict[str, list[Row]]:
        issues = list(issues)
        return {
            "opsgenie_incidents": [self.incident(issue) for issue in issues],
            "opsgenie_incident_services": [
                {**self._account, "incident_id": issue.id, "service_id": ari, "raw": {"id": ari}}
                for issue in issues
                for ari in issue.services
            ],
            "opsgenie_incident_responders": [
                {
                    **self._account,
                    "incident_id": issue.id,
                    "responder_type": kind,
                    "responder_id": id_,
                    "raw": {"ari": f"ari:cloud:identity::{kind}/{id_}"},
                }
                for issue in issues
                for kind, id_ in issue.responders
            ],
            "opsgenie_incident_timeline": [row for issue in issues for row in self.timeline(issue)],
        }

    def incident(self, issue: Issue) -> Row:
        catalogue = self.store.catalogue
        status = catalogue.statuses[issue.status]
        moves = self._moves(issue)
        done, closed = status.category == "done", status.name.casefold() in CLOSED
        impact = {name: _custom(issue.custom.get(name)) for name in (IMPACT_START, IMPACT_END)}
        ends = (
            ("impact_end", impact[IMPACT_END]),
            ("resolution", instant_at(issue.resolved)),
            ("timeline", max((at for at, kinds in moves if "resolved" in kinds), default=None)),
        )
        source, resolved_at = next((end for end in ends if end[1]), (None, None)) if done else (None, None)
        return self._known | {
            "incident_id": issue.id,
            "tiny_id": issue.key,
            "message": issue.summary,
            "description": issue.description or None,
            "status": ("closed" if closed else "resolved") if done else "open",
            "priority": PRIORITIES.get(catalogue.priorities[issue.priority].name) if issue.priority else None,
            "created_at": instant_at(issue.created),
            "updated_at": instant_at(issue.updated),
            "impact_start_at": impact[IMPACT_START],
            "impact_end_at": impact[IMPACT_END],
            "acknowledged_at": min((at for at, kinds in moves if "acknowledged" in kinds), default=None),
            "resolved_at": resolved_at,
            "resolved_at_source": source,
            "closed_at": max((at for at, kinds in moves if "closed" in kinds), default=None)
            if done and closed
            else None,
            "tags": issue.labels,
            "details": {},
            "web_url": f"{self.site}/browse/{issue.key}",
            "deleted_at": None,
        }

    # The address in the connection.
    site = ""

    def timeline(self, issue: Issue) -> list[Row]:
        rows = []
        for history in issue.histories:
            author = self.store.accounts.get(history.author or "")
            name = author.name if author else "Former user"
            for index, item in enumerate(history.items):
                if item.field_id != "status":
                    continue
                rows.append(
                    self._account
                    | {
                        "incident_id": issue.id,
                        "entry_id": f"{history.id}:{index}",
                        "entry_type": self._entry_type(item),
                        "event_at": instant_at(history.at),
                        "actor_name": name if history.author else None,
                        "actor_type": "user" if history.author else None,
                    }
                )
        return rows

    def _moves(self, issue: Issue) -> list[tuple[datetime, set[str]]]:
        found = []
        for history in issue.histories:
            for item in history.items:
                if item.field_id == "status":
                    left, entered = self._statuses(item)
                    kinds = set()
                    if left and left.category == "new" and not (entered and entered.category == "new"):
                        kinds.add("acknowledged")
                    if entered and entered.category == "done":
                        kinds |= {"resolved"} if not (left and left.category == "done") else set()
                        kinds |= {"closed"} if entered.name.casefold() in CLOSED else set()
                    found.append((to_datetime(history.at), kinds))
        return found

    def _entry_type(self, item: Item) -> str:
        left, entered = self._statuses(item)
        was, is_ = (status.category if status else None for status in (left, entered))
        if is_ == "done" and entered and entered.name.casefold() in CLOSED:
            return "IncidentClosed"
        if is_ == "done" and was != "done":
            return "IncidentResolved"
        if was == "done" and is_ != "done":
            return "IncidentReopened"
        return "IncidentAcknowledged" if was == "new" and is_ != "new" else "IncidentStatusChanged"

    def _statuses(self, item: Item) -> tuple[Status | None, Status | None]:
        """By name, else by id: a status may have been renamed."""
        known = self.store.catalogue.statuses
        by_name = {status.name: status for status in known.values()}

        def find(name: str | None, id_: str | None) -> Status | None:
            return by_name.get(name or "") or known.get(id_ or "")

        return find(item.from_string, item.from_), find(item.to_string, item.to)

    # --- configuration

    def configuration(self) -> dict[str, list[Row]]:
        """Services, teams, schedules, rotations, escalation policies and their rules."""
        store, operations = self.store, self.store.operations
        tables: dict[str, list[Row]] = {
            "opsgenie_services": [
                {"service_id": service.ari, "name": service.name, "team_id": service.team_id or None}
                for service in store.services.values()
            ],
            "opsgenie_teams": [
                {"team_id": team.id, "name": team.name}
                for team in operations.teams.values()
                if team.id not in store.plain_teams
            ],
            "opsgenie_schedules": [
                {
                    "schedule_id": schedule.id,
                    "name": schedule.name,
                    "timezone": schedule.timezone,
                    "enabled": schedule.enabled,
                    "team_id": schedule.team_id or None,
                }
                for schedule in operations.schedules.values()
            ],
            "opsgenie_rotations": [
                {
                    "schedule_id": schedule.id,
                    "rotation_id": rotation.id,
                    "name": rotation.name,
                    "rotation_type": rotation.type,
                    "rotation_length": rotation.length,
                    "start_at": instant_at(rotation.start),
                    "end_at": instant_at(rotation.end),
                    "participants": [
                        {"type": "noone", "id": None}
                        if who.type == "none"
                        else {"type": who.type, "id": who.id}
                        for who in rotation.participants
                    ],
                    "time_restriction": rotation.restriction,
                }
                for schedule in operations.schedules.values()
                for rotation in schedule.rotations
            ],
            "opsgenie_escalations": [
                {
                    "escalation_id": policy.id,
                    "name": policy.name,
                    "team_id": policy.team_id,
                    "repeat_count": policy.repeat["count"] if policy.repeat else None,
                    "repeat_wait_seconds": policy.repeat["waitInterval"] * 60 if policy.repeat else None,
                }
                for policy in operations.escalations.values()
            ],
            "opsgenie_escalation_rules": [
                {
                    "escalation_id": policy.id,
                    "step": step,
                    "condition": rule.condition,
                    "notify_type": rule.notify_type,
                    "delay_seconds": rule.delay_minutes * 60,
                    "recipient_type": rule.recipient.type,
                    "recipient_id": rule.recipient.id,
                    "recipient_name": self.name(rule.recipient),
                }
                for policy in operations.escalations.values()
                for step, rule in enumerate(policy.rules, start=1)
            ],
        }
        return {name: [self._known | row for row in rows] for name, rows in tables.items()}

    def name(self, who: Participant) -> str | None:
        """The e-mail address, or the name where that is hidden; None where nobody knows the id."""
        operations = self.store.operations
        if account := self.store.accounts.get(who.id):
            return account.name if account.hides_email else account.email
        known: Mapping[str, Any] = operations.teams | operations.schedules | operations.escalations
        return known[who.id].name if who.id in known else None

    def on_call(self, since: datetime, until: datetime) -> list[Row]:
        """Who is on call in a window: touching periods of a rotation and a person as one row."""
        operations, now = self.store.operations, self.store.clock()
        pieces = []
        for schedule in operations.schedules.values():
            for line in lines(operations, schedule, Span(to_nanos(since), to_nanos(until))):
                for period in line.final:
                    if period.who is None:
                        continue
                    past = Span(period.span.start, min(period.span.end, now))
                    rest = Span(max(period.span.start, now), period.span.end)
                    kind = "base" if period.type == "default" else period.type
                    found = [(past, who, "historical") for who in people(operations, period.who)]
                    found += [(rest, period.who, kind)]
                    pieces += [
                        (schedule.id, line.rotation.id, who.id, span.start, span.end, who, type_)
                        for span, who, type_ in found
                        if span.start < span.end and who.type != "none"
                    ]
        rows: list[Row] = []
        for schedule_id, rotation_id, _, start, end, who, type_ in sorted(pieces, key=lambda p: p[:5]):
            key = self._known | {
                "schedule_id": schedule_id,
                "rotation_id": rotation_id,
                "recipient_id": who.id,
                "recipient_type": who.type,
                "recipient_name": self.name(who),
            }
            if rows and rows[-1].items() >= key.items() and rows[-1]["end_at"] >= instant_at(start):
                rows[-1] |= {"end_at": instant_at(end), "period_type": type_}
            else:
                rows.append(
                    key | {"start_at": instant_at(start), "end_at": instant_at(end), "period_type": type_}
                )
        return rows

    def users(self, tables: Mapping[str, list[Row]]) -> list[Row]:
        """Those who are met in the other tables, and as assignees."""
        met = {
            row["recipient_id"]
            for table in ("opsgenie_on_call_periods", "opsgenie_escalation_rules")
            for row in tables[table]
            if row["recipient_type"] == "user"
        }
        met |= {
            who["id"]
            for row in tables["opsgenie_rotations"]
            for who in row["participants"]
            if who["type"] == "user"
        }
        met |= {
            row["responder_id"]
            for row in tables["opsgenie_incident_responders"]
            if row["responder_type"] == "user"
        }
        shown = {row["incident_id"] for row in tables["opsgenie_incidents"]}
        for issue in self.store.issues.all():
            if issue.id in shown:
                moved = [
                    h.author for h in issue.histories if any(item.field_id == "status" for item in h.items)
                ]
                met |= {issue.assignee, *moved} - {None}
        return [
            self._known
            | {
                "user_id": account.id,
                "username": None if account.hides_email else account.email,
                "full_name": account.name,
            }
            for id_, account in self.store.accounts.items()
            if id_ in met
        ]


def _custom(value: Any) -> datetime | None:
    """A date-time field, of which Jira shows whole milliseconds."""
    if value is None:
        return None
    at = to_datetime(to_nanos(value))
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
