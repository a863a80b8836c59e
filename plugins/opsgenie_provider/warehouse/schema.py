"""Creates and upgrades the warehouse's tables from the numbered files in include/sql/schema."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path

from psycopg import sql
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from opsgenie_provider.warehouse.connection import Connection, Warehouse

log = logging.getLogger(__name__)
# yoyo's own tables live apart from the data.
_HISTORY_SCHEMA = sql.Identifier("schema_history")


class _Backend(PostgresqlPsycopgBackend):
    """yoyo over the warehouse's own connections, so that no URI with a password is made."""

    def __init__(self, warehouse: Warehouse, stack: ExitStack) -> None:
        self._warehouse = warehouse
        self._stack = stack
        super().__init__(DatabaseURI("postgresql", None, None, None, None, "", {}), "applied")

    def connect(self, dburi: DatabaseURI) -> Connection:
        return self._stack.enter_context(self._warehouse.connection(autocommit=True))

    def init_connection(self, connection: Connection) -> None:
        connection.execute(sql.SQL("create schema if not exists {}").format(_HISTORY_SCHEMA))
        connection.execute(sql.SQL("set search_path to {}").format(_HISTORY_SCHEMA))

    def copy(self) -> _Backend:
        return _Backend(self._warehouse, self._stack)


def upgrade(warehouse: Warehouse, directory: Path) -> list[str]:
    """Apply the files that this warehouse lacks, in order, each in a transaction of its own.

    Safe to run from several tasks at once and to be killed: an advisory lock, which falls with its
    connection, guards what yoyo's own lock, a row that outlives a kill, cannot.

    :returns: the names of the files applied.
    """
    with warehouse.lock("schema"), ExitStack() as stack:
        backend = _Backend(warehouse, stack)
        backend.init_database()
        # Left by a run that was killed: no other run holds it, for the advisory lock is ours.
        backend.break_lock()
        migrations = backend.to_apply(read_migrations(str(directory)))
        backend.apply_migrations(migrations)
        applied = [migration.id for migration in migrations]
    log.info("Schema: %s.", f"applied {', '.join(applied)}" if applied else "up to date")
    return applied
