"""The documented roles have the rights that their work needs, and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from opsgenie_provider.operators.migration_import import ImportOperator
from tests.security.deliveries import deliver, share_secret
from tests.security.documented_roles import ROLES, Connection, Roles, blocks, documented_roles
from tests.support.dag_runs import DAGS, run_dag
from tests.support.page_client import page_client
from tests.support.stand_ins import Services

PAGES = (
    "",
    "trust",
    "what-if",
    "services",
    "incidents",
    "incidents.csv",
    "on-call",
    "escalations",
    "sync",
    "migration",
)
MIGRATE_SOME = {"dry_run": False, "require_approval": False, "limit": 2}
WRITES = {
    "attribution_overrides": {"INSERT", "UPDATE", "DELETE"},
    "service_map": {"INSERT", "UPDATE", "DELETE"},
    "webhook_deliveries": {"INSERT", "UPDATE", "DELETE"},
    "deployments": {"INSERT", "UPDATE"},
}


@pytest.fixture
def roles(postgres: str) -> Iterator[Roles]:
    with documented_roles(postgres) as made:
        yield made


@pytest.fixture
def filled(
    roles: Roles,
    services: Services,
    connections: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Roles:
    """The warehouse after first runs by the sync's role, and the documented roles that are made then."""
    roles.create("opsgenie_sync")
    use(monkeypatch, roles, "opsgenie_sync")
    monkeypatch.setattr(ImportOperator, "settle_seconds", 0.4)
    for _ in range(2):
        for dag_id in DAGS:
            run = run_dag(dag_id, **(MIGRATE_SOME if dag_id == "pagerduty_migration" else {}))
            assert run.succeeded, run.tasks
    roles.create("dashboards")
    roles.create("page")
    return roles


def use(monkeypatch: pytest.MonkeyPatch, roles: Roles, role: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(roles.connection(role)))


def relations(connection: Connection) -> list[sql.Identifier]:
    """Every table and view of the documented schemas."""
    rows = connection.execute(
        "select relnamespace::regnamespace::text, relname from pg_class where relkind in ('r', 'v') "
        "and relnamespace::regnamespace::text in ('staging', 'dora', 'migration') order by 1, 2"
    )
    return [sql.Identifier(*row) for row in rows]


def test_the_readme_says_how_to_make_them() -> None:
    assert tuple(blocks()) == ROLES


def test_the_roles_can_do_their_work_and_no_more(filled: Roles, monkeypatch: pytest.MonkeyPatch) -> None:
    with filled.connect("opsgenie_sync") as connection:
        assert connection.execute(
            "select rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = current_user"
        ).fetchone() == (False, False, False)
        owners = connection.execute(
            "select distinct tableowner from pg_tables where schemaname in ('staging', 'dora', 'migration')"
        ).fetchall()
        assert owners == [("opsgenie_sync",)]
        # An upgrade adds a table: what is granted by default covers it.
        connection.execute("create table staging.of_a_later_version (n int)")

    with filled.connect("dashboards") as connection:
        everything = relations(connection)
        assert len(everything) > 40
        found = {}
        for relation in everything:
            rows = connection.execute(sql.SQL("select * from {}").format(relation)).fetchall()
            found[relation.as_string()] = len(rows)
        for name in ("staging.opsgenie_incidents", "dora.incident_history", "migration.ledger"):
            assert found['"{}"."{}"'.format(*name.split("."))] > 0, name
        reads_only(connection, everything)

    use(monkeypatch, filled, "page")
    share_secret(monkeypatch)
    with page_client() as client:
        for page in PAGES:
            answer = client.get(f"/{page}")
            assert answer.status_code == 200, answer.text
            assert "cannot be read" not in answer.text
        override(client, filled, "none")
        override(client, filled, "remove")
        answers = deliver(client)
        assert [answer.json().get("status") for answer in answers] == ["stored"] * 3
    with filled.connect("page") as connection:
        reads_only(connection, everything, but=WRITES)
    # What the page wrote is found by the sync's role, without a full refresh.
    with filled.connect("opsgenie_sync") as connection:
        assert connection.execute("select count(*) from dora.touched_deployments_queue").fetchone() == (3,)


def override(client: Any, roles: Roles, deployment: str) -> None:
    with roles.connect("dashboards") as connection:
        row = connection.execute(
            "select source, account, incident_id, service from dora.incident_attribution order by 1, 2, 3, 4"
        ).fetchone()
    assert row is not None
    incident = dict(zip(("source", "account", "incident_id", "service"), row, strict=True))
    form = client.get("/override", params=incident)
    token = re.findall(r'name="token" value="([^"]+)"', form.text)
    assert token, form.text
    data = {**incident, "token": token[0], "deployment": deployment, "reason": "a flag"}
    answer = client.post("/override", data=data, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    with roles.connect("dashboards") as connection:
        stored = connection.execute("select count(*) from dora.attribution_overrides").fetchone()
    assert stored == (1 if deployment == "none" else 0,)


def reads_only(
    connection: Connection, everything: list[sql.Identifier], but: dict[str, set[str]] | None = None
) -> None:
    """The role may write nothing ``but`` that, and make nothing."""
    for relation in everything:
        name = relation.as_string()
        allowed = (but or {}).get(name.split('"')[3], set())
        for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
            row = connection.execute("select has_table_privilege(%s, %s)", (name, right)).fetchone()
            assert row == (right in allowed,), (name, right)
    for statement in (
        "delete from staging.opsgenie_incidents",
        "update dora.incidents set title = 'mine'",
        "insert into staging.sync_state (account, stream) values ('a', 'b')",
        "truncate migration.ledger",
        "drop table staging.opsgenie_teams",
        "alter table dora.incidents add column mine text",
        "create table staging.mine (n int)",
        "create table public.mine (n int)",
        "create schema mine",
        "create temporary table mine (n int)",
        "select dora.note_touched()",
        "copy (select 1) to program 'true'",
        "set role opsgenie_sync",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)
