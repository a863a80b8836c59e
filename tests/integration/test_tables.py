"""The tables are described in the database, and what is made from that or reads them agrees."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsgenie_provider.hooks.warehouse import open_warehouse
from opsgenie_provider.warehouse.schema import upgrade
from sandbox.tables import DOCUMENT, FRESHNESS, ROOT, SOURCES, described, markdown, sources
from tests.support.page_world import fill
from tests.support.postgres import Warehouse

DASHBOARD = json.loads((ROOT / "integrations" / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
PANELS = {panel["title"]: panel["targets"][0]["rawSql"] for panel in DASHBOARD["panels"]}
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}


def test_every_table_and_column_is_described_and_documented(warehouse: Warehouse) -> None:
    store = open_warehouse("postgres_default")
    upgrade(store)
    with store.connection() as connection:
        rows = described(connection)
    assert {f"{row[0]}.{row[1]}.{row[4]}" for row in rows if not (row[3] and row[7])} == set()
    assert DOCUMENT.read_text(encoding="utf-8") == markdown(rows), "make tables"
    assert SOURCES.read_text(encoding="utf-8") == sources(rows), "make tables"
    columns = {f"{row[0]}.{row[1]}.{row[4]}" for row in rows}
    assert {f"{table}.{fresh['loaded_at_field']}" for table, fresh in FRESHNESS.items()} <= columns


def expanded(query: str, since: datetime, until: datetime, **variables: str) -> str:
    """A panel's query as Grafana sends it: its macros and variables are texts that are put in."""
    first, last = (f"'{each:%Y-%m-%dT%H:%M:%SZ}'" for each in (since, until))
    query = re.sub(r"\$__timeFilter\(([^()]+)\)", rf"\1 BETWEEN {first} AND {last}", query)
    query = query.replace("$__timeFrom()", first).replace("$__timeTo()", last)
    query = re.sub(
        r"\$\{(\w+):sqlstring\}", lambda found: "'{}'".format(variables[found[1]].replace("'", "''")), query
    )
    assert "$" not in query
    return query


def test_each_panel_of_the_dashboard_shows_what_the_tables_have(warehouse: Warehouse) -> None:
    fill(open_warehouse("postgres_default"))
    now = datetime.now(UTC)

    def shown(title: str, service: str, since: datetime, until: datetime) -> list[dict[str, Any]]:
        return warehouse.rows(expanded(PANELS[title], since, until, service=service, grain="day"))

    names = warehouse.rows(VARIABLES["service"]["query"])
    assert names[0]["__value"] == "*"
    services = [row["__value"] for row in names]
    assert len(services) > 2
    for service in services[:3]:
        for title in PANELS:
            assert shown(title, service, now - timedelta(days=90), now), (title, service)

    # Over one day, the numbers are those of the metrics of that day.
    for service in ("*", services[1]):
        table, which = ("overall_metrics", "true") if service == "*" else ("service_metrics", "service = %s")
        [day] = warehouse.rows(
            f"select * from dora.{table} where grain = 'day' and {which} "
            "and change_failures > 0 and mttr_mean_seconds > 0 order by period_start limit 1",
            *([] if service == "*" else [service]),
        )
        start = datetime.combine(day["period_start"], datetime.min.time(), UTC)
        end = start + timedelta(days=1, seconds=-1)
        for title in (
            "Change failure rate",
            "MTTR",
            "MTTR of all incidents",
            "Deployments and change failures",
        ):
            [row] = shown(title, service, start, end)
            for name, value in row.items():
                assert float(value) == pytest.approx(float(day[name])), (title, name)
        for title in ("Change failure rate by ${grain}", "Time to recover by ${grain}"):
            [row] = shown(title, service, start, end)
            assert row == {"time": start} | {name: day[name] for name in row if name != "time"}
