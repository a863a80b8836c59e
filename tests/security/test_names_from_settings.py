"""Names and values of the settings are names and values in SQL, whatever they look like."""

from __future__ import annotations

import pytest
from psycopg import sql

from opsgenie_provider.dora.refresh import refresh
from opsgenie_provider.hooks.warehouse import open_warehouse
from opsgenie_provider.settings import Settings
from opsgenie_provider.warehouse.own_deployments import REQUIRED, OwnDeploymentsError
from tests.support.postgres import Warehouse
from tests.support.readers import read_own_deployments

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
def victim(tables: Warehouse) -> Warehouse:
    """A warehouse with something to lose."""
    tables.execute("create table victim (n int)")
    return tables


def alive(warehouse: Warehouse) -> bool:
    return bool(warehouse.value("select to_regclass('public.victim') is not null"))


@pytest.mark.parametrize("name", ODD)
def test_a_relation_and_its_columns_may_be_called_anything(victim: Warehouse, name: str) -> None:
    # What comes before the first point is the schema.
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

    assert read_own_deployments(f"own.{name}", columns)["rows_changed"] == 1

    assert alive(victim)
    [stored] = victim.table("deployments")
    assert (stored["source"], stored["service"]) == (f"own.{name}", "checkout")


@pytest.mark.parametrize("name", [*ODD, *IMPOSSIBLE])
def test_a_missing_relation_or_column_is_reported(victim: Warehouse, name: str) -> None:
    with pytest.raises(OwnDeploymentsError, match="there is no such table or view"):
        read_own_deployments(name, {})
    victim.execute("create view own as select 1 as n")
    with pytest.raises(OwnDeploymentsError, match="it has no column"):
        read_own_deployments("own", {"service": name})
    with pytest.raises(OwnDeploymentsError, match="is not a column of deployments"):
        read_own_deployments("own", {name: "n"})
    assert alive(victim)


def test_values_are_values(victim: Warehouse) -> None:
    settings = Settings(environments=list(ODD), direction="before_only")
    with open_warehouse("postgres_default").connection() as connection:
        refresh(connection, settings)
        # Another time, now that there is something to compare with.
        refresh(connection, settings)
    assert alive(victim)
