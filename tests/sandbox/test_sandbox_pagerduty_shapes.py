"""What an incident, its log entries, notes and alerts look like through their life."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.pagerduty import Store
from tests.sandbox.sandbox_client import Reader

Pd = Reader[Store]
AT = "2024-06-10T10:0{}:00Z"


@pytest.fixture
def id_(pd: Pd) -> str:
    made = pd.store.incidents.add("Down", "PLEDGER", AT.format(0), priority_id="PRIOSEV", skew=-1)
    pd.store.incidents.assign(made.id, "PANN", AT.format(0))
    return made.id


def one(pd: Pd, id_: str, **params: Any) -> Any:
    return pd.json(f"/incidents/{id_}", **params)["incident"]


def log(pd: Pd, id_: str, **params: Any) -> Any:
    return pd.json(f"/incidents/{id_}/log_entries", **params)["log_entries"]


def test_an_incident_is_found_by_id_and_by_number(pd: Pd, id_: str) -> None:
    assert one(pd, "1")["id"] == one(pd, id_)["id"] == id_
    assert one(pd, id_)["summary"] == "[#1] Down"
    response = pd.get("/incidents/QNONE")
    assert (response.status_code, response.json()["error"]["code"]) == (404, 2100)


def test_assignments_and_acknowledgements_are_empty_once_resolved(pd: Pd, id_: str) -> None:
    pd.store.incidents.acknowledge(id_, AT.format(1), by="PANN")
    acked = one(pd, id_)
    assert acked["acknowledgements"][0]["acknowledger"]["type"] == "user_reference"
    assert acked["acknowledgements"][0]["at"] == AT.format(1)
    assert [each["assignee"]["id"] for each in acked["assignments"]] == ["PANN"]
    assert acked["resolved_at"] is None
    pd.store.incidents.resolve(id_, AT.format(2), by="PBOB")
    resolved = one(pd, id_)
    assert (resolved["acknowledgements"], resolved["assignments"]) == ([], [])
    assert resolved["resolved_at"] == resolved["last_status_change_at"] == AT.format(2)
    assert resolved["last_status_change_by"]["summary"] == "Bob"


@pytest.mark.parametrize("entry", ["trigger", "unacknowledge", "acknowledge"])
def test_a_reopened_incident_has_no_resolved_at_and_keeps_created_at(pd: Pd, id_: str, entry: str) -> None:
    """changelog 2025-09-18; the REST schema has no reopened_at."""
    pd.store.incidents.resolve(id_, AT.format(2))
    pd.store.incidents.reopen(id_, AT.format(4), by="PANN", entry=entry)
    body = one(pd, id_)
    assert body["resolved_at"] is None
    assert body["created_at"] == AT.format(0)
    assert "reopened_at" not in body
    kinds = [each["type"] for each in log(pd, id_)]
    assert kinds[:2] == [f"{entry}_log_entry", "resolve_log_entry"]
    pd.store.incidents.resolve(id_, AT.format(6))
    assert one(pd, id_)["resolved_at"] == AT.format(6)


def test_a_merged_incident_is_resolved_with_a_reason_and_its_alerts_move(pd: Pd, id_: str) -> None:
    other = pd.store.incidents.add("Down too", "PLEDGER", AT.format(1)).id
    pd.store.incidents.add_alert(other, "alert", AT.format(1))
    pd.store.incidents.merge(other, id_, AT.format(2))
    body = one(pd, other)
    assert (body["status"], body["resolved_at"]) == ("resolved", AT.format(2))
    assert body["resolve_reason"]["type"] == "merge_resolve_reason"
    assert body["resolve_reason"]["incident"]["id"] == id_
    assert one(pd, id_)["alert_counts"] == {"all": 1, "triggered": 1, "resolved": 0}
    assert one(pd, id_)["resolve_reason"] is None


def test_a_deleted_service_stays_as_a_reference_without_urls(pd: Pd, id_: str) -> None:
    """11-References; even when the full service is asked for."""
    assert one(pd, id_, **{"include[]": "services"})["service"]["type"] == "service"
    pd.store.drop("service", "PLEDGER")
    gone = {
        "id": "PLEDGER",
        "type": "service_reference",
        "summary": "ledger",
        "self": None,
        "html_url": None,
    }
    assert one(pd, id_, **{"include[]": "services"})["service"] == gone
    assert pd.json("/services")["services"] == []
    assert pd.get("/services/PLEDGER").status_code == 404


def test_include_gives_full_objects(pd: Pd, id_: str) -> None:
    assert one(pd, id_)["priority"]["type"] == "priority_reference"
    names = ["priorities", "first_trigger_log_entries", "assignees", "teams", "body", "conference_bridge"]
    body = one(pd, id_, **{"include[]": names})
    assert body["priority"]["name"] == "SEV-1"
    assert body["first_trigger_log_entry"]["created_at"] == "2024-06-10T09:59:59Z"
    assert body["assignments"][0]["assignee"]["email"] == "ann@example.com"
    assert body["teams"][0]["name"] == "Payments"
    assert body["body"]["type"] == "incident_body"
    assert body["conference_bridge"] is None
    assert not {"body", "conference_bridge"} & set(one(pd, id_))


def test_any_field_that_is_not_required_can_be_null(pd: Pd, id_: str) -> None:
    """06-Types; the documentation's own example has "acknowledgements": null."""
    pd.store.incidents.edit(id_, nulls=["acknowledgements", "teams"])
    body = one(pd, id_)
    assert (body["acknowledgements"], body["teams"], body["id"]) == (None, None, id_)


def test_the_incident_key_is_null_with_alerts(pd: Pd, id_: str) -> None:
    assert one(pd, id_)["incident_key"]
    pd.store.incidents.add_alert(id_, "alert", details={"host": "a"})
    pd.store.incidents.add_alert(id_, "alert", details="free text")
    assert one(pd, id_)["incident_key"] is None
    body = pd.json(f"/incidents/{id_}/alerts", limit=1, total="true")
    assert (body["total"], body["more"]) == (2, True)
    found = pd.json(f"/incidents/{id_}/alerts", **{"statuses[]": "triggered"})["alerts"]
    assert [alert["body"]["details"] for alert in found] == [{"host": "a"}, "free text"]


def test_log_entries_come_newest_first_in_the_account_s_time_zone(pd: Pd, id_: str) -> None:
    pd.store.incidents.notify(id_, "PANN", AT.format(0))
    pd.store.incidents.acknowledge(id_, AT.format(1), by="PANN")
    pd.store.incidents.unacknowledge(id_, AT.format(2))
    entries = log(pd, id_)
    assert [each["type"].removesuffix("_log_entry") for each in entries] == [
        "unacknowledge",
        "acknowledge",
        "notify",
        "assign",
        "trigger",
    ]
    assert entries[1]["created_at"] == "2024-06-10T06:01:00-04:00"
    assert entries[1]["acknowledgement_timeout"] == 1_800
    assert entries[2]["user"]["id"] == "PANN"
    assert (entries[0]["channel"]["type"], entries[0]["agent"]["type"]) == ("timeout", "service_reference")
    assert entries[4]["created_at"] == "2024-06-10T05:59:59-04:00", "older than the incident (faros)"
    assert log(pd, id_, time_zone="UTC")[1]["created_at"] == AT.format(1)
    pd.store.log_digits = 6
    assert log(pd, id_, time_zone="UTC")[1]["created_at"] == "2024-06-10T10:01:00.000000Z"


def test_the_overview_leaves_out_who_was_notified(pd: Pd, id_: str) -> None:
    pd.store.incidents.notify(id_, "PANN", AT.format(0))
    pd.store.incidents.resolve(id_, AT.format(2))
    kinds = [each["type"] for each in log(pd, id_, is_overview="true")]
    assert kinds == ["resolve_log_entry", "trigger_log_entry"]


def test_the_account_s_log_is_searched_by_the_time_of_the_entry(pd: Pd, id_: str) -> None:
    pd.store.incidents.resolve(id_, AT.format(5))
    window = {"since": AT.format(3), "until": AT.format(9)}
    body = pd.json("/log_entries", **window, **{"include[]": "incidents"})
    assert [each["type"] for each in body["log_entries"]] == ["resolve_log_entry"]
    assert body["log_entries"][0]["incident"]["status"] == "resolved"
    assert pd.json("/log_entries", since="2024-06-10T06:03:00", total="true")["total"] == 1
    assert pd.json("/log_entries", total="true")["total"] == 3
    assert pd.json("/log_entries", **{"team_ids[]": "PNONE"})["log_entries"] == []
    assert pd.get("/log_entries", offset=9_990, limit=11).status_code == 400


def test_notes_are_not_paged_and_name_a_person_or_a_bot(pd: Pd, id_: str) -> None:
    incidents = pd.store.incidents
    for number in range(30):
        incidents.add_note(id_, f"note {number}", AT.format(0), user="PANN")
    note = incidents.add_note(id_, "looking", AT.format(1), user="PANN")
    incidents.add_note(id_, "runbook", AT.format(2), bot="A Global Event Rule")
    incidents.edit_note(id_, note.id, "found", AT.format(3))
    body = pd.json(f"/incidents/{id_}/notes", limit=5)
    assert list(body) == ["notes"]
    assert len(body["notes"]) == 32
    bot, edited = body["notes"][:2]
    assert (bot["user"]["type"], bot["user"]["summary"]) == ("bot_user_reference", "A Global Event Rule")
    assert (edited["content"], edited["created_at"], edited["updated_at"]) == (
        "found",
        AT.format(1),
        AT.format(3),
    )
    incidents.delete_note(id_, note.id)
    assert len(pd.json(f"/incidents/{id_}/notes")["notes"]) == 31


def test_priorities_keep_their_order_of_severity(pd: Pd) -> None:
    found = pd.json("/priorities")["priorities"]
    assert [each["name"] for each in found] == ["SEV-1", "Minor"]
    pd.store.abilities.remove("priorities")
    response = pd.get("/priorities")
    assert (response.status_code, response.json()["error"]["code"]) == (402, 2014)
