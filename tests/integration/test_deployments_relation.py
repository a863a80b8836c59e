"""Deployments of a relation of the user's own that is changed, or whose name another source has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from opsgenie_provider.hooks.warehouse import open_warehouse
from opsgenie_provider.operators import deployments as operators
from opsgenie_provider.warehouse.own_deployments import OwnDeploymentsError
from opsgenie_provider.warehouse.schema import upgrade
from tests.support.postgres import Warehouse


@pytest.fixture
def own(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], Any]:
    """Takes the relation of the settings over; two relations hold the same ten deployments."""
    upgrade(open_warehouse("postgres_default"))
    warehouse.execute("create schema ci")
    warehouse.execute(
        "create table ci.deploys as select n as deployment_id, 'checkout' as service, "
        "'production' as environment, 'success' as status, now() as triggered_at "
        "from generate_series(1, 10) as n"
    )
    warehouse.execute("create view ci.deploys_v2 as select * from ci.deploys")
    warehouse.execute("create view ci as select * from ci.deploys")

    def run(relation: str | None) -> Any:
        name = "OPSGENIE_PROVIDER__DEPLOYMENTS_RELATION"
        if relation:
            monkeypatch.setenv(name, relation)
        else:
            monkeypatch.delenv(name)
        return operators.SyncDeploymentsOperator(task_id="sync").execute({})

    return run


def by_source(warehouse: Warehouse) -> dict[str, int]:
    rows = warehouse.rows("select source, count(*) as number from staging.deployments group by 1")
    return {row["source"]: row["number"] for row in rows}


INSERT = (
    "insert into staging.deployments (source, deployment_id, service, environment, status, triggered_at) "
    "values (%s, %s, 'search', 'production', 'success', now())"
)


def test_a_relation_takes_the_place_of_the_one_before(
    own: Callable[[str | None], Any], warehouse: Warehouse
) -> None:
    own("ci.deploys")
    warehouse.execute(
        "insert into dora.attribution_overrides "
        "(source, account, incident_id, service, deployment_source, deployment_id, reason) "
        "values ('opsgenie', 'opsgenie_default', 'i', 'checkout', 'ci.deploys', '3', 'seen')"
    )
    own("ci.deploys_v2")
    assert by_source(warehouse) == {"ci.deploys_v2": 10}
    # An override means the same deployment as before.
    assert warehouse.value("select deployment_source from dora.attribution_overrides") == "ci.deploys_v2"
    before = warehouse.versions()["deployments"]
    own("ci.deploys_v2")
    assert warehouse.versions()["deployments"] == before
    own(None)
    assert by_source(warehouse) == {}


def test_a_relation_that_is_called_like_another_source_leaves_it_alone(
    own: Callable[[str | None], Any], warehouse: Warehouse
) -> None:
    for deployment_id in ("3", "x"):
        warehouse.execute(INSERT, "ci", deployment_id)
    own("ci")
    own("ci")
    assert by_source(warehouse) == {"ci": 2, "public.ci": 10}
    warehouse.execute(INSERT, "ci.deploys", "3")
    with pytest.raises(OwnDeploymentsError, match=r"other deployments have the source 'ci\.deploys'"):
        own("ci.deploys")
    assert by_source(warehouse) == {"ci": 2, "public.ci": 10, "ci.deploys": 1}


def test_what_a_row_was_read_from_is_one_of_two(own: Any, warehouse: Warehouse) -> None:
    warehouse.execute(INSERT, "ci", "1")
    with pytest.raises(psycopg.errors.CheckViolation):
        warehouse.execute("update staging.deployments set synced_from = 'me'")
