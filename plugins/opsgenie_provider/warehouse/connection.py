"""Connections to the warehouse, and locks that keep two tasks out of each other's way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

log = logging.getLogger(__name__)
Connection = psycopg.Connection[tuple[Any, ...]]

# A peer that vanished without a word is noticed after about two minutes, on either side; left to itself,
# TCP takes two hours. libpq's, for this side:
CONNECTION_PARAMETERS: Mapping[str, Any] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "tcp_user_timeout": 120_000,
}
# The session's, for the server: it holds a lock until it notices. As statements rather than as the
# parameter "options", which a pooler may refuse.
SESSION_SETTINGS: Mapping[str, str] = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
    "tcp_user_timeout": "120000",
    "lock_timeout": "10min",
    # A transaction may wait for a page of a service in between, but not for that long.
    "idle_in_transaction_session_timeout": "1h",
    # A session that holds a lock is idle while its task works through another.
    "idle_session_timeout": "0",
    # A batch of 20,000 incidents, and what triggers see of it, need not go to the disk.
    "temp_buffers": "64MB",
    "work_mem": "64MB",
}
# A task may wait for a task of another run, whose first read of an account may take a while.
LOCK_WAIT = "1h"

# What the connection's own "options", the role or the database set stays as it is.
_CONFIGURE = """
select set_config(wanted.name, wanted.value, false)
from unnest(%s::text[], %s::text[]) as wanted (name, value)
inner join pg_settings as setting on wanted.name = setting.name
where setting.source not in ('client', 'user', 'database', 'database user')
"""
_HOLDER = """
select activity.pid, activity.application_name, host(activity.client_addr), activity.backend_start
from pg_locks as held
inner join pg_database as database on held.database = database.oid
inner join pg_stat_activity as activity on held.pid = activity.pid
where held.locktype = 'advisory' and held.granted and held.objsubid = 1
    and database.datname = current_database()
    and ((held.classid::bigint << 32) | held.objid::bigint) = hashtextextended(%s, 0)
"""


class WarehouseUnavailableError(Exception):
    """The warehouse cannot be reached or refuses the login."""


class LockWaitError(Exception):
    """Another session has held a lock for longer than this one waits."""


class Warehouse:
    """Opens connections to the warehouse.

    :param connect: makes a psycopg connection; ``hooks.warehouse`` makes it of an Airflow connection.
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
            configure_session(connection)
            try:
                yield connection
            except psycopg.errors.LockNotAvailable as error:
                raise LockWaitError(
                    f"The warehouse of connection {self._name!r} gave up waiting for another session's "
                    f"lock: {_first_line(error)}. Look in pg_stat_activity for a session that is idle in "
                    "transaction or runs for long, and let it finish or end it with pg_terminate_backend."
                ) from error

    @contextmanager
    def lock(self, name: str) -> Iterator[Connection]:
        """Hold an advisory lock; it falls with the connection, so a killed task leaves none behind.

        Yields that connection: what is written through it is surely written under the lock.

        :raises LockWaitError: another session holds it for longer than ``LOCK_WAIT``.
        """
        with self.connection(autocommit=True) as connection:
            take_lock(connection, name)
            yield connection


def configure_session(connection: Connection, settings: Mapping[str, str] = SESSION_SETTINGS) -> None:
    """Give a new session its settings, except for those that its user has set in another way."""
    # Instants are compared and shown in UTC, whatever the role's default is.
    connection.execute("set time zone 'UTC'")
    connection.execute(_CONFIGURE, (list(settings), list(settings.values())))
    if not connection.autocommit:
        connection.commit()


def take_lock(connection: Connection, name: str, *, wait: str = LOCK_WAIT) -> None:
    """Take an advisory lock, which the session then holds until it ends.

    :param connection: in autocommit.
    :param wait: for how long to wait for it, unless the user has set a lock_timeout.
    :raises LockWaitError: another session held it all the while.
    """
    key = f"opsgenie_provider:{name}"
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)).fetchone()
    if row == (True,):
        return
    log.info("%s is at work on %s: waiting for it to end.", _holder(connection, key)[1], name)
    connection.execute(_CONFIGURE, (["lock_timeout"], [wait]))
    try:
        connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (key,))
    except psycopg.errors.LockNotAvailable:
        pid, holder = _holder(connection, key)
        raise LockWaitError(
            f"{holder} is still at work on {name}. Let it finish, then run this task again; if it no longer "
            f"runs, end its session with select pg_terminate_backend({pid})."
        ) from None
    connection.execute(_CONFIGURE, (["lock_timeout"], [SESSION_SETTINGS["lock_timeout"]]))


def _holder(connection: Connection, key: str) -> tuple[int | str, str]:
    """The backend that holds an advisory lock, and a description of it."""
    row = connection.execute(_HOLDER, (key,)).fetchone()
    if row is None:
        return "pid", "Another task"
    pid, application, address, since = row
    # Of another user's session, PostgreSQL shows the process id only.
    who = f"{application or 'a session'} from {address or 'the same host'}"
    return pid, f"{who} (backend {pid}{f', connected since {since:%Y-%m-%d %H:%M:%S} UTC' if since else ''})"


def _first_line(error: psycopg.Error) -> str:
    return (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
