"""The sync state: watermarks per account and stream, and rejected payloads."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import msgspec
from psycopg import sql
from psycopg.types.range import Range

from opsgenie_provider.rows.fields import exceeds_numeric_scale
from opsgenie_provider.rows.parts import RejectedPayload
from opsgenie_provider.warehouse.connection import Connection

_MOVE_WATERMARK = """
with known as (
    select account, stream, watermark_at, read_ahead + tstzmultirange(%(read)s::tstzrange) as ranges
    from staging.sync_state
    where account = %(account)s and stream = %(stream)s and watermark_at is not null
    for update
),
moved as (
    select
        account,
        stream,
        ranges,
        greatest(watermark_at, (
            select max(upper(piece)) from unnest(ranges) as piece where lower(piece) <= watermark_at
        )) as watermark_at
    from known
)
update staging.sync_state as state
set watermark_at = moved.watermark_at,
    read_ahead = moved.ranges * tstzmultirange(tstzrange(moved.watermark_at, null))
from moved
where (state.account, state.stream) = (moved.account, moved.stream)
"""


class StreamState(NamedTuple):
    """The state of a stream of an account.

    :param watermark_at: it was read up to here without a gap; None before its first run.
    :param last_success_at: when a run last succeeded.
    """

    watermark_at: datetime | None = None
    last_success_at: datetime | None = None


def stream_state(connection: Connection, account: str, stream: str) -> StreamState:
    """The stored state of a stream; empty before its first run."""
    row = connection.execute(
        "select watermark_at, last_success_at from staging.sync_state where account = %s and stream = %s",
        (account, stream),
    ).fetchone()
    return StreamState(*row) if row else StreamState()


def oldest_created(connection: Connection, account: str, table: str, backend: str) -> datetime | None:
    """When the oldest row that a staging table has of an account from a backend was created there."""
    query = sql.SQL("select min(created_at) from {} where account = %s and backend = %s")
    row = connection.execute(query.format(sql.Identifier("staging", table)), (account, backend)).fetchone()
    return row[0] if row else None


def begin_stream(connection: Connection, account: str, stream: str, watermark_at: datetime) -> None:
    """Set the initial watermark of a stream that was never read."""
    connection.execute(
        "insert into staging.sync_state (account, stream, watermark_at) values (%s, %s, %s) "
        "on conflict (account, stream) do update set watermark_at = excluded.watermark_at "
        "where sync_state.watermark_at is null",
        (account, stream, watermark_at),
    )


def record_success(
    connection: Connection,
    account: str,
    stream: str,
    *,
    rows_changed: int,
    read: tuple[datetime, datetime] | None = None,
) -> None:
    """Record a successful read; the watermark advances to the end of ``read``, never across a gap or back.

    The windows of a run end in any order, so a range beyond a gap is kept in ``read_ahead`` until the gap
    is closed.

    :param read: the range that was read, [since, until).
    """
    connection.execute(
        """
        insert into staging.sync_state as state (account, stream, last_success_at, rows_changed)
        values (%(account)s, %(stream)s, now(), %(rows_changed)s)
        on conflict (account, stream) do update set
            last_success_at = now(), rows_changed = excluded.rows_changed
        """,
        {"account": account, "stream": stream, "rows_changed": rows_changed},
    )
    if read is not None:
        connection.execute(_MOVE_WATERMARK, {"account": account, "stream": stream, "read": _range(read)})


def _range(read: tuple[datetime, datetime]) -> Range[datetime]:
    return Range(*read, bounds="[)")


def keep_rejected(
    connection: Connection, account: str, stream: str, rejected: Iterable[RejectedPayload]
) -> None:
    """Store payloads that could not be read, each with its reason; once, however often it is seen."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into staging.rejected_payloads (account, stream, payload, reason, seen_at)
            values (%s, %s, %s, %s, now()) on conflict do nothing
            """,
            [(account, stream, _as_json(payload), reason) for payload, reason in rejected],
        )


def _as_json(payload: bytes) -> str:
    """The payload itself where PostgreSQL can store it as jsonb, else its text as a JSON string."""
    try:
        msgspec.json.decode(payload)
        if not exceeds_numeric_scale(payload):
            return payload.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return msgspec.json.encode(payload.decode(errors="replace")).decode()
