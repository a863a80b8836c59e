"""Connections to the warehouse, and advisory locks that serialise tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString, NamedTuple

import psycopg

log = logging.getLogger(__name__)
Connection = psycopg.Connection[tuple[Any, ...]]

# A lost peer is detected after about two minutes on either side; with TCP's defaults it takes two hours.
# libpq's parameters, for the client side:
CONNECTION_PARAMETERS: Mapping[str, Any] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "tcp_user_timeout": 120_000,
}
# Session settings, for the server side, which holds the session's locks until then. They are set by a
# statement, because a connection pooler may reject the parameter "options".
SESSION_SETTINGS: Mapping[str, str] = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
    "tcp_user_timeout": "120000",
    "lock_timeout": "10min",
    # A transaction may wait for a page of an API in between, but not for this long.
    "idle_in_transaction_session_timeout": "1h",
    # A session that holds an advisory lock is idle while its task uses another connection.
    "idle_session_timeout": "0",
    # A batch of 20,000 incidents and its transition tables fit in memory.
    "temp_buffers": "64MB",
    "work_mem": "64MB",
}
# Instants are compared and shown in UTC, whatever the role's or the database's time zone is. psycopg reads no
# other styles than these, and sends no text that the client's encoding lacks.
SET_FORMATS: LiteralString = (
    "select set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false), "
    "set_config('IntervalStyle', 'postgres', false), set_config('client_encoding', 'UTF8', false)"
)
# How long a task waits for one of another run: the first read of an account may take a while.
LOCK_WAIT = "1h"

# How often a pooler is tried, since another client may get the session in question in between.
_POOLER_PROBES = 5

# Settings of the connection's own "options", the role or the database take precedence.
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
    """Another session held a lock for longer than this one waits."""


class PoolerError(ValueError):
    """A pooler in front of the warehouse gives each transaction another session: locks would be lost."""


class Warehouse:
    """Opens connections to the warehouse.

    :param connect: opens a psycopg connection; ``hooks.warehouse`` does so from an Airflow connection.
    :param name: the warehouse's name in messages: the id of its Airflow connection.
    """

    def __init__(self, connect: Callable[[], Connection], name: str) -> None:
        self._connect = connect
        self._name = name

    @contextmanager
    def connection(self, *, autocommit: bool = False) -> Iterator[Connection]:
        """A connection whose transaction commits at the end of the block, or rolls back on an error.

        :raises WarehouseUnavailableError: it cannot be opened.
        :raises LockWaitError: a statement waited for another session's lock for too long.
        """
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
                    f"A statement in the warehouse of connection {self._name!r} timed out waiting for "
                    f"another session's lock: {_first_line(error)}. Look in pg_stat_activity for a session "
                    "that is idle in transaction or long-running, and let it finish or end it with "
                    "pg_terminate_backend."
                ) from error

    @contextmanager
    def lock(self, name: str) -> Iterator[Connection]:
        """Hold an advisory lock; it is released with the connection, even if the task is killed.

        Yields that connection: whatever is written through it is written while the lock is held.

        :raises LockWaitError: another session holds it for longer than ``LOCK_WAIT``.
        :raises PoolerError: there would be no session to hold it.
        """
        with self.connection(autocommit=True) as connection:
            self._require_session(connection)
            take_lock(connection, name)
            yield connection

    def _require_session(self, connection: Connection) -> None:
        """Refuse a pooler in transaction mode, which gives an idle connection's session to the next one."""
        for _ in range(_POOLER_PROBES):
            backend = _backend(connection)
            # A pooler makes up the number that a client gets when it logs in.
            if backend == connection.info.backend_pid:
                return
            with self.connection() as other:
                if backend == _backend(other):
                    raise PoolerError(
                        f"The warehouse of connection {self._name!r} is behind a connection pooler in "
                        "transaction mode, where locks, settings and prepared statements are lost between "
                        "transactions. Connect to PostgreSQL itself, or to a pool in session mode."
                    )


def _backend(connection: Connection) -> int:
    """The process that executes this connection's statements now."""
    row = connection.execute("select pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def configure_session(connection: Connection, settings: Mapping[str, str] = SESSION_SETTINGS) -> None:
    """Apply the settings to a new session, except those that the user has set in another way."""
    connection.execute(SET_FORMATS)
    connection.execute(_CONFIGURE, (list(settings), list(settings.values())))
    if not connection.autocommit:
        connection.commit()


def take_lock(connection: Connection, name: str, *, wait: str = LOCK_WAIT) -> None:
    """Take an advisory lock, which the session then holds until it ends.

    :param connection: in autocommit mode.
    :param wait: how long to wait for it, as PostgreSQL's lock_timeout, unless the user has set that.
    :raises LockWaitError: another session holds it for longer.
    """
    key = _lock_key(name)
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)).fetchone()
    if row == (True,):
        return
    holder = _holder(connection, key)
    log.info(
        "Waiting for up to %s for %s, which holds the lock %s.",
        wait,
        holder.description if holder else "another task",
        name,
    )
    connection.execute(_CONFIGURE, (["lock_timeout"], [wait]))
    try:
        connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (key,))
    except psycopg.errors.LockNotAvailable:
        holder = _holder(connection, key)
        if holder is None:
            # It was released since.
            raise LockWaitError(
                f"Another task held the lock {name} for {wait}. Run this task again."
            ) from None
        raise LockWaitError(
            f"{holder.description} still holds the lock {name}. Let it finish, then run this task again; if "
            f"its task no longer runs, end its session with select pg_terminate_backend({holder.pid})."
        ) from None
    connection.execute(_CONFIGURE, (["lock_timeout"], [SESSION_SETTINGS["lock_timeout"]]))


@contextmanager
def hold_lock(connection: Connection, name: str) -> Iterator[None]:
    """Hold an advisory lock during the block, on a connection that goes on to be used after it.

    :param connection: in autocommit mode.
    :raises LockWaitError: another session holds it for longer than ``LOCK_WAIT``.
    """
    take_lock(connection, name)
    try:
        yield
    finally:
        # A connection that broke has released it.
        if not connection.broken:
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (_lock_key(name),))


def _lock_key(name: str) -> str:
    return f"opsgenie_provider:{name}"


class _Holder(NamedTuple):
    """The session that holds an advisory lock."""

    pid: int
    description: str


def _holder(connection: Connection, key: str) -> _Holder | None:
    """Who holds an advisory lock; None where it was released meanwhile."""
    row = connection.execute(_HOLDER, (key,)).fetchone()
    if row is None:
        return None
    pid, application, address, since = row
    # PostgreSQL shows only the process id of another user's session.
    who = f"{application or 'a session'} from {address or 'the same host'}"
    connected = f", connected since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return _Holder(pid, f"{who} (backend {pid}{connected})")


def _first_line(error: psycopg.Error) -> str:
    return (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
