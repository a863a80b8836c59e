"""Connections to the warehouse, and locks that keep two tasks out of each other's way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

log = logging.getLogger(__name__)
Connection = psycopg.Connection[tuple[Any, ...]]


class WarehouseUnavailableError(Exception):
    """The warehouse cannot be reached or refuses the login."""


class Warehouse:
    """Opens connections to the warehouse.

    :param connect: makes a psycopg connection; ``PostgresHook(...).get_conn`` in a task.
    :param name: what to call the warehouse in messages: the id of its Airflow connection.
    """

    def __init__(self, connect: Callable[[], Connection], name: str) -> None:
        self._connect = connect
        self._name = name

    @contextmanager
    def connection(self, *, autocommit: bool = False) -> Iterator[Connection]:
        """A connection whose transaction commits at the end of the block, or rolls back on error."""
        try:
            connection = self._connect()
        except psycopg.OperationalError as error:
            raise WarehouseUnavailableError(
                f"Cannot reach the warehouse of connection {self._name!r}: {_first_line(error)}. "
                "Check that PostgreSQL runs and that host, port, database and login are right."
            ) from None
        with connection:
            connection.autocommit = autocommit
            # Instants are compared and shown in UTC, whatever the role's default is.
            connection.execute("set time zone 'UTC'")
            # A batch of 20,000 incidents, and what triggers see of it, need not go to the disk.
            connection.execute("set temp_buffers = '64MB'")
            connection.execute("set work_mem = '64MB'")
            if not autocommit:
                connection.commit()
            yield connection

    @contextmanager
    def lock(self, name: str) -> Iterator[Connection]:
        """Hold an advisory lock; it falls with the connection, so a killed task leaves none behind.

        Yields that connection: what is written through it is surely written under the lock.
        """
        with self.connection(autocommit=True) as connection:
            key = (f"opsgenie_provider:{name}",)
            row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", key).fetchone()
            if row != (True,):
                log.info("Another task is at work on %s: waiting for it to end.", name)
                connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", key)
            yield connection


def _first_line(error: psycopg.Error) -> str:
    return (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
