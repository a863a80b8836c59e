"""The tables are described in the database, and docs/tables.md says the same."""

from __future__ import annotations

from pathlib import Path

from opsgenie_provider.hooks.warehouse import warehouse as open_warehouse
from opsgenie_provider.warehouse.schema import upgrade
from sandbox.tables import described, markdown
from tests.support.postgres import Warehouse

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "tables.md"


def test_every_table_and_column_is_described_and_documented(warehouse: Warehouse) -> None:
    store = open_warehouse("postgres_default")
    upgrade(store)
    with store.connection() as connection:
        rows = described(connection)
    assert {f"{row[0]}.{row[1]}.{row[4]}" for row in rows if not (row[3] and row[7])} == set()
    assert DOCUMENT.read_text(encoding="utf-8") == markdown(rows), "make tables"
