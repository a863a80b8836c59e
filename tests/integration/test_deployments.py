"""Deployments from GitHub and from a relation of the user's own, into staging.deployments."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from opsgenie_provider.api.errors import AuthenticationError, RateLimitError
from opsgenie_provider.compat import AirflowFailException
from opsgenie_provider.hooks.warehouse import open_warehouse
from opsgenie_provider.operators.deployments import DeploymentsFailedError, DeploymentsToPostgresOperator
from opsgenie_provider.warehouse.own_deployments import OwnDeploymentsError
from opsgenie_provider.warehouse.schema import upgrade
from sandbox.gateway import Gateway
from sandbox.github.store import Store
from sandbox.server import Slot
from tests.integration.deployments import NOW, REPOSITORY, Read, ago, stored
from tests.support.postgres import Warehouse


def test_a_deployment_that_ever_succeeded_is_a_success(
    github: Store, read: Read, warehouse: Warehouse
) -> None:
    shown = github.add_deployment(
        REPOSITORY,
        "a" * 40,
        "Production",
        ago(hours=5),
        [
            ("queued", ago(hours=5)),
            ("success", ago(hours=4)),
            ("success", ago(hours=3)),
            ("inactive", ago(hours=1)),
        ],
    )
    github.add_pull(REPOSITORY, 7, ["b" * 40], ago(days=1), title="Not this one")
    github.add_pull(REPOSITORY, 8, ["a" * 40], ago(hours=6), title="Faster checkout")

    read()

    row = stored(warehouse)[str(shown.id)]
    assert (row["source"], row["service"], row["environment"]) == ("github", "checkout-app", "Production")
    assert (row["status"], row["commit_sha"], row["repository"]) == ("success", "a" * 40, REPOSITORY)
    assert (row["triggered_at"], row["finished_at"]) == (NOW - timedelta(hours=5), NOW - timedelta(hours=4))
    assert (row["pr_number"], row["pr_title"]) == (8, "Faster checkout")
    assert row["pr_url"].endswith("/pull/8")


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ([], "pending"),
        (["queued"], "pending"),
        (["pending", "in_progress"], "running"),
        (["in_progress", "failure"], "failure"),
        (["in_progress", "error"], "failure"),
        (["inactive"], "cancelled"),
        (["failure", "success"], "success"),
    ],
)
def test_what_the_states_of_a_deployment_mean(
    states: list[str], status: str, github: Store, read: Read, warehouse: Warehouse
) -> None:
    reported = [(state, ago(hours=2, minutes=-place)) for place, state in enumerate(states)]
    github.add_deployment(REPOSITORY, "c" * 40, "production", ago(hours=3), reported)

    read()

    [row] = stored(warehouse).values()
    assert row["status"] == status
    assert (row["finished_at"] is None) == (status != "success")
    assert row["pr_number"] is None


def test_later_runs_read_what_is_new_or_unfinished_only(
    app: Gateway, github: Store, read: Read, warehouse: Warehouse
) -> None:
    for day in range(30):
        github.add_deployment(
            REPOSITORY, f"{day:040x}", "production", ago(days=day, hours=1), [("success", ago(days=day))]
        )
    slow = github.add_deployment(
        REPOSITORY, "d" * 40, "production", ago(days=3), [("in_progress", ago(days=3))]
    )
    read()
    assert stored(warehouse)[str(slow.id)]["status"] == "running"
    before = warehouse.versions()["deployments"]
    app.log.clear()

    assert read()["rows_changed"] == 0
    assert [request.path.rsplit("/", 1)[1] for request in app.log.snapshot()] == ["deployments", "statuses"]
    assert warehouse.versions()["deployments"] == before

    github.add_status(slow.id, "success", ago(minutes=5))
    fresh = github.add_deployment(REPOSITORY, "e" * 40, "production", ago(minutes=1))
    assert read()["rows_changed"] == 2
    rows = stored(warehouse)
    assert rows[str(slow.id)]["status"] == "success"
    assert rows[str(fresh.id)]["status"] == "pending"
    assert {request.method for request in app.log.snapshot()} == {"GET"}


def test_more_than_a_page_and_only_the_environments_and_days_that_are_asked_for(
    github: Store, read: Read, warehouse: Warehouse
) -> None:
    for number in range(230):
        environment = ("Production", "staging")[number % 2]
        github.add_deployment(REPOSITORY, f"{number:040x}", environment, ago(hours=number))
    github.add_deployment(REPOSITORY, "f" * 40, "production", ago(days=91))

    read(environments=["production"], service="checkout")

    rows = stored(warehouse).values()
    assert len(rows) == 115
    assert {row["environment"] for row in rows} == {"Production"}
    assert {row["service"] for row in rows} == {"checkout"}
    read(since=ago(days=100), until=ago(days=90))
    assert len(stored(warehouse)) == 116


def test_a_run_that_ran_out_of_requests_says_when_to_go_on(app: Gateway, github: Store, read: Read) -> None:
    github.add_deployment(REPOSITORY, "a" * 40, "production", ago(hours=5), [("success", ago(hours=4))])
    app.limiter.configure({"core": {3600: 2}})

    with pytest.raises(RateLimitError) as caught:
        read()

    # Longer than a task should sleep: its next try waits for as long.
    assert 900 < (caught.value.retry_after or 0) <= 3602
    app.limiter.configure({})
    assert read()["rows_changed"] == 1


def test_a_wrong_token_and_a_wrong_repository_say_what_to_do(
    read: Read, app: Gateway, slots: list[tuple[Slot, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AirflowFailException, match=r"1 of 1 failed.*acme/nothing.*owner/name"):
        read(repository="acme/nothing")
    connection = {"conn_type": "http", "host": slots[0][1], "password": "wrong"}
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(connection))
    with pytest.raises(AuthenticationError, match="check the password"):
        read()


@pytest.fixture
def own(warehouse: Warehouse) -> Callable[..., int]:
    upgrade(open_warehouse("postgres_default"))
    warehouse.execute('create schema "My Data"')
    warehouse.execute(
        'create table "My Data"."The Deploys" '
        '("Id" int, app text, environment text, status text, "At" timestamptz)'
    )

    def run(**columns: str) -> int:
        operator = DeploymentsToPostgresOperator(
            task_id="own", relation="My Data.The Deploys", columns=columns or COLUMNS
        )
        return int(str(operator.execute({})["rows_changed"]))

    return run


COLUMNS = {"deployment_id": "Id", "service": "app", "triggered_at": "At"}
INSERT = 'insert into "My Data"."The Deploys" values (%s, %s, %s, %s, %s)'


def test_an_own_relation_is_followed_through_edits_and_deletions(
    own: Callable[..., int], warehouse: Warehouse
) -> None:
    warehouse.execute(INSERT, 1, "checkout", "prod", "success", NOW)
    warehouse.execute(INSERT, 2, "checkout", "prod", "failure", NOW)
    warehouse.execute(
        "insert into staging.deployments "
        "(source, deployment_id, service, environment, status, triggered_at) "
        "values ('ci', '1', 'search', 'prod', 'success', now())"
    )
    assert own() == 2
    assert own() == 0
    warehouse.execute("""update "My Data"."The Deploys" set status = 'success' where "Id" = 2""")
    warehouse.execute('delete from "My Data"."The Deploys" where "Id" = 1')
    assert own() == 2

    rows = {(row["source"], row["deployment_id"]): row for row in warehouse.table("deployments")}
    assert set(rows) == {("ci", "1"), ("My Data.The Deploys", "2")}
    row = rows["My Data.The Deploys", "2"]
    assert (row["service"], row["status"], row["triggered_at"]) == ("checkout", "success", NOW)


def test_every_violation_of_an_own_relation_is_named_and_nothing_is_taken_over(
    own: Callable[..., int], warehouse: Warehouse
) -> None:
    with pytest.raises(OwnDeploymentsError) as columns:
        own(deployment_id="Id", service="nope", triggered_at="app", comit_sha="x")
    assert len(columns.value.violations) == 3
    assert "'comit_sha' is not a column of deployments" in columns.value.violations
    assert "it has no column nope for service" in columns.value.violations
    assert "app is text, triggered_at must be timestamptz" in columns.value.violations

    warehouse.execute(INSERT, 1, None, "prod", "done", NOW)
    warehouse.execute(INSERT, 1, "checkout", "prod", "success", NOW)
    with pytest.raises(OwnDeploymentsError) as found:
        own()
    assert len(found.value.violations) == 3
    assert "service is null in 1 rows" in found.value.violations
    assert any("'done' (1 rows)" in each for each in found.value.violations)
    assert any("not unique: '1'" in each for each in found.value.violations)
    assert warehouse.table("deployments") == []


@pytest.mark.parametrize(
    ("deployment_id", "message"),
    [
        ("repeat('x', 1001)", "deployment_id has more than 1000 bytes in 1 rows; service has more than 500"),
        ("(1 / 0)::text", "PostgreSQL does not read it \\(division by zero\\)"),
        # As a view that is too slow for the role's statement_timeout.
        ("fail()", "canceling"),
    ],
)
def test_a_relation_never_stops_the_repositories(
    deployment_id: str, message: str, warehouse: Warehouse, github: Store, read: Read
) -> None:
    github.add_deployment(REPOSITORY, "a" * 40, "production", ago(hours=5), [("success", ago(hours=4))])
    warehouse.execute(
        "create function fail() returns text language plpgsql as "
        "$$ begin raise exception 'canceling' using errcode = 'query_canceled'; end $$"
    )
    warehouse.execute(
        f"create view own as select id as deployment_id, id as service, id as repository, 'prod' as "
        f"environment, 'success' as status, now() as triggered_at from (select {deployment_id} as id) as made"
    )
    operator = DeploymentsToPostgresOperator(
        task_id="own", relation="own", repositories=[{"repository": REPOSITORY}]
    )
    with pytest.raises((AirflowFailException, DeploymentsFailedError), match=message):
        operator.execute({})
    assert len(stored(warehouse)) == 1


def test_a_relation_of_the_deployments_themselves_is_refused(
    own: Callable[..., int], warehouse: Warehouse
) -> None:
    warehouse.execute("create view mine as select * from staging.deployments where environment = 'prod'")
    warehouse.execute("create view renamed as select * from mine")
    for relation in ("staging.deployments", "renamed"):
        with pytest.raises(OwnDeploymentsError, match="each would be there twice"):
            DeploymentsToPostgresOperator(task_id="own", relation=relation).execute({})


def test_a_missing_relation_is_reported(own: Callable[..., int], warehouse: Warehouse) -> None:
    operator = DeploymentsToPostgresOperator(task_id="own", relation="no.where; drop table x")
    with pytest.raises(OwnDeploymentsError, match="no such table or view"):
        operator.execute({})
