"""Runs the queries of include/sql/queries for a page: read only, and never for long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from opsgenie_provider.resources import sql_directory
from opsgenie_provider.settings import load_settings
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.web import connection_pool

# What is slower than this hurts the warehouse more than it helps the reader.
TIMEOUT = "10s"

Row = dict[str, Any]


class Reader:
    """The queries of include/sql/queries, by file name.

    :ivar connection: for queries that others share.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._directory = sql_directory("queries")

    def rows(self, name: str, parts: dict[str, sql.Composable] | None = None, **values: Any) -> list[Row]:
        """The rows of a query.

        :param parts: what replaces ``{name}`` in the file; never values, which are parameters.
        """
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(self._query(name, parts), values).fetchall()

    def first(self, name: str, **values: Any) -> Row | None:
        """The first row of a query, if there is one."""
        return next(iter(self.rows(name, **values)), None)

    def service(self, asked: str | None) -> str | None:
        """The service that is asked for as the tables name it; as it was asked for where there is none."""
        found = self.first("find_service", asked=asked) if asked else None
        return found["service"] if found else asked

    def stream(
        self, name: str, parts: dict[str, sql.Composable], values: dict[str, Any], size: int = 1000
    ) -> Iterator[Row]:
        """The rows of a query, as the server makes them."""
        with self.connection.cursor("streamed", row_factory=dict_row) as cursor:
            cursor.itersize = size
            yield from cursor.execute(self._query(name, parts), values)

    def execute(self, name: str, values: dict[str, Any]) -> int:
        """Run a statement; returns how many rows it wrote."""
        return self.connection.execute(self._query(name, None), values).rowcount

    def _query(self, name: str, parts: dict[str, sql.Composable] | None) -> sql.SQL | sql.Composed:
        text = (self._directory / f"{name}.sql").read_text(encoding="utf-8")
        query = sql.SQL(text)
        return query.format(**parts) if parts else query


@contextmanager
def reading(
    *,
    timeout: str = TIMEOUT,
    seconds: float | None = None,
    switch: connection_pool.StopSwitch | None = None,
) -> Iterator[Reader]:
    """The warehouse, for reading.

    :param timeout: what each statement may take.
    :param seconds: what all of it may take.
    :param switch: ends it earlier.
    :raises WarehouseUnavailableError: it cannot be reached.
    """
    conn_id = load_settings().postgres_conn_id
    with connection_pool.connection(conn_id, seconds=seconds, switch=switch) as connection:
        connection.read_only = True
        _limit(connection, timeout)
        yield Reader(connection)


@contextmanager
def writing() -> Iterator[Reader]:
    """The warehouse, for one small change."""
    with connection_pool.connection(load_settings().postgres_conn_id) as connection:
        _limit(connection, TIMEOUT)
        yield Reader(connection)


def _limit(connection: Connection, timeout: str) -> None:
    # For this transaction: the connection is used again.
    connection.execute("select set_config('statement_timeout', %s, true)", (timeout,))
