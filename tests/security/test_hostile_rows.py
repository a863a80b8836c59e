"""Whatever a service sends: rows that PostgreSQL stores, or a payload rejected with a reason."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from opsgenie_provider.rows import configuration, pagerduty
from opsgenie_provider.rows import tables as t
from opsgenie_provider.rows.deployment_events import Event
from opsgenie_provider.rows.deployments import deployment_row, parse_listed, pull_of
from opsgenie_provider.rows.fields import UnreadablePayloadError, decode
from opsgenie_provider.rows.incidents import incident_rows, timeline_row
from opsgenie_provider.rows.on_call import join_touching, timeline_periods
from opsgenie_provider.rows.webhook import Ignored, generic_event, github_event, gitlab_event
from opsgenie_provider.warehouse.connection import Connection, Warehouse
from opsgenie_provider.warehouse.schema import upgrade
from opsgenie_provider.warehouse.staged import Staged
from opsgenie_provider.warehouse.state import keep_rejected
from opsgenie_provider.warehouse.webhook import record
from tests.security.hostile import EXAMPLES, NOISE, changed, damaged
from tests.security.samples import REPOSITORY, WEBHOOKS, samples

Tables = list[tuple[t.Table, list[t.Row]]]
SAMPLES: Mapping[str, Any] = samples(time.time_ns())
PERIOD = ("finalTimeline", "rotations", 0, "periods", 0)


def _raw(payload: Any) -> Raw:
    return Raw(msgspec.json.encode(payload))


def incident(raw: Raw) -> Tables:
    rows = incident_rows(raw, account="acme", key_reach="account")
    return [
        (t.INCIDENTS, [rows.incident]),
        (t.INCIDENT_SERVICES, rows.services),
        (t.INCIDENT_RESPONDERS, rows.responders),
    ]


def schedule_timeline(raw: Raw) -> Tables:
    return [(t.ON_CALL_PERIODS, [("acme", "s1", *period) for period in join_touching(timeline_periods(raw))])]


def configured(*kinds: tuple[t.Table, Callable[..., list[t.Row]]]) -> Callable[[Raw], Tables]:
    return lambda raw: [(table, read(raw, account="acme")) for table, read in kinds]


def one(table: t.Table, read: Callable[..., t.Row], **more: str) -> Callable[[Raw], Tables]:
    return lambda raw: [(table, [read(raw, account="acme", **more)])]


def priorities(raw: Raw) -> Tables:
    return [(t.PAGERDUTY_PRIORITIES, [pagerduty.priority_row(raw, account="acme", position=1)])]


def deployment(raw: Raw) -> Tables:
    parse_listed(raw)
    return [(t.DEPLOYMENTS, [deployment_row(raw, [], None, repository=REPOSITORY)])]


def deployment_status(raw: Raw) -> Tables:
    good = _raw(SAMPLES["deployment"])
    return [(t.DEPLOYMENTS, [deployment_row(good, [raw], None, repository=REPOSITORY)])]


def pull_request(raw: Raw) -> Tables:
    pull = pull_of("a" * 40, [raw])
    return [(t.DEPLOYMENTS, [deployment_row(_raw(SAMPLES["deployment"]), [], pull, repository=REPOSITORY)])]


READERS: dict[str, Callable[[Raw], Tables]] = {
    "incident": incident,
    "timeline entry": one(t.INCIDENT_TIMELINE, timeline_row, incident_id="i1"),
    "schedule": configured(
        (t.SCHEDULES, configuration.schedule_rows), (t.ROTATIONS, configuration.rotation_rows)
    ),
    "schedule timeline": schedule_timeline,
    "service": configured((t.SERVICES, configuration.service_rows)),
    "team": configured((t.TEAMS, configuration.team_rows)),
    "user": configured((t.USERS, configuration.user_rows)),
    "escalation": configured(
        (t.ESCALATIONS, configuration.escalation_rows),
        (t.ESCALATION_RULES, configuration.escalation_rule_rows),
    ),
    "pagerduty incident": one(t.PAGERDUTY_INCIDENTS, pagerduty.pagerduty_incident_row),
    "log entry": one(t.PAGERDUTY_LOG_ENTRIES, pagerduty.log_entry_row),
    "note": one(t.PAGERDUTY_NOTES, pagerduty.note_row, incident_id="i1"),
    "pagerduty service": configured((t.PAGERDUTY_SERVICES, pagerduty.service_rows)),
    "priority": priorities,
    "deployment": deployment,
    "deployment status": deployment_status,
    "pull request": pull_request,
}  # fmt: skip


@pytest.fixture(scope="module")
def database(postgres: str) -> Iterator[Connection]:
    """The tables, in a transaction that each example undoes."""
    name = f"rows_{uuid.uuid4().hex}"
    with psycopg.connect(host=postgres, user="postgres", dbname="postgres", autocommit=True) as admin:
        admin.execute(f"create database {name}")
        try:
            connect = partial(psycopg.connect, host=postgres, user="postgres", dbname=name)
            upgrade(Warehouse(connect, name))
            with connect() as connection:
                connection.execute("set time zone 'UTC'")
                connection.commit()
                yield connection
        finally:
            admin.execute(f"drop database {name} with (force)")


def store(database: Connection, tables: Tables) -> list[tuple[Any, ...]]:
    """Write the rows as a sync does, and read them again as it does."""
    found = []
    for table, rows in tables:
        staged = Staged(database, table)
        staged.copy({table.key_of(row): row for row in rows}.values())
        staged.merge()
        found += database.execute(f"select * from staging.{table.name}").fetchall()
    return found


@pytest.mark.parametrize("kind", READERS)
@EXAMPLES
@given(data=st.data())
def test_stored_or_rejected(kind: str, database: Connection, data: st.DataObject) -> None:
    payload = data.draw(damaged(SAMPLES[kind]))
    with database.transaction(force_rollback=True):
        try:
            tables = READERS[kind](payload)
        except UnreadablePayloadError as error:
            reason = str(error)
        else:
            reason = ""
        if reason:
            keep_rejected(database, "acme", kind, [(bytes(payload), reason)])
            kept = database.execute("select reason from staging.rejected_payloads").fetchall()
            assert kept == [(reason,)]
            return
        stored = store(database, tables)
        assert len(stored) == sum(len({table.key_of(row) for row in rows}) for table, rows in tables)


def event_of(sender: str, raw: Raw) -> Event | Ignored:
    payload, text = decode(raw), bytes(raw).decode()
    if sender == "github":
        return github_event("deployment_status", payload, text, [])
    return gitlab_event(payload, text, ["production"]) if sender == "gitlab" else generic_event(payload, text)


@pytest.mark.parametrize("sender", WEBHOOKS)
@EXAMPLES
@given(data=st.data())
def test_deliveries_are_stored_or_refused(sender: str, database: Connection, data: st.DataObject) -> None:
    raw = data.draw(damaged(WEBHOOKS[sender]))
    event = None
    with suppress(UnreadablePayloadError):
        event = event_of(sender, raw)
    if isinstance(event, Event):
        with database.transaction(force_rollback=True):
            assert record(database, event, sender=sender, delivery_id="1") == "stored"
            # A second one must read the first.
            assert record(database, event, sender=sender, delivery_id="2") == "unchanged"


@pytest.mark.parametrize(
    ("kind", "path", "fragment"),
    [
        ("incident", ("id",), b'"' + b"x" * 501 + b'"'),
        ("incident", ("status",), b'"' + "\u00e9".encode() * 251 + b'"'),
        ("incident", ("createdAt",), b'"0001-01-01T00:00:00+14:00"'),
        ("incident", ("extraProperties",), b'{"n": 1E-20000}'),
        ("incident", ("extraProperties",), b'{"n": 0.' + b"1" * 16_384 + b"}"),
        ("schedule timeline", (*PERIOD, "recipient", "id"), b'"' + b"x" * 501 + b'"'),
        ("schedule timeline", (*PERIOD, "endDate"), b'"9999-12-31T23:59:59-14:00"'),
        ("escalation", ("rules", 0, "delay", "timeAmount"), b"9223372036854775808"),
    ],
)  # fmt: skip
def test_what_postgresql_cannot_hold_is_rejected(
    database: Connection, kind: str, path: tuple[Any, ...], fragment: bytes
) -> None:
    raw = Raw(changed(SAMPLES[kind], {path: fragment}))
    with pytest.raises(UnreadablePayloadError) as refused:
        READERS[kind](raw)
    with database.transaction(force_rollback=True):
        keep_rejected(database, "acme", kind, [(bytes(raw), str(refused.value))])


def test_what_it_can_hold_is_stored_as_it_came(database: Connection) -> None:
    # As long as keys may be, in the widest index there is; and numbers only in what they say.
    names = [NOISE[n : n + 500] for n in (0, 500, 1000)]
    period = (
        names[1],
        "2026-03-02T00:00:00Z",
        names[2],
        None,
        None,
        "2026-03-03T00:00:00Z",
        None,
        "opsgenie",
        "{}",
    )
    said = {"n": "1e-20000", "e-12345": f"{'1' * 16_384} e-20000"}
    raw = _raw(SAMPLES["incident"] | {"extraProperties": said, "updatedAt": "2026-03-02T15:37:31+15:59"})
    with database.transaction(force_rollback=True):
        assert store(database, [(t.ON_CALL_PERIODS, [("acme", names[0], *period)])])
        assert store(database, incident(raw))
        kept = database.execute("select details, updated_at from staging.opsgenie_incidents").fetchone()
    assert kept == (said, datetime(2026, 3, 1, 23, 38, 31, tzinfo=UTC))
