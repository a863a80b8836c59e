"""Payloads as the service gives them: incident, timeline and schedule shapes of real accounts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import Raw

from opsgenie_provider.api.transport import storable

INCIDENT: dict[str, Any] = {
    "id": "70413a06-38d6-4c85-92b8-5ebc900d42e2",
    "tinyId": "1791",
    "message": "Checkout is down",
    "description": "Payments fail",
    "status": "closed",
    "priority": "P1",
    "createdAt": "2026-03-02T15:37:31.62Z",
    "updatedAt": "2026-03-02T15:43:40.347Z",
    "impactStartDate": "2026-03-02T15:37:31.62Z",
    "impactEndDate": "2026-03-02T15:42:42.141Z",
    "tags": ["prod", "db"],
    "extraProperties": {"region": "eu", "n": 1},
    "links": {"web": "https://acme.app.opsgenie.com/incident/detail/1", "api": "https://api/1"},
    "impactedServices": ["svc-1", "svc-2"],
    "responders": [{"type": "team", "id": "team-1"}, {"type": "user", "id": "user-1"}],
    "ownerTeam": "",
    "actions": [],
}
TIMELINE_ENTRY: dict[str, Any] = {
    "id": "entry-1",
    "group": "responderAlert",
    "type": "ResponderAlertAcked",
    "eventTime": "2026-03-02T15:38:00Z",
    "hidden": False,
    "actor": {"name": "ann@example.com", "type": "user"},
    "title": {"type": "plain_text", "content": "acknowledged"},
}
SERVICE: dict[str, Any] = {
    "id": "svc-1",
    "name": "checkout",
    "teamId": "team-1",
    "tags": [],
    "isExternal": False,
}
TEAM: dict[str, Any] = {"id": "team-1", "name": "Payments", "description": "", "links": {}}
USER: dict[str, Any] = {
    "id": "user-1",
    "username": "ann@example.com",
    "fullName": "Ann",
    "blocked": False,
    "timeZone": "UTC",
}
SCHEDULE: dict[str, Any] = {
    "id": "sched-1",
    "name": "Payments_schedule",
    "timezone": "Europe/Istanbul",
    "enabled": True,
    "ownerTeam": {"id": "team-1", "name": "Payments"},
    "rotations": [
        {
            "id": "rot-1",
            "name": "Weekdays",
            "startDate": "2026-01-05T06:00:00Z",
            "endDate": "2027-01-05T06:00:00Z",
            "type": "weekly",
            "length": 2,
            "participants": [{"type": "user", "id": "user-1", "username": "ann@example.com"}],
            "timeRestriction": {"type": "time-of-day", "restriction": {"startHour": 8, "endHour": 18}},
        },
        {
            "id": "rot-2",
            "name": "",
            "startDate": "2026-01-05T06:00:00Z",
            "type": "daily",
            "length": 1,
            "participants": [],
            "timeRestriction": None,
        },
    ],
}
ESCALATION: dict[str, Any] = {
    "id": "esc-1",
    "name": "Payments_escalation",
    "ownerTeam": {"id": "team-1", "name": "Payments"},
    "repeat": {"waitInterval": 10, "count": 2, "resetRecipientStates": False, "closeAlertAfterAll": False},
    "rules": [
        {
            "condition": "if-not-acked",
            "notifyType": "default",
            "delay": {"timeAmount": 5, "timeUnit": "minutes"},
            "recipient": {"type": "schedule", "id": "sched-1", "name": "Payments_schedule"},
        },
        {
            "condition": "if-not-closed",
            "notifyType": "all",
            "delay": {"timeAmount": 1, "timeUnit": "hours"},
            "recipient": {"type": "user", "id": "user-1", "username": "ann@example.com"},
        },
    ],
}
ON_CALL: dict[str, Any] = {
    "_parent": {"id": "sched-1", "name": "Payments_schedule", "enabled": True},
    "startDate": "2026-03-01T00:00:00Z",
    "endDate": "2026-03-08T00:00:00Z",
    "finalTimeline": {
        "rotations": [
            {
                "id": "rot-1",
                "name": "Weekdays",
                "order": 1.0,
                "periods": [
                    {
                        "startDate": "2026-03-01T00:00:00Z",
                        "endDate": "2026-03-02T00:00:00Z",
                        "type": "historical",
                        "recipient": {"id": "user-1", "type": "user", "name": "ann@example.com"},
                        "flattenedRecipients": [{"id": "user-1", "type": "user", "name": "ann@example.com"}],
                    },
                    {
                        "startDate": "2026-03-02T00:00:00Z",
                        "endDate": "2026-03-03T00:00:00Z",
                        "type": "default",
                    },
                    {
                        "startDate": "2026-03-03T00:00:00Z",
                        "endDate": "2026-03-04T00:00:00Z",
                        "type": "override",
                        "recipient": {"id": "team-1", "type": "team", "name": "Payments"},
                        "flattenedRecipients": [
                            {"id": "user-1", "type": "user", "name": "ann@example.com"},
                            {"id": "user-2", "type": "user", "name": "bob@example.com"},
                        ],
                    },
                ],
            },
            {"id": "rot-2", "name": "Nobody", "order": None},
        ]
    },
}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([2**31 - 1, 2**31, 2**63 - 1])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["", "0", "12", "2026-02-30", "2026-03-02T15:37:31.123456789Z", "minutes", "none", "1e5"]
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def raw(payload: Any) -> Raw:
    """A payload as the client hands it on."""
    return Raw(storable(msgspec.json.encode(payload)))


def without(payload: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in names}


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        yield from _places(child, (*path, name))


@st.composite
def damaged(draw: st.DrawFn, payload: dict[str, Any]) -> Any:
    """The payload with anything at all in one or two of its places."""
    result: Any = copy.deepcopy(payload)
    for path in draw(st.lists(st.sampled_from(list(_places(payload))), min_size=1, max_size=2)):
        value = draw(JSON)
        if not path:
            return value
        parent = result
        try:
            for name in path[:-1]:
                parent = parent[name]
            parent[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    return result
