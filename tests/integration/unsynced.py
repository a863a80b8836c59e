"""A server of the tests need not outlast a crash of the machine: its commits do not wait for the disk."""

from __future__ import annotations

import psycopg

SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")


def let_commits_not_wait(uri: str) -> None:
    with psycopg.connect(uri, autocommit=True) as admin:
        for setting in SETTINGS:
            admin.execute(f"alter system set {setting} = off")
        admin.execute("select pg_reload_conf()")
