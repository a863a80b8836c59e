"""What each account was read from: its connection may change from OpsGenie to Jira Service Management."""

from __future__ import annotations

from datetime import datetime

from opsgenie_provider.warehouse.connection import Connection


def note_backend(connection: Connection, account: str, backend: str, at: datetime) -> None:
    """Note that an account is read from a backend."""
    connection.execute(
        """
        insert into staging.opsgenie_backends as known (account, backend, first_read_at, last_read_at)
        values (%(account)s, %(backend)s, %(at)s, %(at)s)
        on conflict (account, backend) do update set
            last_read_at = greatest(known.last_read_at, excluded.last_read_at)
        """,
        {"account": account, "backend": backend, "at": at},
    )
