"""What people report of PagerDuty, of GitLab, and of tools that compute these metrics."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from opsgenie_provider.hooks.warehouse import open_warehouse
from opsgenie_provider.migration.options import Options
from opsgenie_provider.operators.migration_plan import PlanMigrationOperator
from opsgenie_provider.rows.webhook import gitlab_event
from opsgenie_provider.warehouse.schema import upgrade
from opsgenie_provider.warehouse.webhook import record
from tests.integration.reported.canned import Canned, ago, page_of, values
from tests.support.postgres import Warehouse

Step = Callable[[], None]
COMMIT = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c"
JOB = "https://gitlab.example.org/shop/till/-/jobs/9001"


def test_incidents_of_pagerduty_with_almost_nothing_in_them(
    pages: Step, services: Canned, tables: Warehouse, metrics: Step
) -> None:
    """faros-ai/airbyte-connectors#733; PagerDuty/api-schema#412."""
    gone = {"id": "PGONE", "type": "service_reference", "summary": None}
    nothing = dict.fromkeys(("incident_number", "title", "summary", "urgency", "html_url"))
    services.lists["/services"] = [{"id": "PS1", "name": "Checkout"}]
    services.lists["/incidents"] = [
        page_of("P1", ago(days=40)),
        page_of("P2", ago(days=30), **nothing),
        page_of("P3", ago(days=20), status="triggered", resolved_at=None, service=None, teams=None),
        page_of(
            "P4", ago(days=10), status="acknowledged", resolved_at=None, service=gone,
            priority={"id": "PX", "name": None, "summary": None},
        ),
    ]  # fmt: skip
    pages()
    metrics()
    query = "select incident_id, title, service_name from staging.pagerduty_incidents order by 1"
    assert values(tables, query) == [
        ("P1", "Incident P1", "Checkout"),
        ("P2", None, "Checkout"),
        ("P3", "Incident P3", None),
        ("P4", "Incident P4", None),
    ]
    query = "select incident_id, status, priority from dora.incidents order by 1"
    assert values(tables, query) == [
        ("P1", "resolved", "P2"), ("P2", "resolved", None), ("P3", "open", "P2"), ("P4", "open", "P2"),
    ]  # fmt: skip
    query = "select incident_id, service, match_status from dora.incident_attribution order by 1"
    assert values(tables, query) == [
        ("P1", "checkout", "service_unmapped"),
        ("P2", "checkout", "service_unmapped"),
        ("P3", "", "no_service"),
        ("P4", "PGONE", "service_unmapped"),
    ]
    assert tables.table("rejected_payloads") == []


def test_pages_that_are_shorter_than_asked_for(pages: Step, services: Canned, tables: Warehouse) -> None:
    """martindstone/pagerduty-cli#46: 25 a page; PagerDuty/pdpyras#46: without bounds, a month."""
    services.page_cap = 25
    services.lists["/incidents"] = [page_of(f"P{day}", ago(days=day)) for day in range(260, 0, -1)]
    services.lists["/services"] = [{"id": f"PS{number}", "name": f"s{number}"} for number in range(60)]
    pages()
    assert tables.value("select count(*) from staging.pagerduty_incidents") == 260
    assert tables.value("select count(*) from staging.pagerduty_services") == 60


def test_notes_of_any_kind_are_planned_and_those_without_content_are_not(
    pages: Step, services: Canned, tables: Warehouse
) -> None:
    """PagerDuty/python-pagerduty#35: HTML, no content, blanks, no author, 30,000 characters."""
    someone = {"id": "U", "type": "user_reference", "summary": None}
    notes = [
        ("<p>done &amp; <b>dusted</b></p>", None),
        (None, someone | {"summary": "Someone"}),
        (" \n\u00a0", someone),
        ("y" * 30_000, {"id": "U", "type": "bot_user_reference", "summary": "Bot"}),
    ]
    at = ago(days=39.5)
    services.lists["/incidents"] = [
        page_of("P1", ago(days=40), title="🔥" * 300, priority={"id": "PP", "name": "P1", "summary": "P1"})
    ]
    services.lists["/log_entries"] = [
        {"id": "L1", "type": "annotate_log_entry", "created_at": at, "agent": None, "channel": None,
         "incident": {"id": "P1", "type": "incident_reference"}},
    ]  # fmt: skip
    services.lists["/incidents/P1/notes"] = [
        {"id": f"N{number}", "content": content, "user": author, "created_at": at}
        for number, (content, author) in enumerate(notes)
    ]
    pages()
    PlanMigrationOperator(task_id="plan", options=Options.from_params({}).as_json()).execute({})

    [(state, message, planned)] = values(
        tables,
        "select state, payload #>> '{create,message}' as message, payload -> 'notes' as notes "
        "from migration.ledger",
    )
    assert state == "planned"
    assert len(message) <= 130
    texts = [str(note) for note in planned]
    assert sum("dusted" in text for text in texts) == 1
    assert sum("yyy" in text for text in texts) >= 1
    assert not any("None" in text for text in texts)


def test_deployment_events_of_gitlab_from_an_older_server(tables: Warehouse) -> None:
    """xanzy/go-gitlab#1685: times with a blank and an offset; a deployment made by API has no job."""

    def send(number: int, status: str, at: str, job: str | None = JOB) -> None:
        body: dict[str, Any] = {
            "object_kind": "deployment", "status": status, "status_changed_at": at, "deployment_id": number,
            "deployable_id": job and 9001, "deployable_url": job, "environment": "production",
            "project": {"id": 77, "name": "till", "path_with_namespace": "shop/till"},
            "short_sha": COMMIT[:8], "user": {"id": 4},
            "commit_url": job and f"https://gitlab.example.org/shop/till/-/commit/{COMMIT}",
        }  # fmt: skip
        event: Any = gitlab_event(body, json.dumps(body), ["production"])
        with open_warehouse("postgres_default").connection() as connection:
            record(connection, event, sender="gitlab", delivery_id=uuid.uuid4().hex)

    send(512, "success", "2026-03-09 14:20:05 +0200")
    send(513, "success", "2026-03-09 12:21:00 UTC", job=None)
    send(514, "running", "2026-03-09 14:20:05 +0200")
    send(514, "failed", "2026-03-09 14:26:00 +0200")

    at = datetime(2026, 3, 9, 12, 20, 5, tzinfo=UTC)
    later = at.replace(minute=21, second=0)
    query = (
        "select deployment_id, service, status, triggered_at, finished_at, commit_sha, url "
        "from staging.deployments order by 1"
    )
    assert values(tables, query) == [
        ("77/512", "till", "success", at, at, COMMIT, JOB),
        ("77/513", "till", "success", later, later, COMMIT[:8], None),
        ("77/514", "till", "failure", at, None, COMMIT, JOB),
    ]


def fill(tables: Warehouse, service: str, incidents: dict[str, float]) -> None:
    """A service of OpsGenie's, and its incidents, each some hours ago."""
    tables.execute(
        "insert into staging.opsgenie_services (account, service_id, name, raw, synced_at) "
        "values ('opsgenie_default', 's1', %s, '{}', now())",
        service,
    )
    for id_, hours in incidents.items():
        tables.execute(
            "insert into staging.opsgenie_incidents "
            "(account, incident_id, message, status, created_at, key_reach, raw, synced_at) "
            "values ('opsgenie_default', %s, 'Down', 'open', %s, 'account', '{}', now())",
            id_,
            ago(hours=hours),
        )
        tables.execute(
            "insert into staging.opsgenie_incident_services "
            "(account, incident_id, service_id, raw, synced_at) "
            "values ('opsgenie_default', %s, 's1', '{}', now())",
            id_,
        )


def deploy(tables: Warehouse, id_: str, service: str, environment: str, status: str, hours: float) -> None:
    tables.execute(
        "insert into staging.deployments (source, deployment_id, service, environment, status, triggered_at) "
        "values ('ci', %s, %s, %s, %s, %s)",
        id_, service, environment, status, ago(hours=hours),
    )  # fmt: skip


def test_an_incident_far_from_every_deployment_is_held_against_none(tables: Warehouse, metrics: Step) -> None:
    """apache/devlake#8150: there it counts against whichever deployment came last."""
    deploy(tables, "d1", "checkout", "production", "success", 30)
    deploy(tables, "d2", "Checkout ", "PROD", "success", 18)
    deploy(tables, "d3", "checkout", "staging", "success", 24)
    deploy(tables, "d4", "checkout", "production", "failure", 24)
    fill(tables, "checkout", {"i1": 24, "i2": 14, "i3": 34})

    metrics()

    query = (
        "select incident_id, match_status, deployment_id, offset_seconds::int from dora.incident_attribution"
    )
    assert sorted(values(tables, query)) == [
        ("i1", "no_deployment_in_window", None, None),
        ("i2", "matched", "d2", 4 * 3600),
        ("i3", "matched", "d1", -4 * 3600),
    ]


@pytest.fixture
def c_locale(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A warehouse whose ``lower`` knows ASCII only."""
    name = f"c_{uuid.uuid4().hex}"
    connection = {"conn_type": "postgres", "host": postgres, "login": "postgres", "schema": name}
    with psycopg.connect(host=postgres, user="postgres", dbname="postgres", autocommit=True) as admin:
        admin.execute(
            f"create database {name} template template0 locale_provider libc locale 'C' encoding 'UTF8'"
        )
        monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(connection))
        upgrade(open_warehouse("postgres_default"))
        with Warehouse(postgres, name) as made:
            yield made
        admin.execute(f"drop database {name} with (force)")


def test_the_case_of_an_umlaut_in_a_warehouse_of_the_c_locale(metrics: Step, c_locale: Warehouse) -> None:
    """sameersbn/docker-postgresql#117."""
    deploy(c_locale, "d1", "ÜBERWEISUNG", "production", "success", 30)
    fill(c_locale, "überweisung", {"i1": 29})
    metrics()
    query = "select match_status, service from dora.incident_attribution"
    assert values(c_locale, query) == [("matched", "überweisung")]
