"""What people report of OpsGenie's answers, and of tools that read them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from starlette.responses import Response

from opsgenie_provider.api import transport
from tests.integration.reported.canned import NOW, Canned, ago, incident, values
from tests.support.accounts import Account, advance
from tests.support.postgres import Warehouse
from tests.support.sync import Sync

DEPLOYMENT = (
    "insert into staging.deployments (source, deployment_id, service, environment, status, triggered_at) "
    "values ('ci', %s, %s, 'Production', 'success', %s)"
)
BROKEN_TIMELINE, BROKEN_SCHEDULE = "/v2/incident-timelines/b/entries", "/v2/schedules/sb/timeline"
PERIODS = (
    "select rotation_id, recipient_id, start_at, end_at from staging.opsgenie_on_call_periods order by 1, 2"
)


def schedule(services: Canned, id_: str, *rotations: dict[str, Any], enabled: bool = True) -> None:
    team = {"id": "t1", "name": "Team 1"}
    services.lists["/v2/teams"] = [team]
    services.lists["/v2/schedules"].append(
        {
            "id": id_, "name": id_, "description": "", "timezone": "Europe/Paris", "enabled": enabled,
            "ownerTeam": team, "rotations": [*rotations],
        }
    )  # fmt: skip


def rotation(id_: str, participants: Any, **more: Any) -> dict[str, Any]:
    start = "2024-01-01T08:00:00Z"
    return {"id": id_, "name": id_, "startDate": start, "type": "weekly", "length": 1} | {
        "participants": participants, **more,
    }  # fmt: skip


def user(id_: str) -> dict[str, Any]:
    return {"id": id_, "type": "user", "name": f"{id_}@example.org"}


def period(start: float, end: float, recipient: Any = None, **more: Any) -> dict[str, Any]:
    """From a day to another, counted from now."""
    made = {"startDate": ago(days=-start), "endDate": ago(days=-end), "type": "default", **more}
    return made if recipient is None else made | {"recipient": recipient}


def timeline(services: Canned, schedule_id: str, **rotations: list[dict[str, Any]]) -> None:
    shown = [{"id": id_, "name": id_, "order": 1.0, "periods": there} for id_, there in rotations.items()]
    services.lists[f"/v2/schedules/{schedule_id}/timeline"] = {"finalTimeline": {"rotations": shown}}


def test_instants_without_a_fraction_and_with_two_or_nine_digits(
    sync: Sync, services: Canned, tables: Warehouse, metrics: Callable[[], None]
) -> None:
    """airbytehq/airbyte#35020."""
    services.lists["/v1/incidents"] = [
        incident("a", "2021-02-03T09:10:11.407Z", impactEndDate="2021-02-03T11:00:00Z"),
        incident("b", "2021-02-03T09:10:11.48Z", impactEndDate="2021-02-03T09:10:12.123456789Z"),
        incident("c", "2021-02-03T12:10:11.480+03:00", "open"),
    ]
    sync(since="2021-02-01", until="2021-03-01")
    metrics()
    query = "select incident_id, opened_at::text, seconds_to_recover::float from dora.incidents order by 1"
    assert values(tables, query) == [
        ("a", "2021-02-03 09:10:11.407+00", 6588.593),
        ("b", "2021-02-03 09:10:11.48+00", 0.643456),
        ("c", "2021-02-03 09:10:11.48+00", None),
    ]
    assert tables.table("rejected_payloads") == []


def test_services_of_one_name_on_several_pages_are_one(
    sync: Sync, services: Canned, tables: Warehouse, metrics: Callable[[], None]
) -> None:
    """apache/devlake#8259: more than a page; and two teams call theirs alike."""
    services.lists["/v1/services"] = [
        *({"id": f"s{number}", "name": f"service {number}", "teamId": "t1"} for number in range(246)),
        {"id": "x1", "name": "  Checkout ", "teamId": "t1"},
        {"id": "x2", "name": "checkout", "teamId": "t2"},
        {"id": "x3", "name": "Käse 🧀 service", "teamId": "t2"},
        {"id": "x4", "name": "no team", "teamId": ""},
    ]
    impacted = ["x1", "x2", "x3", "gone-service"]
    services.lists["/v1/incidents"] = [
        incident("a", ago(hours=30), impactedServices=impacted, impactEndDate=ago(hours=29))
    ]
    sync()
    tables.execute(DEPLOYMENT, "1", "CHECKOUT", ago(hours=31))
    metrics()
    assert tables.value("select count(*) from staging.opsgenie_services") == 250
    query = "select service, match_status, deployment_id from dora.incident_attribution"
    assert sorted(values(tables, query)) == [
        ("checkout", "matched", "1"),
        ("gone-service", "service_unmapped", None),
        ("käse 🧀 service", "service_unmapped", None),
    ]
    query = "select sum(change_failures)::int from dora.overall_metrics where grain = 'day'"
    assert tables.value(query) == 1


def test_rotations_with_nobody_and_with_an_escalation(
    sync: Sync, services: Canned, tables: Warehouse
) -> None:
    """opsgenie/terraform-provider-opsgenie#173, #193, #230."""
    hours = {
        "startDay": "monday",
        "startHour": 8,
        "startMin": 0,
        "endDay": "monday",
        "endHour": 18,
        "endMin": 0,
    }
    restriction = {"type": "weekday-and-time-of-day", "restrictions": [hours]}
    schedule(
        services,
        "sc",
        rotation("r1", [{"type": "none"}, {"type": "user", "id": "u1"}]),
        rotation("r2", [{"type": "escalation", "id": "e1", "name": "esc"}]),
        rotation("r3", []),
        rotation("r4", None, timeRestriction=restriction, endDate=ago(days=2)),
    )
    flat = [user("u2"), {"type": "none"}, user("u3")]
    escalation = {"type": "escalation", "id": "e1", "name": "esc"}
    timeline(
        services,
        "sc",
        r1=[period(-2, -1, user("u1")), period(-1, 1, {"type": "none"}), period(1, 2)],
        r2=[period(-1, 1, escalation, flattenedRecipients=flat)],
        r4=[],
    )
    sync()
    day = timedelta(days=1)
    assert values(tables, PERIODS) == [
        ("r1", "u1", NOW - 2 * day, NOW - day),
        ("r2", "u2", NOW - day, NOW + day),
        ("r2", "u3", NOW - day, NOW + day),
    ]
    query = (
        "select rotation_id, end_at is not null as ends, jsonb_array_length(participants) as count, "
        "time_restriction ->> 'type' as type from staging.opsgenie_rotations order by 1"
    )
    assert values(tables, query) == [
        ("r1", False, 2, None),
        ("r2", False, 1, None),
        ("r3", False, 0, None),
        ("r4", True, None, "weekday-and-time-of-day"),
    ]
    assert tables.table("rejected_payloads") == []


def test_who_left_a_rotation_stays_in_its_past_only(
    sync: Sync, services: Canned, tables: Warehouse, account: Account
) -> None:
    """grafana/oncall#4936, #4343."""
    schedule(services, "sc", rotation("r1", [{"type": "user", "id": "u1"}]))
    shown = [period(-8, -1, user("u1")), period(-1, 6, user("u2")), period(6, 13, user("u1"))]
    timeline(services, "sc", r1=shown)
    advance(account, days=-2)
    sync()
    timeline(services, "sc", r1=[period(-8, 13, user("u2"), type="historical")])
    advance(account, days=2)
    sync()

    def on_call(days: float) -> list[tuple[Any, ...]]:
        query = (
            "select recipient_id from staging.opsgenie_on_call_periods where start_at <= %s and end_at > %s"
        )
        return values(tables, query, ago(days=-days), ago(days=-days))

    assert (on_call(-7), on_call(-4), on_call(0), on_call(7)) == ([("u1",)], [("u1",)], [("u2",)], [("u2",)])


def test_nobody_is_on_call_of_a_schedule_that_is_switched_off(
    sync: Sync, services: Canned, tables: Warehouse
) -> None:
    for id_, rotation_id, who in (("on", "r1", "u1"), ("off", "r2", "u2")):
        participants = [{"type": "user", "id": who}]
        schedule(services, id_, rotation(rotation_id, participants), enabled=id_ == "on")
        timeline(services, id_, **{rotation_id: [period(-1, 1, user(who))]})
    sync()
    found = values(tables, "select schedule, recipient_name from dora.on_call_now")
    assert found == [("on", "u1@example.org")]


def test_texts_that_a_database_cannot_hold(
    sync: Sync, services: Canned, tables: Warehouse, metrics: Callable[[], None]
) -> None:
    """apache/devlake#5243: U+0000; half of a pair; an emoji of several; a very long description."""
    services.lists["/v2/teams"] = [{"id": "t1", "name": "Team \0 1"}]
    services.lists["/v1/services"] = [{"id": "s1", "name": "pay\0ments", "teamId": "t1"}]
    family = "\N{WOMAN}\u200d\N{WOMAN}\u200d\N{GIRL}\u200d\N{BOY} down"
    services.lists["/v1/incidents"] = [
        incident("a", ago(days=3), "closed", message="broken \ud83d half", description="x" * 70_000),
        incident("b", ago(days=2), "closed", message=f"{family} \0"),
    ]
    sync()
    metrics()
    query = "select message, length(description) from staging.opsgenie_incidents order by incident_id"
    assert values(tables, query) == [("broken \ufffd half", 70_000), (f"{family} \ufffd", None)]
    assert tables.value("select name from staging.opsgenie_services") == "pay\ufffdments"
    assert tables.value("select count(*) from dora.incidents") == 2


def test_an_acknowledgement_is_seen_though_the_incident_looks_the_same(
    sync: Sync, services: Canned, account: Account, tables: Warehouse
) -> None:
    """A responder acknowledges the alert, which is another object than the incident."""
    entry = {"id": "e", "type": "ResponderAlertAcked", "eventTime": ago(hours=1)}
    acked = "select incident_id from staging.opsgenie_incidents where acknowledged_at is not null order by 1"
    for id_, days in (("young", 1), ("old", 20)):
        services.lists["/v1/incidents"].append(incident(id_, ago(days=days), "open"))
    sync()
    for id_ in ("young", "old"):
        services.lists[f"/v2/incident-timelines/{id_}/entries"] = {"entries": [entry], "nextOffset": ""}
    sync()
    assert values(tables, acked) == [("young",)]
    # An older one with the read of the whole history once a day.
    advance(account, days=1)
    sync()
    assert values(tables, acked) == [("old",), ("young",)]
    services.asked.clear()
    sync()
    assert not any("incident-timelines" in path for path in services.asked)


def test_an_incident_or_schedule_that_opsgenie_does_not_answer_for_stops_no_other(
    sync: Sync, services: Canned, tables: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 502 for one object, however often it is asked for."""
    monkeypatch.setattr(transport, "MAX_ATTEMPTS", 2)
    monkeypatch.setattr(transport, "_backoff", lambda state: 0.01)
    for number, id_ in enumerate("abc"):
        services.lists["/v1/incidents"].append(incident(id_, ago(days=3, hours=-number)))
        entry = {"id": f"e{id_}", "type": "ResponderAlertAcked", "eventTime": ago(days=2)}
        services.lists[f"/v2/incident-timelines/{id_}/entries"] = {"entries": [entry], "nextOffset": ""}
        schedule(services, f"s{id_}", rotation(f"r{id_}", [{"type": "user", "id": "u1"}]))
        timeline(services, f"s{id_}", **{f"r{id_}": [period(-1, 1, user("u1"))]})
    broken = {path: services.lists.pop(path) for path in (BROKEN_TIMELINE, BROKEN_SCHEDULE)}
    for path in broken:
        services.refusals += [(path, Response("<html>Bad Gateway</html>", 502))] * 4
    entries = "select incident_id from staging.opsgenie_incident_timeline order by 1"
    on_call = "select schedule_id from staging.opsgenie_on_call_periods order by 1"
    for _ in range(2):
        run = sync(fails=True)
        message = " ".join(map(str, run.errors))
        assert all(path in message for path in broken)
        assert values(tables, entries) == [("a",), ("c",)]
        assert values(tables, on_call) == [("sa",), ("sc",)]

    services.lists |= broken
    sync()
    assert values(tables, entries) == [("a",), ("b",), ("c",)]
    assert values(tables, on_call) == [("sa",), ("sb",), ("sc",)]
