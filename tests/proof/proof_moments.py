"""The moments of a task at which something may strike: before each statement, COPY and request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import requests

STATEMENT, REQUEST, COPY = "statement", "request", "copy"
Strike = Callable[[], None]


class Moments:
    """Counts statements, COPYs and requests, and strikes before one of them.

    :param kind: before which kind of them.
    :param place: before the how manieth, from 0; None: never.
    """

    def __init__(
        self, kind: str = STATEMENT, place: int | None = None, strike: Strike = lambda: None
    ) -> None:
        self.counts = {STATEMENT: 0, REQUEST: 0, COPY: 0}
        self.struck = False
        self._kind, self._place, self._strike = kind, place, strike
        self._lock = threading.Lock()

    def come(self, kind: str) -> None:
        with self._lock:
            is_due = kind == self._kind and self.counts[kind] == self._place
            self.counts[kind] += 1
        if is_due:
            self.struck = True
            self._strike()

    @contextmanager
    def watched(self) -> Iterator[Moments]:
        """Every statement and request of this process passes here while the block runs."""
        patched = [
            (psycopg.Cursor, "execute", STATEMENT),
            (psycopg.Cursor, "executemany", STATEMENT),
            (psycopg.Cursor, "copy", COPY),
            (requests.Session, "send", REQUEST),
        ]
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in patched]
        for owner, name, kind in patched:
            setattr(owner, name, self._passing(getattr(owner, name), kind))
        try:
            yield self
        finally:
            for owner, name, method in before:
                setattr(owner, name, method)

    def _passing(self, method: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def passing(*arguments: Any, **named: Any) -> Any:
            self.come(kind)
            return method(*arguments, **named)

        return passing
