"""Creates and upgrades the warehouse's tables from the files in include/sql/schema."""

from __future__ import annotations

import logging

from opsgenie_provider.resources import sql_directory
from opsgenie_provider.warehouse.connection import Warehouse

log = logging.getLogger(__name__)

# Each of these needs the ones before it.
_ORDER = (
    "staging_opsgenie",
    "staging_on_call",
    "staging_sync",
    "staging_deployments",
    "dora_functions",
    "dora",
    "dora_refresh",
    "dora_views",
    "dora_what_if",
    "migration",
)


class EncodingError(ValueError):
    """The warehouse's database cannot hold every text."""


def upgrade(warehouse: Warehouse) -> list[str]:
    """Apply the files that this warehouse lacks, in order.

    Several tasks may run it at the same time, and it may be killed: it holds an advisory lock, and a file
    is applied and recorded in the same transaction. (Migration libraries that record it in a separate
    transaction, as yoyo does, leave a file applied but not recorded if they are killed in between, and
    fail from then on.)

    :returns: the names of the files applied.
    :raises EncodingError: the database has another encoding than UTF8.
    """
    applied = []
    with warehouse.lock("schema") as connection:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding not in (None, "UTF8"):
            raise EncodingError(
                f"The warehouse's database {connection.info.dbname!r} has the encoding {encoding}, which "
                "cannot hold every text of an incident. Make another (create database ... encoding 'UTF8' "
                "template template0) and name it in the connection."
            )
        connection.execute("create schema if not exists schema_history")
        connection.execute(
            "create table if not exists schema_history.applied "
            "(file text primary key, applied_at timestamptz not null default now())"
        )
        known = {file for (file,) in connection.execute("select file from schema_history.applied")}
        for name in _ORDER:
            if name in known:
                continue
            with connection.transaction():
                connection.execute((sql_directory("schema") / f"{name}.sql").read_text(encoding="utf-8"))
                connection.execute("insert into schema_history.applied (file) values (%s)", (name,))
            applied.append(name)
    log.info("Schema: %s.", f"applied {', '.join(applied)}" if applied else "up to date")
    return applied
