"""Creates and upgrades the warehouse's tables from the files in include/sql/schema."""

from __future__ import annotations

import logging
from pathlib import Path

from opsgenie_provider.warehouse.connection import Warehouse

log = logging.getLogger(__name__)

# Each of these rests on the ones before it. Files with other names come first.
_ORDER = ("staging", "dora", "migration")


def upgrade(warehouse: Warehouse, directory: Path) -> list[str]:
    """Apply the files that this warehouse lacks, in order.

    Safe to run from several tasks at once, under an advisory lock, and to be killed: a file and the
    note that it was applied are one transaction. (Migration libraries that keep that note in a
    transaction of its own, as yoyo does, leave a file applied but not noted if they are killed in
    between, and fail from then on.)

    :returns: the names of the files applied.
    """
    applied = []
    with warehouse.lock("schema") as connection:
        connection.execute("create schema if not exists schema_history")
        connection.execute(
            "create table if not exists schema_history.applied "
            "(file text primary key, applied_at timestamptz not null default now())"
        )
        known = {file for (file,) in connection.execute("select file from schema_history.applied")}
        for file in sorted(directory.glob("*.sql"), key=_order):
            if file.stem in known:
                continue
            with connection.transaction():
                connection.execute(file.read_text(encoding="utf-8"))
                connection.execute("insert into schema_history.applied (file) values (%s)", (file.stem,))
            applied.append(file.stem)
    log.info("Schema: %s.", f"applied {', '.join(applied)}" if applied else "up to date")
    return applied


def _order(file: Path) -> tuple[int, str]:
    return (_ORDER.index(file.stem) if file.stem in _ORDER else -1, file.stem)
