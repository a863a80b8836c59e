"""Payloads as Jira Service Management gives them, and the rules of the site that they come from."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw

from opsgenie_provider.rows.directory import Directory
from opsgenie_provider.rows.jsm_incidents import IncidentRows, issue_rows
from opsgenie_provider.rows.jsm_site import IssueRules, SiteSettings, Statuses, issue_fields

SITE = "https://acme.atlassian.net"
SERVICE_ARI = "ari:cloud:graph::service/3b0c1d2e-1111-4222-8333-4444/9a8b7c6d-1111-4222-8333-4444"
ANN, BEN = "712020:0d1f5b1e-2222-4333-8444-555566667777", "5b10ac8d82e05b22cc7d4ef5"
TEAM = "6f3c2d10-3333-4444-8555-666677778888"
SERVICE_FIELD = {
    "id": "customfield_10040",
    "name": "Affected services",
    "schema": {
        "type": "array",
        "custom": "com.atlassian.jira.plugins.service-entity:service-entity-field-cftype",
        "customId": 10040,
    },
}
FIELDS: list[dict[str, Any]] = [
    {"id": "summary", "name": "Summary", "schema": {"type": "string", "system": "summary"}},
    SERVICE_FIELD,
    {"id": "customfield_10041", "name": "Responders", "schema": {"type": "string"}},
    {"id": "customfield_10042", "name": "Responders", "schema": {"type": "array"}},
    # Each project of its own has a field of that name.
    {"id": "customfield_10068", "name": "Impact end", "schema": {"type": "datetime"}},
    {"id": "customfield_10069", "name": "Impact end", "schema": {"type": "datetime"}},
    {"id": "customfield_10070", "name": "Impact end", "schema": {"type": "string"}},
    {"id": "customfield_10071", "name": "Impact start", "schema": {"type": "datetime"}},
]
STATUSES: list[dict[str, Any]] = [
    {"id": "1", "name": "Open", "statusCategory": {"id": 2, "key": "new", "name": "To Do"}},
    {"id": "3", "name": "Work in progress", "statusCategory": {"key": "indeterminate"}},
    {"id": "4", "name": "Pending", "statusCategory": {"key": "undefined"}},
    {"id": "5", "name": "Completed", "statusCategory": {"key": "done"}},
    {"id": "6", "name": "Closed", "statusCategory": {"key": "done"}},
    {"id": "7", "name": "Canceled", "statusCategory": {"key": "done"}},
    # Two projects, one name, two meanings.
    {"id": "8", "name": "Waiting", "statusCategory": {"key": "new"}},
    {"id": "9", "name": "Waiting", "statusCategory": {"key": "indeterminate"}},
]
DIRECTORY = Directory(
    users={ANN: "ann@example.com", BEN: "Ben"},
    teams={TEAM: "Payments"},
    schedules={"sched-1": "Payments_schedule"},
    escalations={"esc-1": "Payments_escalation"},
)


def raw(payload: Any) -> Raw:
    return Raw(msgspec.json.encode(payload))


def rules(**settings: Any) -> IssueRules:
    site = SiteSettings(SITE, **settings)
    return IssueRules(site, issue_fields(map(raw, FIELDS), site), Statuses(map(raw, STATUSES)))


def status(name: str, category: str, identity: str = "3") -> dict[str, Any]:
    return {"id": identity, "name": name, "statusCategory": {"key": category}}


def issue(**fields: Any) -> dict[str, Any]:
    """An issue of the search, with other fields than the usual."""
    usual = {
        "summary": "Checkout is down",
        "description": None,
        "status": status("Work in progress", "indeterminate"),
        "priority": {"id": "1", "name": "Highest"},
        "created": "2026-08-04T03:35:20.336+0500",
        "updated": "2026-08-04T06:00:00.000+0500",
        "resolutiondate": None,
        "labels": ["prod", "db"],
        "issuetype": {"id": "10010", "name": "[System] Incident"},
        "assignee": {"accountId": BEN, "displayName": "Ben"},
        "customfield_10040": [{"id": SERVICE_ARI}],
        "customfield_10042": None,
    }
    return {"id": "10203", "key": "OPS-7", "self": f"{SITE}/rest/api/3/issue/10203", "fields": usual | fields}


def move(history_id: str, at: str, left: tuple[str, str], entered: tuple[str, str], **other: Any) -> Any:
    """An entry of a changelog, in which the status goes from (name, id) to (name, id)."""
    item = {
        "field": "status",
        "fieldtype": "jira",
        "fieldId": "status",
        "from": left[1],
        "fromString": left[0],
        "to": entered[1],
        "toString": entered[0],
    }
    author = {"accountId": ANN, "displayName": "Ann", "accountType": "atlassian"}
    return {"id": history_id, "author": author, "created": at, "items": [item]} | other


def issue_rows_of(payload: Any, histories: Any = (), **settings: Any) -> IncidentRows:
    """The rows of an issue under the rules of the site, with other settings than the usual."""
    return issue_rows(
        raw(payload), map(raw, histories), account="acme", key_reach="account", rules=rules(**settings)
    )


def at(hour: int) -> str:
    """An hour of the day as Jira writes it."""
    return f"2026-08-04T{hour:02}:00:00.000+0500"


def instant(hour: int) -> datetime:
    return datetime.fromisoformat(at(hour)).astimezone(UTC)


OPEN, WORK, PENDING = ("Open", "1"), ("Work in progress", "3"), ("Pending", "4")
COMPLETED, CLOSED, CANCELED = ("Completed", "5"), ("Closed", "6"), ("Canceled", "7")

SERVICE: dict[str, Any] = {
    "id": f"b:{b64encode(SERVICE_ARI.encode()).decode()}",
    "name": "checkout",
    "description": "",
    "tier": 1,
    "type": "SOFTWARE_SERVICES",
    "owner": TEAM,
}
TEAM_PAYLOAD = {"teamId": TEAM, "teamName": "Payments"}
USER = {"accountId": ANN, "accountType": "atlassian", "displayName": "Ann", "emailAddress": "ann@example.com"}
SCHEDULE: dict[str, Any] = {
    "id": "sched-1",
    "name": "Payments_schedule",
    "description": "",
    "timezone": "Asia/Kolkata",
    "enabled": True,
    "teamId": TEAM,
    "rotations": [
        {
            "id": "rot-1",
            "name": "Weekdays",
            "startDate": "2026-01-05T06:00:00Z",
            "endDate": "2027-01-05T06:00:00Z",
            "type": "weekly",
            "length": 2,
            "participants": [{"type": "user", "id": ANN}, {"type": "noone"}, {"type": "team", "id": TEAM}],
            "timeRestriction": {"type": "time-of-day", "restriction": {"startHour": 8, "endHour": 18}},
        },
        {"id": "rot-2", "name": "", "startDate": "2026-01-05T06:00:00Z", "type": "daily", "length": 1},
    ],
}
ESCALATION: dict[str, Any] = {
    "id": "esc-1",
    "name": "Payments_escalation",
    "rules": [
        {
            "condition": "if-not-acked",
            "notifyType": "default",
            "delay": 0,
            "recipient": {"type": "schedule", "id": "sched-1"},
        },
        {
            "condition": "if-not-closed",
            "notifyType": "all",
            "delay": 90,
            "recipient": {"type": "user", "id": ANN},
        },
        {
            "condition": "if-not-acked",
            "notifyType": "next",
            "delay": 5,
            "recipient": {"type": "user", "id": "gone"},
        },
    ],
    "enabled": True,
    "repeat": {"waitInterval": 15, "count": 3, "resetRecipientStates": False, "closeAlertAfterAll": False},
}
TIMELINE: dict[str, Any] = {
    "startDate": "2026-08-03T00:00:00Z",
    "endDate": "2026-08-10T00:00:00Z",
    "finalTimeline": {
        "rotations": [
            {
                "id": "rot-1",
                "name": "Weekdays",
                "order": 1.0,
                "deleted": False,
                "periods": [
                    {
                        "startDate": "2026-08-03T08:00:00Z",
                        "endDate": "2026-08-03T18:00:00Z",
                        "type": "historical",
                        "responder": {"type": "team", "id": TEAM},
                        "flattenedResponders": [{"type": "user", "id": ANN}, {"type": "user", "id": BEN}],
                    },
                    {
                        "startDate": "2026-08-04T08:00:00Z",
                        "endDate": "2026-08-04T18:00:00Z",
                        "type": "base",
                        "responder": {"type": "noone"},
                    },
                    {
                        "startDate": "2026-08-05T08:00:00Z",
                        "endDate": "2026-08-05T18:00:00Z",
                        "type": "base",
                        "responder": {"type": "escalation", "id": "esc-1"},
                    },
                ],
            },
            {
                "id": "rot-0",
                "name": "Before",
                "order": None,
                "deleted": True,
                "periods": [
                    {
                        "startDate": "2026-08-03T00:00:00Z",
                        "endDate": "2026-08-03T08:00:00Z",
                        "type": "historical",
                        "responder": {"type": "user", "id": "gone", "deleted": True},
                    }
                ],
            },
            {"id": "rot-3", "name": "Empty", "order": 2.0, "deleted": False},
        ]
    },
}
