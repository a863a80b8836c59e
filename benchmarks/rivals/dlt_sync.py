"""dlt's rest_api source into Postgres, tuned for this API as its documentation recommends.

First sync: a backfill in eight `createdAt` ranges, each with `end_value`, as resources that are
`parallelized` (docs: sql_database/advanced, "Split or partition long incremental loads"). Without ranges,
it would read a page at a time, and only up to offset + limit 20,000.
Hourly: a resource with a cursor on `updatedAt` that starts where the backfill started, and `row_order`
"desc", which stops at the first page that is older (docs: incremental/cursor, "Declare row order").

Merge with a primary key; CSV files, which dlt loads by COPY; lists stay JSON columns (`max_table_nesting`
0), which saves three child tables. Run in dlt's own environment:

    python -m benchmarks.rivals.dlt_sync URL KEY CONNINFO DIRECTORY first|hourly SINCE UNTIL
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

# Set before dlt is imported: no telemetry, enough attempts for a rate limit, and no question to Airflow for
# every setting of its own.
os.environ |= {
    "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "RUNTIME__REQUEST_MAX_ATTEMPTS": "20",
    "RUNTIME__REQUEST_MAX_RETRY_DELAY": "10",
    "EXTRACT__WORKERS": "8",
}

import dlt
from dlt.sources.rest_api import rest_api_source
from psycopg2.extensions import parse_dsn

from benchmarks.meter import report

RANGES = 8


def milliseconds(instant: str) -> int:
    """Unix milliseconds, as the API's query language expects for `createdAt`."""
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


def iso(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat()


def resource(name: str, params: dict[str, Any], incremental: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "table_name": "incidents",
        "primary_key": "id",
        "write_disposition": "merge",
        "max_table_nesting": 0,
        "endpoint": {
            "path": "v1/incidents",
            "params": params,
            "data_selector": "data",
            "paginator": {"type": "offset", "limit": 100, "total_path": "totalCount"},
            "incremental": incremental,
        },
    }


def backfill(since: float, until: float) -> list[dict[str, Any]]:
    edges = [since + (until - since) * part / RANGES for part in range(RANGES + 1)]
    query = "createdAt >= {incremental.start_value} AND createdAt < {incremental.end_value}"
    return [
        resource(
            f"incidents_{number}",
            {"query": query, "sort": "createdAt", "order": "asc"},
            {
                "cursor_path": "createdAt",
                "initial_value": iso(first),
                "end_value": iso(last),
                "convert": milliseconds,
            },
        )
        for number, (first, last) in enumerate(pairwise(edges))
    ]


def changes(since: float) -> list[dict[str, Any]]:
    params = {"sort": "updatedAt", "order": "desc"}
    return [
        resource(
            "incidents",
            params,
            {"cursor_path": "updatedAt", "initial_value": iso(since), "row_order": "desc"},
        )
    ]


def credentials(conninfo: str) -> str:
    """The server's socket as a URL for dlt, with a password and a host that the query overrides."""
    fields = parse_dsn(conninfo)
    return f"postgresql://{fields['user']}:none@localhost/{fields['dbname']}?host={fields['host']}"


def run(
    url: str, key: str, conninfo: str, directory: str, *, is_first: bool, since: float, until: float
) -> None:
    """One sync.

    :param directory: where dlt keeps its state.
    :param since: Unix time: from here on, of createdAt in the first sync, else of updatedAt.
    """
    source = rest_api_source(
        {
            "client": {
                "base_url": url,
                "auth": {
                    "type": "api_key",
                    "name": "Authorization",
                    "api_key": f"GenieKey {key}",
                    "location": "header",
                },
            },
            "resources": backfill(since, until) if is_first else changes(since),
        },
        name="opsgenie",
        parallelized=True,
    )
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=directory,
        destination=dlt.destinations.postgres(credentials(conninfo)),
        dataset_name="dlt_bench",
    )
    pipeline.run(source, loader_file_format="csv").raise_on_failed_jobs()


def main() -> None:
    *arguments, mode, since, until = sys.argv[1:]
    report(lambda: run(*arguments, is_first=mode == "first", since=float(since), until=float(until)))


if __name__ == "__main__":
    main()
