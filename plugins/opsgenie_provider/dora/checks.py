"""The data checks: each file of include/sql/checks returns the rows that should not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from opsgenie_provider.warehouse.connection import Connection

_EXAMPLES = 5


class DataCheckError(Exception):
    """A data check found rows that should not exist; the dora tables are as before the run.

    :param check: the name of the check's file.
    :param rows: how many rows it returned.
    :param examples: the first of them.
    """

    def __init__(self, check: str, rows: int, examples: list[dict[str, Any]]) -> None:
        self.check = check
        self.rows = rows
        self.examples = examples
        shown = "; ".join(str({k: str(v) for k, v in example.items()}) for example in examples)
        super().__init__(
            f"Data check {check!r} failed with {rows} row(s); the dora tables are as before this run. Run "
            f"dora_metrics with full_refresh; if it fails again, report these rows. For example: {shown}"
        )


def run_check(connection: Connection, file: Path) -> None:
    """Run a check on what this refresh touched.

    :raises DataCheckError: it returned rows.
    """
    query = sql.SQL(
        "select count(*) over () as rows_returned, found.* from (\n{}\n) as found limit {}"
    ).format(
        sql.SQL(file.read_text(encoding="utf-8")),
        sql.Literal(_EXAMPLES),
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(query).fetchall()
    if found:
        rows = [row.pop("rows_returned") for row in found]
        raise DataCheckError(file.stem, rows[0], found)
