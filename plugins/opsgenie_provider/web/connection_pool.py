"""The few connections to the warehouse that the API server may hold, whatever is asked of it.

A pool of each process, made on first use. A connection is given back in bounded time: connecting, waiting
and each use end by the clock, also where the warehouse accepts connections and never answers.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from time import monotonic
from typing import Any, NamedTuple, cast

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from opsgenie_provider.hooks.base import extras_of
from opsgenie_provider.hooks.warehouse import find_connection, open_connection
from opsgenie_provider.warehouse.connection import SET_FORMATS, Connection, WarehouseUnavailableError

log = logging.getLogger(__name__)

# As many as there are threads that use them (web/workers.py), in each process of the API server.
MAX_CONNECTIONS = 10
CONNECT_SECONDS = 5
# What a request may take altogether. The warehouse ends its statements earlier.
USE_SECONDS = 20.0
_IDLE_SECONDS = 60.0
_LIFE_SECONDS = 600.0
# How often a request that waits for a connection looks whether connecting has failed.
_LOOK_SECONDS = 0.25
# libpq's: a peer that vanished is noticed, and what is sent is acknowledged, within this time.
_LIMITS = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class StopSwitch:
    """Ends a use of a connection from another thread: at a deadline, or because the client has gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._stopped = False

    def stop(self) -> None:
        """Cancel what the connection is doing, and close its socket, which wakes whoever waits for it."""
        with self._lock:
            self._stopped = True
            if self._connection is None:
                return
            with suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=1)
            with (
                suppress(psycopg.Error, OSError),
                socket.socket(fileno=os.dup(self._connection.fileno())) as s,
            ):
                s.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def guard(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Watch a block that uses the connection.

        :raises psycopg.OperationalError: in the block, once it was stopped or its time is up.
        """
        timer = threading.Timer(seconds, self.stop)
        timer.daemon = True
        with self._lock:
            if self._stopped:
                raise psycopg.OperationalError("the request was given up")
            self._connection = connection
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._connection = None


class _Opened(psycopg.Connection[tuple[Any, ...]]):
    """A connection that Airflow's hook opens, with all that its Airflow connection may hold."""

    @classmethod
    def connect(cls, conninfo: str = "", *, opener: Callable[[], Any], **kwargs: Any) -> Any:  # type: ignore[override]
        return opener()


class _WarehousePool:
    """Connections of one Airflow connection, as it was when the pool was made."""

    def __init__(self, conn_id: str, connection: Any) -> None:
        self._conn_id = conn_id
        self._connection = connection
        self._failed_at = 0.0
        self._failure = ""
        self._connections = ConnectionPool(
            connection_class=_Opened,
            kwargs={"opener": self._open},
            min_size=0,
            max_size=MAX_CONNECTIONS,
            configure=_configure,
            check=_check,
            timeout=CONNECT_SECONDS,
            max_idle=_IDLE_SECONDS,
            max_lifetime=_LIFE_SECONDS,
            # Whoever still waits asks again.
            reconnect_timeout=1,
            name="opsgenie_provider",
            open=True,
        )

    def _open(self) -> Any:
        try:
            return open_connection(self._connection, {})
        except Exception as error:
            self._failure = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            self._failed_at = monotonic()
            raise

    @contextmanager
    def connection(self, seconds: float, switch: StopSwitch) -> Iterator[Connection]:
        connection = self._acquire()
        try:
            with switch.guard(connection, seconds), connection:
                # As the warehouse has it: the use before may have asked for it.
                connection.read_only = None
                yield connection
        finally:
            # Closed already, if another thread closed the pool.
            self._connections.putconn(cast(_Opened, connection))

    def _acquire(self) -> Connection:
        began = monotonic()
        while True:
            try:
                return self._connections.getconn(timeout=_LOOK_SECONDS)
            except PoolTimeout:
                # The pool keeps the reason to itself, and goes on trying.
                if self._failed_at > began:
                    reason = self._failure
                elif monotonic() - began > CONNECT_SECONDS + 1:
                    reason = f"no connection within {CONNECT_SECONDS} seconds"
                else:
                    continue
            raise WarehouseUnavailableError(
                f"Cannot reach the warehouse of connection {self._conn_id!r}: {reason}. "
                "Check that PostgreSQL runs and that host, port, database and login are right."
            )

    def close(self) -> None:
        self._connections.close(timeout=1)


def _configure(connection: psycopg.Connection[Any]) -> None:
    # A new connection may be to a warehouse that answers the login and nothing else.
    with StopSwitch().guard(connection, CONNECT_SECONDS):
        connection.execute(SET_FORMATS)
        connection.execute("set work_mem = '64MB'")
        # A process that was stopped between two statements holds nothing up.
        connection.execute("set idle_in_transaction_session_timeout = '30s'")
        connection.commit()


def _check(connection: psycopg.Connection[Any]) -> None:
    with StopSwitch().guard(connection, CONNECT_SECONDS):
        ConnectionPool.check_connection(connection)


class _Key(NamedTuple):
    """What a pool is for. A fork has none of its parent's threads, so it makes its own."""

    process_id: int
    conn_id: str
    uri: str


class _Current(NamedTuple):
    key: _Key
    pool: _WarehousePool

    def close(self) -> None:
        """Close the connections, unless they are another process's."""
        if self.key.process_id == os.getpid():
            self.pool.close()


_lock = threading.Lock()
_current: _Current | None = None


def _current_pool(conn_id: str) -> _WarehousePool:
    """The pool of the Airflow connection as it is now: an edit of it needs no restart."""
    global _current
    found = copy(find_connection(conn_id))
    found.extra = json.dumps(extras_of(found) | _LIMITS)
    key = _Key(os.getpid(), conn_id, found.get_uri())
    with _lock:
        if _current and _current.key == key:
            return _current.pool
        old, _current = _current, _Current(key, _WarehousePool(conn_id, found))
        pool = _current.pool
    if old:
        old.close()
    return pool


@contextmanager
def connection(
    conn_id: str, *, seconds: float | None = None, switch: StopSwitch | None = None
) -> Iterator[Connection]:
    """A connection whose transaction commits at the end of the block, or rolls back on error.

    :param seconds: how long the block may use it; :data:`USE_SECONDS` where not given.
    :param switch: ends the block's use of it earlier.
    :raises WarehouseUnavailableError: none can be had.
    """
    try:
        with _current_pool(conn_id).connection(seconds or USE_SECONDS, switch or StopSwitch()) as given:
            yield given
    except PoolClosed:
        raise WarehouseUnavailableError("The connection was edited just now; ask again.") from None


@atexit.register
def close() -> None:
    """Close the connections; the next use makes new ones."""
    global _current
    with _lock:
        old, _current = _current, None
    if old:
        old.close()
