"""How far a long read is, for the log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any, Protocol, TypeVar


class CountedPage(Protocol):
    """A page of any service."""

    @property
    def items(self) -> Sized:
        """What it lists."""


P = TypeVar("P", bound=CountedPage)
T = TypeVar("T")


class Watch(Protocol):
    """Passes pages on and counts them."""

    def __call__(self, pages: Iterable[P], /) -> Iterator[P]: ...


class Progress:
    """Logs every few seconds how far a long read is and how long it will take.

    :param total: how many there are; 0 where that is not known.
    """

    def __init__(self, log: Any, what: str, *, total: int, every: float = 5.0) -> None:
        self._log, self._what, self._total, self._every = log, what, total, every
        self._started = self._said = time.monotonic()
        self._done = 0

    def watch(self, pages: Iterable[P]) -> Iterator[P]:
        """The same pages, counted as they pass."""
        for page in pages:
            yield page
            self.advance(len(page.items))

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The same items, counted as they pass."""
        for item in items:
            yield item
            self.advance(1)

    def advance(self, count: int) -> None:
        """Count what was read."""
        self._done += count
        now = time.monotonic()
        if now - self._said < self._every:
            return
        self._said = now
        # The total may be unknown, and a list may have grown since it was counted.
        if self._done > self._total:
            self._log.info("%d %s so far.", self._done, self._what)
            return
        left = (now - self._started) / max(1, self._done) * (self._total - self._done)
        self._log.info("%d of %d %s, about %.0f s left.", self._done, self._total, self._what, left)
