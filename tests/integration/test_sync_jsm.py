"""Jira Service Management into staging: every column, what changes later, and what is gone."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from opsgenie_provider.api.errors import AuthenticationError, UnknownSiteError
from opsgenie_provider.api.jsm import JsmIncidents
from opsgenie_provider.hooks.warehouse import open_warehouse
from opsgenie_provider.sync import jsm_issues
from opsgenie_provider.sync.account import PartsFailedError
from opsgenie_provider.warehouse.people import referenced_users
from sandbox.instants import DAY, HOUR, MINUTE
from sandbox.jsm import Token
from sandbox.jsm.store import JIRA_WORK, OPS_CONFIG, SYNC_ACCOUNT, SYNC_TOKEN
from tests.support.jsm import Site
from tests.support.postgres import Row, Warehouse


def deleted(warehouse: Warehouse) -> set[str]:
    rows = warehouse.rows("select incident_id from staging.opsgenie_incidents where deleted_at is not null")
    return {row["incident_id"] for row in rows}


def horizon(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=15)


def a_day_later(site: Site, tables: Warehouse) -> None:
    """Also for the warehouse, whose own clock says how old a validation is."""
    site.store.clock.advance(DAY / 1e9)
    tables.execute("update staging.opsgenie_keys set checked_at = checked_at - interval '1 day'")


def test_every_column_of_every_table(site: Site, tables: Warehouse) -> None:
    outcome = site.read()
    expected = site.tables()
    since = (site.now - timedelta(days=90)).replace(microsecond=0)
    expected["opsgenie_on_call_periods"] = site.expected.on_call(since, horizon(site.now))
    expected["opsgenie_users"] = site.expected.users(expected)
    assert site.differences(expected) == []
    statuses = Counter(row["resolved_at_source"] for row in expected["opsgenie_incidents"])
    assert statuses.keys() == {None, "impact_end", "resolution", "timeline"}, "the story lacks a case"
    assert any(row["username"] is None for row in expected["opsgenie_users"])
    assert tables.table("rejected_payloads") == []
    assert outcome["skipped_parts"] == []
    assert {request.method for request in site.account.requests} == {"GET"}
    # The site is asked for its cloud id, without credentials; all else goes to the API.
    keys = {request.path: request.key for request in site.account.requests}
    assert keys.pop("/_edge/tenant_info") == "-"
    assert set(keys.values()) == {"sync"}

    before = tables.versions()
    site.read(full_refresh=True)
    assert tables.versions() == before, "the same again"


def test_what_changes_later(site: Site, tables: Warehouse) -> None:
    store, issues = site.store, site.store.issues
    site.read()
    now = store.clock()
    old = [each for each in site.expected.incidents() if 80 * DAY > now - each.created > 30 * DAY]
    ended = [each for each in old if each.resolution]
    late, again, moved, edited, relabelled = ended[:5]
    issues.edit(
        edited.id,
        summary="Another title",
        priority="Lowest",
        services=[],
        labels=["x"],
        responders=[("user", SYNC_ACCOUNT)],
        assignee=SYNC_ACCOUNT,
    )
    issues.close(late.id, now - 5 * MINUTE, SYNC_ACCOUNT)
    issues.reopen(again.id)
    issues.move(moved.id, "OPS")
    issues.edit(relabelled.id, issue_type="Task")
    fresh = issues.add("A new incident", now - MINUTE, priority="High")
    for line in range(60):
        issues.add_history(fresh.id, [{"field": "Comment", "toString": f"{line}"}])
    issues.settle()
    store.clock.advance(3600)
    site.read()

    expected = site.tables()
    # It is no incident any more, but no change says so: the daily comparison finds it.
    left = site.expected.incident(relabelled)
    stored = tables.rows(
        "select updated_at from staging.opsgenie_incidents where incident_id = %s", relabelled.id
    )
    assert stored[0]["updated_at"] < left["updated_at"]
    tables.execute("delete from staging.opsgenie_incidents where incident_id = %s", relabelled.id)
    for table in ("services", "responders", "timeline"):
        tables.execute(f"delete from staging.opsgenie_incident_{table} where incident_id = %s", relabelled.id)
    assert site.differences(expected) == []
    searches = [request for request in site.account.requests if request.path.endswith("/search/jql")]
    assert len(searches) == 1


def test_deleted_issues_and_those_that_are_not_to_be_seen(site: Site, tables: Warehouse) -> None:
    store, issues = site.store, site.store.issues
    site.read()
    known = [each for each in site.expected.incidents() if store.clock() - each.created < 80 * DAY]
    inc = [each for each in known if each.key.startswith("INC-")]
    gone, task, hidden_project = inc[2], inc[4], next(each for each in known if each.key.startswith("OPS-"))
    issues.delete(gone.id)
    issues.edit(task.id, issue_type="Task")
    issues.settle()
    store.clock.advance(3600)
    assert site.read()["deleted"] == 0, "deletions are looked for once a day"

    # The person sees only one project now, and is a member of a team only: nothing is certain.
    store.tokens[SYNC_TOKEN] = Token("sync", SYNC_ACCOUNT, role="member", projects=("INC",))
    a_day_later(site, tables)
    outcome = site.read()
    assert (outcome["deleted"], deleted(tables)) == (0, set())
    [key] = tables.table("opsgenie_keys")
    assert "no administrator of Operations" in key["notes"][0]

    # An admin to whom a project is not shown.
    store.tokens[SYNC_TOKEN] = Token("sync", SYNC_ACCOUNT, projects=("INC",))
    a_day_later(site, tables)
    assert site.read()["deleted"] == 2, deleted(tables)
    assert deleted(tables) == {gone.id, task.id}
    assert hidden_project.id not in deleted(tables)

    # An issue that a security level hides answers as a deleted one does.
    issues.hide(inc[6].id, ["sync"])
    store.catalogue.secured.add(store.catalogue.project("INC").id)
    a_day_later(site, tables)
    assert (site.read()["deleted"], deleted(tables)) == (0, {gone.id, task.id})
    issues.show(inc[6].id)

    # What comes into sight again, without any change of its own.
    tables.execute("update staging.opsgenie_incidents set deleted_at = now()")
    store.tokens[SYNC_TOKEN] = Token("sync", SYNC_ACCOUNT)
    a_day_later(site, tables)
    # A team that is listed, and whose escalation policies answer 404 all the same.
    policies = tables.table("opsgenie_escalations")
    store.plain_teams.add(policies[0]["team_id"])
    store.switches.plain_teams = True
    site.read()
    assert deleted(tables) == {gone.id, task.id}
    assert tables.table("opsgenie_escalations") == policies
    assert all(method == "GET" for method in {request.method for request in site.account.requests})


def test_a_token_that_expires_while_it_is_used_deletes_nothing(site: Site, tables: Warehouse) -> None:
    """Jira takes it for nobody's, and lists nothing."""
    site.store.switches.anonymous_search = True
    site.read()
    a_day_later(site, tables)
    site.read()
    count = len(site.account.requests)
    for after in (count // 3, count - 6, count - 3, count - 2):
        a_day_later(site, tables)
        site.store.tokens[SYNC_TOKEN] = Token("sync", SYNC_ACCOUNT, expires_after=after)
        with pytest.raises(PartsFailedError, match="token is wrong, or the token was revoked or has expired"):
            site.read()
        assert deleted(tables) == set()


def test_a_token_that_expires_before_a_deletion_is_confirmed_deletes_nothing(
    site: Site, tables: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To nobody Jira answers 404 for every issue, as it does for a deleted one."""
    site.store.switches.anonymous_search = True
    site.read()
    left = next(each for each in site.expected.incidents() if site.store.clock() - each.created < 80 * DAY)
    site.store.issues.edit(left.id, issue_type="Task")
    site.store.issues.settle()
    a_day_later(site, tables)
    read = JsmIncidents.incident

    def expiring(incidents: JsmIncidents, issue_id: str) -> Any:
        site.store.expire(SYNC_TOKEN)
        return read(incidents, issue_id)

    monkeypatch.setattr(JsmIncidents, "incident", expiring)
    with pytest.raises(PartsFailedError, match="token is wrong, or the token was revoked or has expired"):
        site.read()
    assert deleted(tables) == set()


def test_an_interrupted_first_read_goes_on_where_it_was(
    site: Site, tables: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsm_issues, "WINDOW_SIZE", 20)
    site.store.switches.page_most = 10
    asked = 0

    def fails_later(issue: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 85:
            raise ConnectionError("killed")
        return created_at(issue)

    created_at = jsm_issues.created_at
    monkeypatch.setattr(jsm_issues, "created_at", fails_later)
    with pytest.raises(PartsFailedError, match="killed"):
        site.read(run_id="run")
    stored = tables.value("select count(*) from staging.opsgenie_incidents")
    assert 0 < stored < len(site.expected.incidents())
    first = tables.rows("select ctid::text, incident_id from staging.opsgenie_incidents")
    site.read(run_id="run")
    assert site.differences(site.tables()) == []
    rows = tables.rows("select ctid::text, incident_id from staging.opsgenie_incidents")
    assert all(row in rows for row in first), "what was stored is not written again"


def test_long_changelogs_are_read_separately_and_the_rest_once(site: Site, tables: Warehouse) -> None:
    issues, now = site.store.issues, site.store.clock()
    for number in range(250):
        made = issues.add(f"Bulk {number}", now - 10 * DAY + number * MINUTE)
        for line in range(41 if number % 50 == 0 else 1):
            issues.add_history(made.id, [{"field": "Comment", "toString": f"{line}"}], now - DAY)
        issues.acknowledge(made.id, now - HOUR)
    issues.settle()
    site.read()
    assert site.differences(site.tables()) == []
    found = site.expected.incidents(site.now - timedelta(days=90))
    long = [each for each in found if len(each.histories) >= 40]
    paths = Counter(request.path.rpartition("/")[2] for request in site.account.requests)
    # One of the searches is the check of the credentials.
    assert paths["jql"] <= -(-(len(found) + 1) // 100) + 1
    assert paths["changelog"] == len(long) > 4


def test_a_quiet_hour_takes_some_sixty_requests(site: Site, tables: Warehouse) -> None:
    store = site.store
    operations = store.operations
    people = [store.add_account(f"Person {n}", f"p{n}@example.com").id for n in range(120)]
    for number in range(20 - len(operations.teams)):
        store.add_team(f"Team {number}", [])
    teams = list(operations.teams.values())
    for number in range(100 - len(store.services)):
        store.add_service(f"service-{number}", teams[number % 20].id)
    for number in range(30 - len(operations.schedules)):
        who = [store.person(id_) for id_ in people[number * 4 : number * 4 + 4]]
        rotation = operations.rotation("Weeks", store.clock() // DAY * DAY - 7 * DAY, "weekly", who)
        operations.add_schedule(f"Schedule {number}", "Etc/UTC", teams[number % 20], [rotation])
    site.read()
    store.clock.advance(3600)
    site.read()
    assert len(site.account.requests) <= 66


def test_whom_many_incidents_involve_is_found_in_one_pass(tables: Warehouse) -> None:
    """Also right after the first read, when nothing is known yet of how large the tables are."""
    count = 1000
    tables.execute(
        "insert into staging.opsgenie_incidents "
        "(account, incident_id, status, backend, created_at, raw, synced_at) "
        f"select 'a', n::text, 'open', 'jsm', now(), '{{}}', now() from generate_series(1, {count}) as n"
    )
    tables.execute(
        "insert into staging.opsgenie_incident_responders "
        "(account, incident_id, responder_type, responder_id, raw, synced_at) "
        f"select 'a', n::text, 'user', (n % 7)::text, '{{}}', now() from generate_series(1, {count}) as n"
    )
    rows_read = "select sum(idx_tup_read) from pg_stat_user_indexes where relname = %s"
    with open_warehouse("postgres_default").connection() as connection:
        assert referenced_users(connection, "a", "jsm", "jsm_users") == set("0123456")
        connection.execute("select pg_stat_force_next_flush()")
        assert tables.value(rows_read, "opsgenie_incident_responders") <= 2 * count


SERVICE_ACCOUNT = Token("sync", SYNC_ACCOUNT, scopes=frozenset({JIRA_WORK}), service_account=True)


@pytest.mark.parametrize(
    ("credential", "settings", "skips", "says"),
    [
        (Token("sync", SYNC_ACCOUNT, role="member"), {}, False, "no administrator of Operations"),
        (SERVICE_ACCOUNT, {}, True, "Operations cannot be read"),
        (Token("sync", SYNC_ACCOUNT, service_account=True), {}, True, "rejects Atlassian service accounts"),
        (Token("sync", SYNC_ACCOUNT, licensed=False), {}, True, "lacks an agent's licence"),
        (Token("sync", SYNC_ACCOUNT), {"operations": "402"}, True, "plan does not include Operations"),
        (Token("sync", SYNC_ACCOUNT), {"operations": "40301"}, True, "plan does not include Operations"),
    ],
)
def test_what_credentials_do_not_see_is_skipped_and_said(
    site: Site, tables: Warehouse, credential: Token, settings: dict[str, str], skips: bool, says: str
) -> None:
    site.store.tokens[SYNC_TOKEN] = credential
    for name, value in settings.items():
        setattr(site.store.switches, name, value)
    outcome = site.read()
    [key] = tables.table("opsgenie_keys")
    assert says in " ".join(key["notes"])
    assert ("schedules" in outcome["skipped_parts"]) == skips
    incidents = site.expected.incident_tables(site.expected.incidents(site.now - timedelta(days=90)))
    assert site.differences(incidents) == []


@pytest.mark.parametrize(
    "credential",
    [
        Token("sync", SYNC_ACCOUNT, scopes=frozenset({JIRA_WORK, OPS_CONFIG})),
        Token("sync", SYNC_ACCOUNT, role="member"),
    ],
    ids=["without the scope for users", "member of a team"],
)
def test_names_that_later_credentials_do_not_see_are_kept(
    site: Site, tables: Warehouse, credential: Token
) -> None:
    def names() -> dict[str, list[Row]]:
        return {
            "rules": tables.rows(
                "select escalation_id, step, recipient_type, recipient_name "
                "from staging.opsgenie_escalation_rules order by escalation_id, step"
            ),
            "on call": tables.rows(
                "select schedule_id, rotation_id, start_at, recipient_id, recipient_name "
                "from staging.opsgenie_on_call_periods order by 1, 2, 3, 4"
            ),
        }

    site.read()
    before = names()
    kinds = {rule["recipient_type"] for rule in before["rules"] if rule["recipient_name"]}
    assert {"user", "team", "schedule"} <= kinds
    site.store.tokens[SYNC_TOKEN] = credential
    site.read(full_refresh=True)
    assert names() == before


def test_credentials_that_are_wrong_fail_in_words(site: Site, tables: Warehouse) -> None:
    account = site.account
    account.connect(token="wrong")
    with pytest.raises(PartsFailedError, match="e-mail or the API token is wrong") as failed:
        site.read()
    assert isinstance(failed.value.errors["key"], AuthenticationError)
    account.connect()
    site.store.expire(SYNC_TOKEN)
    site.store.switches.expired_message = "API token has expired"
    with pytest.raises(PartsFailedError, match="The API token has expired"):
        site.read()
    site.store.switches.site_known = False
    with pytest.raises(UnknownSiteError, match="There is no Atlassian site at"):
        site.read()
    assert tables.table("opsgenie_incidents") == []


def test_an_answer_of_another_shape_is_kept_and_no_empty_list(
    site: Site, tables: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    site.read()
    before = tables.versions()
    site.store.switches.renamed = {"values": "data", "services": "data"}
    with pytest.raises(PartsFailedError, match="undocumented shape"):
        site.read(full_refresh=True)
    kept = {row["stream"] for row in tables.table("rejected_payloads")}
    assert {"jsm_services", "jsm_escalations"} <= kept
    # A list is read within a part: its failure is logged once, and not for both.
    assert sum("failed." in said and "/services/" in said for said in caplog.messages) == 1
    after = tables.versions()
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"rejected_payloads", "sync_progress"}, changed


@pytest.mark.usefixtures("impatient")
def test_all_faults_at_once(site: Site, tables: Warehouse) -> None:
    faults = dict.fromkeys(("429", "500", "503", "drop", "cut_json", "cut_body", "html"), 0.03)
    site.account.app.faults.configure(probabilities=faults, seed=3)
    site.read()
    assert sum(site.account.app.log.counts[f"fault:{fault}"] for fault in faults) > 3
    assert site.differences(site.tables()) == []
