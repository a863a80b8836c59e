"""Names and values of the settings stand in SQL as names and values, whatever they look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from psycopg import sql

from opsgenie_provider.hooks.warehouse import warehouse as open_warehouse
from opsgenie_provider.operators.own_deployments import OwnDeploymentsToPostgresOperator
from opsgenie_provider.settings import Settings
from opsgenie_provider.dora.refresh import refresh
from opsgenie_provider.warehouse.own_deployments import REQUIRED, OwnDeploymentsError
from opsgenie_provider.warehouse.schema import upgrade
from sync_harness import INCLUDE, Warehouse

ODD = (
    'odd"; drop table victim; --',
    "odd'; drop table victim; --",
    'odd"."victim',
    "victim; drop table victim",
    "%s %(name)s {} {columns} {0}",
    '"quoted"',
    "pg_temp",
    "x) as y, victim --",
    "\U0001f469 \u202eabc",
)
# What no table can be called.
IMPOSSIBLE = ("public.", ".", "x" * 100)


@pytest.fixture
def victim(warehouse: Warehouse) -> Warehouse:
    """A warehouse with something to lose."""
    upgrade(open_warehouse("postgres_default"), INCLUDE / "sql" / "schema")
    warehouse.execute("create table victim (n int)")
    return warehouse


def alive(warehouse: Warehouse) -> bool:
    return bool(warehouse.value("select to_regclass('public.victim') is not null"))


def take_over(relation: str, columns: Mapping[str, str]) -> Any:
    operator = OwnDeploymentsToPostgresOperator(task_id="own", relation=relation, columns=columns)
    return operator.execute({})["rows_changed"]


@pytest.mark.parametrize("name", ODD)
def test_a_relation_and_its_columns_may_be_called_anything(victim: Warehouse, name: str) -> None:
    # What stands before the first point is the schema.
    schema, _, table = f"own.{name}".partition(".")
    columns = {column: f"{name} {column}" for column in REQUIRED}
    select = sql.SQL("create schema own; create view {} as select {}").format(
        sql.Identifier(schema, table),
        sql.SQL(", ").join(
            sql.SQL("{} as {}").format(value, sql.Identifier(columns[column]))
            for column, value in zip(
                REQUIRED, map(sql.SQL, ("'1'", "'checkout'", "'prod'", "'success'", "now()")), strict=True
            )
        ),
    )
    victim.execute(select.as_string())

    assert take_over(f"own.{name}", columns) == 1

    assert alive(victim)
    [stored] = victim.table("deployments")
    assert (stored["source"], stored["service"]) == (f"own.{name}", "checkout")


@pytest.mark.parametrize("name", [*ODD, *IMPOSSIBLE])
def test_what_there_is_not_is_said_so(victim: Warehouse, name: str) -> None:
    with pytest.raises(OwnDeploymentsError, match="there is no such table or view"):
        take_over(name, {})
    victim.execute("create view own as select 1 as n")
    with pytest.raises(OwnDeploymentsError, match="it has no column"):
        take_over("own", {"service": name})
    with pytest.raises(OwnDeploymentsError, match="is no column of deployments"):
        take_over("own", {name: "n"})
    assert alive(victim)


def test_values_are_values(victim: Warehouse) -> None:
    settings = Settings(environments=list(ODD), direction="before_only")
    with open_warehouse("postgres_default").connection() as connection:
        refresh(connection, INCLUDE / "sql", settings)
        # Another time, now that there is something to compare with.
        refresh(connection, INCLUDE / "sql", settings)
    assert alive(victim)
