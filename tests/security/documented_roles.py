"""The roles of docs/connections.md, "The warehouse's role", made by the SQL that is written there."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "connections.md"
# The names that the document uses.
DATABASE = "warehouse"
ROLES = ("opsgenie_sync", "dashboards", "page")
Connection = psycopg.Connection[tuple[Any, ...]]


def blocks() -> dict[str, str]:
    """The section's SQL, by the role that a block creates."""
    section = DOCUMENT.read_text().partition("\n## The warehouse's role\n")[2].partition("\n## ")[0]
    found = re.findall(r"(?:^ {4}.*\n)+", section, re.MULTILINE)
    return {re.findall(r"create role (\w+)", block)[0]: textwrap.dedent(block) for block in found}


class Roles:
    """A server with the document's database in it; the roles are made one by one, as the document has them.

    :param host: the directory of the server's socket. It asks nobody for a password.
    """

    def __init__(self, host: str) -> None:
        self._host = host

    def create(self, role: str) -> None:
        """Run the block of the document that makes the role."""
        with self.connect("postgres") as admin:
            admin.execute(blocks()[role])

    def connection(self, role: str) -> dict[str, Any]:
        """The fields of an Airflow connection."""
        return {"conn_type": "postgres", "host": self._host, "login": role, "schema": DATABASE}

    def connect(self, role: str, database: str = DATABASE) -> Connection:
        return psycopg.connect(host=self._host, user=role, dbname=database, autocommit=True)


@contextmanager
def documented_roles(host: str) -> Iterator[Roles]:
    """The README's database without any role; afterwards there is neither."""
    roles = Roles(host)
    with roles.connect("postgres", "postgres") as admin:
        admin.execute(f"create database {DATABASE}")
        try:
            yield roles
        finally:
            admin.execute(f"drop database {DATABASE} with (force)")
            for role in reversed(ROLES):
                admin.execute(f"drop role if exists {role}")
