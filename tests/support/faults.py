"""Faults of this process: something that strikes before a statement or request, and short patience."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import requests

from sandbox.gateway import Gateway

STATEMENT, REQUEST, COPY = "statement", "request", "copy"


class FaultInjector:
    """Counts statements, COPYs and requests, and strikes before one of them.

    :param kind: the kind of operation to strike before.
    :param index: zero-based index of the operation to strike before; None: never.
    """

    def __init__(
        self, kind: str = STATEMENT, index: int | None = None, strike: Callable[[], None] = lambda: None
    ) -> None:
        self.counts = {STATEMENT: 0, REQUEST: 0, COPY: 0}
        self.struck = False
        self._kind, self._index, self._strike = kind, index, strike
        self._lock = threading.Lock()

    @contextmanager
    def active(self) -> Iterator[FaultInjector]:
        """Every statement and request of this process passes here while the block runs."""
        operations = (
            (psycopg.Cursor, "execute", STATEMENT),
            (psycopg.Cursor, "executemany", STATEMENT),
            (psycopg.Cursor, "copy", COPY),
            (requests.Session, "send", REQUEST),
        )
        with pytest.MonkeyPatch.context() as patch:
            for owner, name, kind in operations:
                patch.setattr(owner, name, self._counting(getattr(owner, name), kind))
            yield self

    def _counting(self, method: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            self._count(kind)
            return method(*arguments, **named)

        return counting

    def _count(self, kind: str) -> None:
        with self._lock:
            is_due = kind == self._kind and self.counts[kind] == self._index
            self.counts[kind] += 1
        if is_due:
            self.struck = True
            self._strike()


def next_hangs(app: Gateway, base: str) -> Callable[[str], bool]:
    """Whether a request to ``base`` would meet the hang that is next in the stand-in's script."""

    def hangs(url: str) -> bool:
        script = app.faults.script
        return url.startswith(base) and bool(script) and script[0] == "hang"

    return hangs


def shorten_timeouts(patch: pytest.MonkeyPatch, hangs: Callable[[str], bool], seconds: float = 0.25) -> None:
    """Give up after ``seconds`` without an answer, but only on requests whose URL ``hangs``.

    On a busy machine any stand-in is slow: a client without patience for all would fail without a fault.
    """
    send = requests.Session.send

    def sending(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        if hangs(request.url or ""):
            options["timeout"] = (options["timeout"][0], seconds)
        return send(session, request, **options)

    patch.setattr(requests.Session, "send", sending)


def shorten_waits(patch: Callable[[Any, str, Any], None], **fields: Any) -> None:
    """The same retries, with waits that a test can afford.

    :param patch: sets an attribute; ``setattr`` in a process that ends with its task.
    :param fields: other fields of the services' dialects.
    """
    from opsgenie_provider.api import github, opsgenie, pagerduty, transport
    from opsgenie_provider.api.dialect import Throttle

    patch(transport, "_backoff", lambda state: 0.01)
    for module in (opsgenie, pagerduty, github):
        quick = {"throttle": lambda response: Throttle(wait=0.01), **fields}
        patch(module, "DIALECT", dataclasses.replace(module.DIALECT, **quick))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same retries, with waits that a test can afford."""
    shorten_waits(monkeypatch.setattr)
