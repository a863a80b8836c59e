"""How Jira prints issues, changelogs and users: the shapes, the offsets, what is cut and what is hidden."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest

from sandbox.jsm.catalogue import IMPACT_END, RESPONDERS_FIELD, SERVICES_FIELD
from sandbox.jsm.model import AFFECTED_SERVICES, Issue
from sandbox.jsm.store import SYNC_ACCOUNT
from tests.sandbox.sandbox_client import Jsm

INCIDENTS = 'issuetype = "[System] Incident"'
AT = "2024-06-10T10:0{}:00Z"


def add(jira: Jsm) -> Issue:
    return jira.store.issues.add("Down", AT.format(0))


def zone(jira: Jsm, name: str) -> None:
    jira.store.accounts[SYNC_ACCOUNT].time_zone = name


def changes(body: Any) -> list[tuple[str, str | None]]:
    """(field, new value) of a changelog's entries, in their order."""
    return [(item["field"], item["toString"]) for entry in body for item in entry["items"]]


# Fields.


def test_an_issue_s_fields_have_jira_s_shapes(jira: Jsm) -> None:
    issue = jira.store.issues.add(
        "Down",
        AT.format(0),
        description="first\nsecond",
        services=["ari:cloud:graph::service/11/22"],
        reporter="712020:ann",
        priority=None,
        custom={IMPACT_END: "2024-06-10T11:00:00Z"},
    )
    zone(jira, "UTC")
    fields = jira.jira(f"/issue/{issue.id}")["fields"]
    assert fields[SERVICES_FIELD] == [{"id": "ari:cloud:graph::service/11/22"}]
    assert fields["reporter"]["accountId"] == "712020:ann"
    assert fields[IMPACT_END] == "2024-06-10T11:00:00.000+0000"
    assert (fields["priority"], fields["resolution"], fields["resolutiondate"]) == (None, None, None)
    assert fields["description"]["type"] == "doc"
    assert datetime.fromisoformat(fields["created"]).utcoffset() is not None
    plain = jira.json(f"/ex/jira/{jira.store.cloud_id}/rest/api/2/issue/{issue.id}")
    assert plain["fields"]["description"] == "first\nsecond"


def test_a_description_may_be_any_document(jira: Jsm) -> None:
    issue = add(jira)
    document = {"type": "doc", "version": 1, "content": [{"type": "rule"}]}
    jira.store.issues.edit(issue.id, document=document)
    assert jira.jira(f"/issue/{issue.id}", fields="description")["fields"]["description"] == document


def test_fields_are_found_by_kind_and_names_are_not_unique(jira: Jsm) -> None:
    fields = jira.jira("/field")
    assert isinstance(fields, list)
    services = [field for field in fields if field["schema"].get("custom") == AFFECTED_SERVICES]
    assert [field["id"] for field in services] == [SERVICES_FIELD]
    assert len([field for field in fields if field["name"] == "Impact end"]) == 2
    jira.store.catalogue.rename_field(SERVICES_FIELD, "Betroffene Dienste")
    (renamed,) = [field for field in jira.jira("/field") if field["id"] == SERVICES_FIELD]
    assert (renamed["name"], renamed["untranslatedName"]) == ("Betroffene Dienste", "Affected services")


def test_a_field_may_be_on_no_screen(jira: Jsm) -> None:
    issue = add(jira)
    jira.store.switches.absent_fields = ["priority"]
    assert set(jira.jira(f"/issue/{issue.id}", fields="priority,labels")["fields"]) == {"labels"}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("ari", {"ari": "ari:cloud:identity::user/712020:ann"}),
        ("accountId", {"accountId": "712020:ann"}),
        ("id", {"id": "712020:ann"}),
        ("api", {"ari": "ari:cloud:identity::user/712020:ann", "name": "Ann", "type": "user"}),
        ("text", "Ann"),
    ],
)
def test_responders_have_one_of_the_shapes_that_may_be(jira: Jsm, shape: str, expected: Any) -> None:
    """An account id has colons: an ARI is cut at its last slash."""
    issue = jira.store.issues.add("Down", responders=[("user", "712020:ann")])
    jira.store.switches.responders_shape = shape
    assert jira.jira(f"/issue/{issue.id}")["fields"][RESPONDERS_FIELD] == [expected]


def test_statuses_have_their_category_and_priorities_their_default_names(jira: Jsm) -> None:
    found = {status["name"]: status["statusCategory"]["key"] for status in jira.jira("/status")}
    assert set(found.values()) == {"new", "indeterminate", "done"}
    names = [priority["name"] for priority in jira.jira("/priority")]
    assert names == ["Highest", "High", "Medium", "Low", "Lowest"]
    assert "[System] Incident" in [kind["name"] for kind in jira.jira("/issuetype")]


# Status and changelog.


def test_a_reopened_issue_has_no_resolution_date(jira: Jsm) -> None:
    issue = add(jira)
    zone(jira, "UTC")
    issues = jira.store.issues
    issues.acknowledge(issue.id, AT.format(1), by="712020:ann")
    issues.resolve(issue.id, AT.format(2))
    fields = jira.jira(f"/issue/{issue.id}")["fields"]
    assert fields["resolutiondate"] == fields["statuscategorychangedate"] == "2024-06-10T10:02:00.000+0000"
    issues.close(issue.id, AT.format(3))
    fields = jira.jira(f"/issue/{issue.id}")["fields"]
    assert fields["resolutiondate"] == fields["statuscategorychangedate"] == "2024-06-10T10:02:00.000+0000"
    assert fields["updated"] == "2024-06-10T10:03:00.000+0000"
    issues.reopen(issue.id, AT.format(4))
    fields = jira.jira(f"/issue/{issue.id}")["fields"]
    assert (fields["resolution"], fields["resolutiondate"]) == (None, None)
    assert fields["status"]["statusCategory"]["key"] == "indeterminate"
    log = jira.jira(f"/issue/{issue.id}/changelog")["values"]
    assert changes(log) == [
        ("status", "Work in progress"),
        ("resolution", "Done"),
        ("status", "Completed"),
        ("status", "Closed"),
        ("resolution", None),
        ("status", "Work in progress"),
    ]
    assert log[0]["author"]["accountId"] == "712020:ann"
    assert "author" not in log[1]


def test_a_workflow_may_set_no_resolution(jira: Jsm) -> None:
    issue = add(jira)
    jira.store.issues.resolve(issue.id, AT.format(2), resolution=None)
    assert jira.jira(f"/issue/{issue.id}")["fields"]["resolutiondate"] is None


def test_a_renamed_status_keeps_its_id_and_its_past_name(jira: Jsm) -> None:
    issue = add(jira)
    jira.store.issues.transition(issue.id, "Pending", AT.format(1))
    jira.store.catalogue.rename_status("Pending", "Waiting")
    (entry,) = jira.jira(f"/issue/{issue.id}/changelog")["values"]
    (item,) = entry["items"]
    names = {status["id"]: status["name"] for status in jira.jira("/status")}
    assert (item["toString"], names[item["to"]]) == ("Pending", "Waiting")


def test_an_expanded_changelog_is_newest_first_and_cut_at_40(jira: Jsm) -> None:
    issue = add(jira)
    for number in range(130):
        line = {"field": "Comment", "toString": str(number)}
        jira.store.issues.add_history(
            issue.id, [line], f"2024-06-10T11:{number // 60:02d}:{number % 60:02d}Z"
        )
    alone = jira.jira(f"/issue/{issue.id}", expand="changelog")["changelog"]
    (listed,) = jira.jira("/search/jql", jql=INCIDENTS, fields="status", expand="changelog")["issues"]
    assert listed["changelog"] == alone
    assert [text for _, text in changes(alone["histories"])] == [str(number) for number in range(129, 89, -1)]
    assert alone["total"] == 130
    first = jira.jira(f"/issue/{issue.id}/changelog", maxResults=1_000)
    assert (len(first["values"]), first["total"], first["isLast"]) == (100, 130, False)
    last = jira.jira(f"/issue/{issue.id}/changelog", startAt=100)
    assert last["isLast"] is True
    assert [text for _, text in changes(first["values"] + last["values"])] == [str(n) for n in range(130)]
    jira.store.switches.changelog_total = False
    jira.store.switches.search_changelog_cut = 0
    (listed,) = jira.jira("/search/jql", jql=INCIDENTS, fields="status", expand="changelog")["issues"]
    assert (len(listed["changelog"]["histories"]), listed["changelog"]["total"]) == (130, 130)
    assert jira.jira(f"/issue/{issue.id}", expand="changelog")["changelog"]["total"] == 40


def test_the_bulk_changelog_is_a_read_that_is_a_post(jira: Jsm) -> None:
    issues = [add(jira), add(jira)]
    for issue in issues:
        jira.store.issues.acknowledge(issue.id, "2024-06-10T11:00:00Z")
        jira.store.issues.edit(issue.id, "2024-06-10T11:01:00Z", summary="y")
    path = f"{jira.jira_base}/changelog/bulkfetch"
    body = {"issueIdsOrKeys": [issue.id for issue in issues], "fieldIds": ["status"], "maxResults": 1}
    first = jira.call("POST", path, json=body).json()
    second = jira.call("POST", path, json={**body, "nextPageToken": first["nextPageToken"]}).json()
    logs = first["issueChangeLogs"] + second["issueChangeLogs"]
    assert [log["issueId"] for log in logs] == [issue.id for issue in issues]
    assert "nextPageToken" not in second
    assert changes(logs[0]["changeHistories"]) == [("status", "Work in progress")]
    jira.store.switches.epoch_ms = True
    (entry,) = jira.call("POST", path, json=body).json()["issueChangeLogs"][0]["changeHistories"]
    assert entry["created"] == 1_718_017_200_000
    too_many = {"issueIdsOrKeys": [str(number) for number in range(1_001)]}
    assert jira.call("POST", path, json=too_many).status_code == 400


# Users.


def test_users_in_bulk_are_cut_at_10_without_a_word(jira: Jsm) -> None:
    made = [jira.store.add_account(f"P{number}", f"p{number}@example.com").id for number in range(120)]
    assert all(":" in id_ for id_ in made)
    assert len(jira.jira("/user/bulk", accountId=made)["values"]) == 10
    body = jira.jira("/user/bulk", accountId=[*made[:60], "712020:nobody"], maxResults=100)
    assert [user["accountId"] for user in body["values"]] == made[:60]
    assert len(jira.jira("/user/bulk", accountId=made, maxResults=500)["values"]) == 100
    joined = jira.jira("/user/bulk", accountId=",".join(made[:2]))
    assert joined["values"] == [], "the parameter is repeated, commas do not separate"
    assert jira.get(f"{jira.jira_base}/user/bulk").status_code == 400


def test_a_hidden_e_mail_is_left_out_wherever_the_user_is(jira: Jsm) -> None:
    bob = "5b10ac8d82e05b22cc7d4ef5"
    issue = jira.store.issues.add("Down", reporter=bob)
    jira.store.issues.acknowledge(issue.id, by=bob)
    body = jira.jira(f"/issue/{issue.id}", expand="changelog")
    users = [
        body["fields"]["reporter"],
        body["changelog"]["histories"][0]["author"],
        jira.jira("/user", accountId=bob),
        *jira.jira("/user/bulk", accountId=[bob])["values"],
    ]
    assert all(user["displayName"] == "Bob" and "emailAddress" not in user for user in users)
    assert jira.jira("/user", accountId="712020:ann")["emailAddress"] == "ann@example.com"
    jira.store.hide_email(SYNC_ACCOUNT)
    assert "emailAddress" in jira.jira("/myself"), "nobody's e-mail is hidden from its owner"


def test_a_deleted_account_is_a_name_without_a_user(jira: Jsm) -> None:
    issue = jira.store.issues.add("Down", reporter="712020:ann")
    jira.store.drop_account("712020:ann")
    reporter = jira.jira(f"/issue/{issue.id}")["fields"]["reporter"]
    assert (reporter["accountId"], reporter["active"]) == ("712020:ann", False)
    assert jira.get(f"{jira.jira_base}/user", accountId="712020:ann").status_code == 404


def test_every_time_of_jira_has_an_offset_without_a_colon(jira_demo: Jsm) -> None:
    body = jira_demo.get(
        f"{jira_demo.jira_base}/search/jql", jql=INCIDENTS, fields="*all", expand="changelog", maxResults=100
    ).text
    times = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', body)
    assert times
    assert all(re.fullmatch(r"[^.]{19}\.\d{3}\+0530", time) for time in times)
