"""Whatever the service sends: rows that their tables can hold, or a payload rejected with its reason."""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsgenie_provider.rows import configuration, jsm_configuration, jsm_on_call
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.incidents import incident_rows, timeline_row
from opsgenie_provider.rows.jsm_incidents import issue_rows
from opsgenie_provider.rows.on_call import timeline_periods
from opsgenie_provider.rows.tables import (
    ESCALATION_RULES,
    ESCALATIONS,
    INCIDENT_RESPONDERS,
    INCIDENT_SERVICES,
    INCIDENT_TIMELINE,
    INCIDENTS,
    ON_CALL_PERIODS,
    ROTATIONS,
    SCHEDULES,
    SERVICES,
    TEAMS,
    USERS,
    Row,
    Table,
)
from tests.unit.rows.jsm_payloads import (
    DIRECTORY,
    OPEN,
    WORK,
    issue,
    move,
    rules,
)
from tests.unit.rows.jsm_payloads import (
    ESCALATION as JSM_ESCALATION,
)
from tests.unit.rows.jsm_payloads import (
    SCHEDULE as JSM_SCHEDULE,
)
from tests.unit.rows.jsm_payloads import (
    SERVICE as JSM_SERVICE,
)
from tests.unit.rows.jsm_payloads import (
    TEAM_PAYLOAD as JSM_TEAM,
)
from tests.unit.rows.jsm_payloads import (
    TIMELINE as JSM_TIMELINE,
)
from tests.unit.rows.jsm_payloads import (
    USER as JSM_USER,
)
from tests.unit.rows.payloads import (
    ESCALATION,
    INCIDENT,
    JSON,
    ON_CALL,
    SCHEDULE,
    SERVICE,
    TEAM,
    TIMELINE_ENTRY,
    USER,
    damaged,
    raw,
)

NOT_NULL = {"created_at", "key_reach", "backend", "raw", "start_at", "end_at"}
INTEGERS = {
    "repeat_count": 32,
    "repeat_wait_seconds": 32,
    "rotation_length": 32,
    "step": 32,
    "delay_seconds": 64,
}
DOCUMENTS = {"raw", "details", "participants", "time_restriction"}


def incident(payload: Any) -> list[tuple[Table, list[Row]]]:
    rows = incident_rows(raw(payload), account="acme", key_reach="account")
    return [
        (INCIDENTS, [rows.incident]),
        (INCIDENT_SERVICES, rows.services),
        (INCIDENT_RESPONDERS, rows.responders),
    ]


def timeline(payload: Any) -> list[tuple[Table, list[Row]]]:
    return [(INCIDENT_TIMELINE, [timeline_row(raw(payload), account="acme", incident_id="i1")])]


def on_call(payload: Any) -> list[tuple[Table, list[Row]]]:
    periods = timeline_periods(raw(payload))
    assert all(period.start_at < period.end_at for period in periods)
    return [(ON_CALL_PERIODS, [("acme", "sched-1", *period) for period in periods])]


def configured(table: Table, read: Any) -> Any:
    return lambda payload: [(table, read(raw(payload), account="acme"))]


def jsm_issue(payload: Any) -> list[tuple[Table, list[Row]]]:
    """An issue, or what is drawn as one, with a changelog that is as damaged."""
    history = payload.get("changelog") if isinstance(payload, dict) else None
    found = issue_rows(
        raw(payload),
        [raw(history)],
        account="acme",
        key_reach="account",
        rules=rules(impact_end_field="Impact end"),
    )
    assert all(reason for _, reason in found.rejected)
    return [
        (INCIDENTS, [found.incident]),
        (INCIDENT_SERVICES, found.services),
        (INCIDENT_RESPONDERS, found.responders),
        (INCIDENT_TIMELINE, found.timeline),
    ]


def jsm_on_call_periods(payload: Any) -> list[tuple[Table, list[Row]]]:
    periods = jsm_on_call.timeline(raw(payload), directory=DIRECTORY).periods
    assert all(period.start_at < period.end_at for period in periods)
    return [(ON_CALL_PERIODS, [("acme", "sched-1", *period) for period in periods])]


JSM_ISSUE = issue(
    customfield_10042=[{"accountId": "r-1"}],
    description={
        "type": "doc",
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": "x"}]}],
    },
) | {"changelog": move("1", "2026-08-04T04:00:00.000+0500", OPEN, WORK)}

READERS = {
    "incident": (incident, INCIDENT),
    "timeline": (timeline, TIMELINE_ENTRY),
    "on-call": (on_call, ON_CALL),
    "service": (configured(SERVICES, configuration.service_rows), SERVICE),
    "team": (configured(TEAMS, configuration.team_rows), TEAM),
    "user": (configured(USERS, configuration.user_rows), USER),
    "schedule": (configured(SCHEDULES, configuration.schedule_rows), SCHEDULE),
    "rotations": (configured(ROTATIONS, configuration.rotation_rows), SCHEDULE),
    "escalation": (configured(ESCALATIONS, configuration.escalation_rows), ESCALATION),
    "rules": (configured(ESCALATION_RULES, configuration.escalation_rule_rows), ESCALATION),
    "jsm issue": (jsm_issue, JSM_ISSUE),
    "jsm on-call": (jsm_on_call_periods, JSM_TIMELINE),
    "jsm service": (configured(SERVICES, jsm_configuration.service_rows), JSM_SERVICE),
    "jsm team": (configured(TEAMS, jsm_configuration.team_rows), JSM_TEAM),
    "jsm user": (configured(USERS, jsm_configuration.user_rows), JSM_USER),
    "jsm schedule": (configured(SCHEDULES, jsm_configuration.schedule_rows), JSM_SCHEDULE),
    "jsm rotations": (configured(ROTATIONS, jsm_configuration.rotation_rows), JSM_SCHEDULE),
    "jsm escalation": (
        configured(ESCALATIONS, partial(jsm_configuration.escalation_rows, team_id="t-1")),
        JSM_ESCALATION,
    ),
    "jsm rules": (
        configured(ESCALATION_RULES, partial(jsm_configuration.escalation_rule_rows, directory=DIRECTORY)),
        JSM_ESCALATION,
    ),
}


def check(table: Table, row: Row) -> None:
    """What PostgreSQL would refuse, or the contract forbids."""
    assert len(row) == len(table.columns)
    for name, value in zip(table.columns, row, strict=True):
        if name in table.key or (name in NOT_NULL and table is not ROTATIONS):
            assert value is not None, name
        if value is None:
            continue
        if name in INTEGERS:
            assert isinstance(value, int)
            assert -(2 ** (INTEGERS[name] - 1)) <= value < 2 ** (INTEGERS[name] - 1), name
        elif name.endswith("_at"):
            assert isinstance(value, datetime)
            assert value.tzinfo is not None
        elif name == "enabled":
            assert isinstance(value, bool)
        else:
            for each in value if name == "tags" else [value]:
                assert isinstance(each, str), name
                assert each, name
                assert "\0" not in each, name
                each.encode()
        if name in DOCUMENTS:
            json.loads(value)


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data())
def test_rows_or_a_reason(kind: str, data: st.DataObject) -> None:
    read, good = READERS[kind]
    payload = data.draw(damaged(good) | JSON)
    tables, reason = [], None
    try:
        tables = read(payload)
    except UnreadablePayloadError as error:
        reason = str(error)
    assert reason != ""
    for table, rows in tables:
        for row in rows:
            check(table, row)


@pytest.mark.parametrize("kind", READERS)
def test_good_payloads_give_rows(kind: str) -> None:
    read, good = READERS[kind]
    assert all(rows for _, rows in read(good))
