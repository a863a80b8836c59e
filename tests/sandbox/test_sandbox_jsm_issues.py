"""Searching Jira's issues: JQL, pages and tokens, what a caller does not see."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.jsm.catalogue import IMPACT_END
from sandbox.jsm.model import Issue
from sandbox.jsm.store import SYNC_ACCOUNT, SYNC_TOKEN
from tests.sandbox.sandbox_client import Jsm

INCIDENTS = 'issuetype in ("[System] Incident", Incident)'
AT = "2024-06-10T10:0{}:00Z"


def add(jira: Jsm, count: int = 1, **fields: Any) -> list[Issue]:
    """Issues a minute apart."""
    return [
        jira.store.issues.add(
            f"Down {number}", f"2024-06-10T{10 + number // 60}:{number % 60:02d}:00Z", **fields
        )
        for number in range(count)
    ]


def zone(jira: Jsm, name: str) -> None:
    jira.store.accounts[SYNC_ACCOUNT].time_zone = name


# The search.


def test_ids_alone_come_unless_fields_are_named(jira: Jsm) -> None:
    (issue,) = add(jira)
    assert jira.jira("/search/jql", jql=INCIDENTS)["issues"] == [{"id": issue.id}]
    assert jira.jira("/search/jql", jql=INCIDENTS, fields="key")["issues"] == [
        {"id": issue.id, "key": "INC-1"}
    ]
    body = jira.jira("/search/jql", jql=INCIDENTS, fields="summary,labels")
    assert set(body["issues"][0]["fields"]) == {"summary", "labels"}
    assert set(body) == {"issues", "isLast"}, "no total, and no token on the last page"


def test_a_page_has_50_and_at_most_100_issues_with_fields_5000_without(jira: Jsm) -> None:
    add(jira, 120)

    def page(**params: Any) -> int:
        return len(jira.jira("/search/jql", jql=INCIDENTS, **params)["issues"])

    assert page() == page(fields="summary") == 50
    assert page(fields="summary", maxResults=5_000) == 100
    assert page(expand="changelog", maxResults=5_000) == 100
    assert page(maxResults=5_000) == 120


def test_a_token_leads_to_the_next_page_which_may_be_short_or_empty(jira: Jsm) -> None:
    issues = add(jira, 7)
    wanted = [issue.id for issue in issues]
    jql = f"{INCIDENTS} order by created asc"
    assert jira.ids(jql, maxResults=3) == wanted
    jira.store.switches.page_most, jira.store.switches.empty_pages = 2, True
    sizes, token = [], {}
    while True:
        body = jira.jira("/search/jql", jql=jql, maxResults=100, **token)
        sizes.append(len(body["issues"]))
        assert body["isLast"] == ("nextPageToken" not in body)
        if body["isLast"]:
            break
        token = {"nextPageToken": body["nextPageToken"]}
    assert sizes == [0, 2, 0, 2, 0, 2, 0, 1]
    assert jira.ids(jql) == wanted


def test_a_token_belongs_to_its_query_and_lasts_seven_days(jira: Jsm) -> None:
    add(jira, 3)
    token = jira.jira("/search/jql", jql=INCIDENTS, maxResults=1)["nextPageToken"]
    path = f"{jira.jira_base}/search/jql"
    assert jira.get(path, jql='project = "INC"', nextPageToken=token).status_code == 400
    assert jira.get(path, jql=INCIDENTS, nextPageToken="made-up").status_code == 400
    jira.store.clock.advance(7 * 86_400 - 1)
    assert jira.get(path, jql=INCIDENTS, nextPageToken=token).status_code == 200
    jira.store.clock.advance(2)
    assert jira.get(path, jql=INCIDENTS, nextPageToken=token).status_code == 400


@pytest.mark.parametrize(("live", "missed"), [(False, False), (True, True)])
def test_an_issue_that_changes_between_pages(jira: Jsm, live: bool, missed: bool) -> None:
    """With an offset into what is there now, the change of a listed issue hides another one."""
    issues = add(jira, 4)
    jira.store.switches.live_tokens = live
    jql = f"{INCIDENTS} order by updated asc"
    first = jira.jira("/search/jql", jql=jql, maxResults=2)
    jira.store.issues.edit(issues[0].id, summary="Changed")
    rest = jira.ids(jql, maxResults=2, nextPageToken=first["nextPageToken"])
    assert (issues[2].id not in rest) == missed


@pytest.mark.parametrize("jql", ["", "   ", "order by created"])
def test_a_query_must_be_bounded(jira: Jsm, jql: str) -> None:
    response = jira.get(f"{jira.jira_base}/search/jql", jql=jql)
    assert response.status_code == 400
    assert "Unbounded" in response.json()["errorMessages"][0]


@pytest.mark.parametrize(
    "jql",
    [
        "issuetype = Catastrophe",
        "status = Nowhere",
        'project = "NOPE"',
        "weather = 3",
        "id = 99",
        "updated >= yesterday",
        'updated >= "2024-06-10T10:00:00Z"',
        'updated >= "2024-06-10 10:00:30"',
        "updated 3",
        "(project = INC",
        "project = INC order by weather",
        "project = INC order by created, updated, id, created, updated, id, created, updated",
    ],
)
def test_what_jql_does_not_know_is_a_400(jira: Jsm, jql: str) -> None:
    """A name that the site lacks, a date with seconds, a missing parenthesis."""
    response = jira.get(f"{jira.jira_base}/search/jql", jql=jql)
    assert (response.status_code, set(response.json())) == (400, {"errorMessages", "errors"})


def test_an_unknown_name_may_also_match_nothing(jira: Jsm) -> None:
    (issue,) = add(jira)
    jira.store.switches.unknown_values_fail = False
    assert jira.ids('issuetype in ("[System] Incident", Catastrophe)') == [issue.id]


@pytest.mark.parametrize(
    ("jql", "found"),
    [
        ('issuetype in ("[system] incident", "Incident")', "abc"),
        ("issuetype = 10011 AND project = inc", "ac"),
        ("type in (10011, 10012) and project != INC", "b"),
        ("priority = Highest or labels = db", "ab"),
        ("not (priority = Highest) and issuetype is not empty", "bcd"),
        ("resolution is empty and project not in (OPS)", "ad"),
        ("statusCategory = Done", "bc"),
        ("statusCategory = new OR status = Closed", "acd"),
        ('summary ~ "gone" and created < now()', "c"),
        ('created >= "2024-06-10 10:01" and created <= "2024/06/10 10:02"', "bc"),
        ("created >= -1d and project is not empty", ""),
        ("created >= -3d", "abcd"),
        ('"Impact end" is not empty', "b"),
        ('cf[10072] < "2024-06-10"', ""),
        ("key in (INC-1, OPS-1)", "ab"),
    ],
)
def test_jql_finds(jira: Jsm, jql: str, found: str) -> None:
    zone(jira, "UTC")
    issues = jira.store.issues
    a = issues.add("a", AT.format(0), priority="Highest")
    impact = {IMPACT_END: "2024-06-10T11:00:00Z"}
    b = issues.add("b", AT.format(1), project="OPS", issue_type="Incident", labels=["db"], custom=impact)
    c = issues.add("c is gone", AT.format(2))
    d = issues.add("d", AT.format(3), issue_type="Task")
    issues.resolve(b.id, AT.format(5))
    issues.close(c.id, AT.format(5))
    names = {a.id: "a", b.id: "b", c.id: "c", d.id: "d"}
    assert "".join(names[id_] for id_ in jira.ids(f"{jql} order by id")) == found


def test_times_in_jql_are_minutes_of_the_caller_s_zone(jira: Jsm) -> None:
    """/myself names the zone; answers have its offset, without a colon."""
    issue = jira.store.issues.add("Down", "2024-06-10T10:05:00Z")
    query = 'updated >= "2024-06-10 15:05" AND issuetype = "[System] Incident"'
    zone(jira, "Asia/Karachi")
    assert jira.jira("/myself")["timeZone"] == "Asia/Karachi"
    assert jira.ids(query) == [issue.id]
    assert jira.jira(f"/issue/{issue.id}")["fields"]["created"] == "2024-06-10T15:05:00.000+0500"
    zone(jira, "America/New_York")
    assert jira.ids(query) == []
    assert jira.ids('updated >= "2024-06-10 06:05" AND updated <= "2024-06-10 06:05"') == [issue.id]
    assert jira.jira(f"/issue/{issue.id}")["fields"]["created"].endswith("06:05:00.000-0400")


def test_the_index_may_be_late_and_reconciles_what_is_named(jira: Jsm) -> None:
    old = jira.store.issues.add("Old", AT.format(0))
    jira.store.issues.settle()
    jira.store.clock.advance(60)
    jira.store.switches.index_lag_ms = 30_000
    new = jira.store.issues.add("New")
    jira.store.issues.edit(old.id, summary="Changed")
    recent = "updated >= -1h and project = INC"
    assert jira.ids(recent) == []
    assert set(jira.ids(recent, reconcileIssues=[old.id, new.id])) == {old.id, new.id}
    jira.store.clock.advance(30)
    assert set(jira.ids(recent)) == {old.id, new.id}


# What can be seen.


def test_invisible_deleted_and_unknown_issues_answer_alike(jira: Jsm) -> None:
    """A 404 alone proves no deletion, and lists leave out without a word."""
    hidden, deleted, moved = add(jira, 3)
    jira.store.issues.hide(hidden.id, ["sync"])
    jira.store.issues.delete(deleted.id)
    answers = [jira.get(f"{jira.jira_base}/issue/{id_}") for id_ in (hidden.id, deleted.id, "77")]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert jira.ids(INCIDENTS) == [moved.id]
    assert jira.get(f"{jira.jira_base}/issue/{hidden.id}/changelog").status_code == 404
    jira.store.issues.show(hidden.id)
    assert set(jira.ids(INCIDENTS)) == {hidden.id, moved.id}


def test_a_token_that_sees_fewer_projects_gets_a_shorter_list(jira: Jsm) -> None:
    add(jira, 2, project="OPS")
    (seen,) = add(jira)
    jira.store.tokens[SYNC_TOKEN].projects = ("INC",)
    assert jira.ids(INCIDENTS) == [seen.id]


def test_a_moved_issue_keeps_its_id_and_gets_another_key(jira: Jsm) -> None:
    (issue,) = add(jira)
    jira.store.issues.move(issue.id, "OPS", AT.format(9))
    for name in (issue.id, "INC-1", "OPS-1"):
        body = jira.jira(f"/issue/{name}", expand="changelog")
        assert (body["id"], body["key"]) == (issue.id, "OPS-1")
    (entry,) = body["changelog"]["histories"]
    assert ("Key", "OPS-1") in [(item["field"], item["toString"]) for item in entry["items"]]
