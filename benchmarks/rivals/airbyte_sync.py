"""Airbyte's CDK running the manifest of the PyPI package `airbyte-source-opsgenie` into Postgres.

The manifest is read from the installed package and changed in memory only, because the local API uses HTTP.
Its incidents stream only supports a full refresh, so the hourly sync is the same as the first. The minimum
of Airbyte's Postgres destination is implemented here: each record becomes a row of the raw table, with an
id, the time and the data as JSON, by one COPY that overwrites. The typed table that a destination derives
from it, and the pipes between Airbyte's containers, are left out in Airbyte's favour.

    python -m benchmarks.rivals.airbyte_sync URL KEY CONNINFO
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg
import yaml
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

from benchmarks.meter import report

STREAM = "incidents"
TABLE = "airbyte_raw_incidents"


def manifest() -> dict[str, Any]:
    """The package's manifest, for an API without TLS. Its code requires an older CDK and is not imported."""
    package = importlib.util.find_spec("source_opsgenie")
    text = Path(str(package and package.origin)).with_name("manifest.yaml").read_text()
    loaded: dict[str, Any] = yaml.safe_load(text.replace("https://{{", "http://{{"))
    return loaded


def records(url: str, key: str) -> Iterator[bytes]:
    """The records that the source emits for the stream, as JSON."""
    config = {"endpoint": url.removeprefix("http://"), "api_token": key, "start_date": "2020-01-01T00:00:00Z"}
    stream = AirbyteStream(name=STREAM, json_schema={}, supported_sync_modes=[SyncMode.full_refresh])
    catalog = ConfiguredAirbyteCatalog(
        streams=[
            ConfiguredAirbyteStream(
                stream=stream,
                sync_mode=SyncMode.full_refresh,
                destination_sync_mode=DestinationSyncMode.overwrite,
            )
        ]
    )
    source = ConcurrentDeclarativeSource(catalog=catalog, config=config, source_config=manifest())
    messages: Iterator[AirbyteMessage] = source.read(logging.getLogger("airbyte"), config, catalog)
    for message in messages:
        if message.type == Type.RECORD and message.record is not None:
            yield orjson.dumps(message.record.data)


def load(conninfo: str, data: Iterator[bytes]) -> str | None:
    """Replace the raw table's rows; returns the error that stopped the source early, if any."""
    problem = None
    with psycopg.connect(conninfo) as connection:
        connection.execute(
            f"create table if not exists {TABLE} (raw_id uuid, extracted_at timestamptz, data jsonb)"
        )
        connection.execute(f"truncate {TABLE}")
        with connection.cursor().copy(f"copy {TABLE} from stdin") as copy:
            try:
                for record in data:
                    copy.write_row((uuid.uuid4(), datetime.now(UTC), record.decode()))
            # A failed sync keeps the records received so far; the missing rows are counted.
            except Exception as error:
                problem = " ".join(str(error).split())[:200]
    return problem


def main() -> None:
    url, key, conninfo = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    report(lambda: load(conninfo, records(url, key)))


if __name__ == "__main__":
    main()
