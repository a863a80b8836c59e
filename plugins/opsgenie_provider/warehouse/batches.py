"""Batches of what an account's incidents are read from, each merged in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, LiteralString, Protocol, Self

from psycopg import sql

from opsgenie_provider.absence import WHOLE_ACCOUNT
from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.rows.tables import Row, Table
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.staged import SCHEMA, Cursor, Staged

_COPY_ROWS = 1_000


class BatchRows(Protocol):
    """A payload as rows."""

    @property
    def identity(self) -> str:
        """Its id."""

    @property
    def by_table(self) -> Sequence[Sequence[Row]]:
        """Its rows of each table of the batch."""

    @property
    def rejected(self) -> Rejected:
        """The parts that cannot be read, each with the reason."""


class Batch:
    """A batch of objects, each with its rows of several tables; only a few pages are kept in memory.

    Used in a ``with`` block within the transaction: while payloads are converted, a thread sends the rows
    before them. A subclass says how payloads become rows, and how they are merged.

    :param backend: what the objects are read from; those of another one are left alone.
    :param key_reach: what the key can see, as ``Access.reach`` has it.
    :param tables: the first has the objects, by account and id, the others what belongs to them.
    :ivar rejected: payloads that cannot be read, and parts of such that can, each with its reason.
    """

    def __init__(
        self,
        connection: Connection,
        account: str,
        backend: str,
        key_reach: str,
        tables: Sequence[Table],
    ) -> None:
        self._connection = connection
        self._account = account
        self._backend = backend
        self._key_reach = key_reach
        self._staged = [Staged(connection, table) for table in tables]
        self._names = {
            "target": sql.Identifier(SCHEMA, tables[0].name),
            "batch": sql.Identifier(f"staged_{tables[0].name}"),
            "id": sql.Identifier(tables[0].key[1]),
        }
        self._rows: list[BatchRows] = []
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="copy")
        self._sending: Future[None] | None = None
        self.ids: set[str] = set()
        self.rejected: dict[bytes, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # The transaction may use the connection again only once the thread is done with it.
        self._sender.shutdown()

    def to_rows(self, item: Any, *, single: bool) -> BatchRows:
        """An object, as its reader hands it out, as rows.

        :param single: it was read by its id, not from a list.
        """
        raise NotImplementedError

    def merge(self) -> int:
        """Merge the batch; returns how many rows changed, of all its tables."""
        raise NotImplementedError

    def add(self, items: Iterable[Any], *, single: bool = False) -> int:
        """Add objects; returns how many of them were new to this batch.

        One that cannot be read counts, too, because it was listed; its payload goes to ``rejected``.

        :param single: each was read by its id, not from a list.
        """
        new = 0
        for item in items:
            try:
                rows = self.to_rows(item, single=single)
            except UnreadablePayloadError as error:
                new += bytes(item) not in self.rejected
                self.rejected[bytes(item)] = str(error)
                continue
            if rows.identity not in self.ids:
                self.ids.add(rows.identity)
                self._rows.append(rows)
                self.rejected.update(rows.rejected)
                new += 1
        if len(self._rows) >= _COPY_ROWS:
            self._copy()
        return new

    def restart(self) -> None:
        """Discard everything added."""
        self._wait_for_copy()
        self._rows.clear()
        self.ids.clear()
        self.rejected.clear()
        for staged in self._staged:
            staged.clear()

    def missing(self, since: datetime, until: datetime) -> list[str]:
        """Ids of the stored objects created in [since, until) that the batch lacks."""
        self._send_all()
        found = self._execute(
            "select {id} from {target} as stored "
            "where account = %s and backend = %s and created_at >= %s and created_at < %s "
            "and deleted_at is null and not exists "
            "(select from {batch} as staged where staged.{id} = stored.{id})",
            self._account, self._backend, since, until,
        )  # fmt: skip
        return [identity for (identity,) in found]

    def left_status(self, statuses: Iterable[str], *, before: datetime) -> list[str]:
        """Ids of objects stored with one of the statuses that the batch lacks: they may have changed it.

        Only objects that this key has listed before are considered, because it may not see others.

        :param statuses: those of which the batch contains every object.
        :param before: only objects created before this instant.
        """
        self._wait_for_copy()
        reach = self._key_reach
        found = self._execute(
            "select {id} from {target} where account = %s and backend = %s and created_at < %s "
            "and status = any(%s) and deleted_at is null and (%s = %s or key_reach = %s)",
            self._account, self._backend, before, list(statuses), reach, WHOLE_ACCOUNT, reach,
        )  # fmt: skip
        return [identity for (identity,) in found if identity not in self.ids]

    def mark_deleted(self, ids: list[str]) -> int:
        """Mark objects as deleted at the source; returns how many were not marked before."""
        self._wait_for_copy()
        return self._execute(
            "update {target} set deleted_at = now(), synced_at = now() "
            "where account = %s and {id} = any(%s) and deleted_at is null",
            self._account, ids,
        ).rowcount  # fmt: skip

    def _send_all(self) -> None:
        self._copy()
        self._wait_for_copy()

    def _copy(self) -> None:
        """Start to send the rows added so far, once the rows before them are sent."""
        self._wait_for_copy()
        rows, self._rows = self._rows, []
        self._sending = self._sender.submit(self._send, rows)

    def _send(self, batch: list[BatchRows]) -> None:
        for place, staged in enumerate(self._staged):
            staged.copy(row for rows in batch for row in rows.by_table[place])

    def _wait_for_copy(self) -> None:
        """Wait until the thread has sent its rows."""
        if self._sending is not None:
            self._sending.result()
            self._sending = None

    def _execute(self, statement: LiteralString, *params: object) -> Cursor:
        return self._connection.execute(sql.SQL(statement).format(**self._names), params)
