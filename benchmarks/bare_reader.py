"""The baseline of the first sync: the minimum that any reader must do.

Eight threads fetch pages of 100 over disjoint createdAt windows; the rows go into a temporary table
by COPY and from there by one INSERT .. ON CONFLICT. No retries, no limits, no children, no checks.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from typing import Any

import psycopg
import requests

from benchmarks.meter import report

THREADS = 8
COLUMNS = ("incident_id", "message", "status", "priority", "created_at", "updated_at", "impact_end_at", "raw")


def read(base_url: str, key: str, since: int, until: int) -> list[tuple[Any, ...]]:
    """All incidents created in [since, until), in Unix milliseconds."""
    local = threading.local()

    def page(query: str, offset: int) -> Any:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.headers["Authorization"] = f"GenieKey {key}"
        params: dict[str, str | int] = {
            "query": query, "limit": 100, "offset": offset, "sort": "createdAt", "order": "asc",
        }  # fmt: skip
        return local.session.get(f"{base_url}/v1/incidents", params=params).json()

    def window(bounds: tuple[int, int]) -> list[tuple[Any, ...]]:
        query = f"createdAt >= {bounds[0]} AND createdAt < {bounds[1]}"
        rows: list[tuple[Any, ...]] = []
        offset = 0
        while True:
            answer = page(query, offset)
            rows += [to_row(item) for item in answer["data"]]
            offset += 100
            if offset >= answer["totalCount"]:
                return rows

    edges = [since + (until - since) * part // THREADS for part in range(THREADS + 1)]
    with ThreadPoolExecutor(THREADS) as executor:
        parts = executor.map(window, pairwise(edges))
        return [row for part in parts for row in part]


def to_row(item: dict[str, Any]) -> tuple[Any, ...]:
    """An incident as a row of ``COLUMNS``."""
    instants = (item.get(name) for name in ("createdAt", "updatedAt", "impactEndDate"))
    return (
        item["id"], item.get("message"), item.get("status"), item.get("priority"),
        *(datetime.fromisoformat(instant) if instant else None for instant in instants), json.dumps(item),
    )  # fmt: skip


def load(conninfo: str, rows: list[tuple[Any, ...]]) -> None:
    """COPY, then one INSERT .. ON CONFLICT."""
    names = ", ".join(COLUMNS)
    with psycopg.connect(conninfo) as connection:
        connection.execute(
            "create table if not exists bare (incident_id text primary key, message text, status text, "
            "priority text, created_at timestamptz, updated_at timestamptz, impact_end_at timestamptz, "
            "raw jsonb)"
        )
        connection.execute("create temporary table bare_in (like bare) on commit drop")
        with connection.cursor().copy(f"copy bare_in ({names}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)
        connection.execute(
            f"insert into bare ({names}) select {names} from bare_in on conflict (incident_id) do update set "
            + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
        )


def main() -> None:
    base_url, key, conninfo, since, until = sys.argv[1:]
    report(lambda: load(conninfo, read(base_url, key, int(since), int(until))))


if __name__ == "__main__":
    main()
