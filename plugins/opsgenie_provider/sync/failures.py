"""Errors of single objects, which do not keep a sync from reading the others."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

from opsgenie_provider.api.errors import (
    ApiConnectionError,
    ApiError,
    InvalidRequestError,
    InvalidResponseError,
    ServerError,
)

# What may be wrong with a single object, while the service answers for others.
OBJECT_ERRORS = (ApiConnectionError, InvalidRequestError, InvalidResponseError, ServerError)
_MOST_IN_A_ROW = 5

K = TypeVar("K")
V = TypeVar("V")


class Failures:
    """The errors of single objects; several in a row say that the service is down. Thread-safe.

    :ivar first: the first error, to be raised once the others are stored.
    """

    def __init__(self) -> None:
        self.first: ApiError | None = None
        self._in_a_row = 0
        self._lock = threading.Lock()

    def answered(self, results: Iterable[tuple[K, V | ApiError]]) -> Iterator[tuple[K, V]]:
        """The objects that were read; the errors of the others are noted.

        :param results: each object's key, with what was read or with its error.
        :raises ApiError: nothing was read for some time.
        """
        for key, result in results:
            if isinstance(result, ApiError):
                self.add(result)
            else:
                self.note_answer()
                yield key, result

    def add(self, error: ApiError) -> None:
        """Note that an object could not be read.

        :raises ApiError: the error itself, where nothing was read for some time.
        """
        with self._lock:
            self.first = self.first or error
            self._in_a_row += 1
            is_down = self._in_a_row >= _MOST_IN_A_ROW
        if is_down:
            raise error

    def note_answer(self) -> None:
        """Note that an object was read."""
        with self._lock:
            self._in_a_row = 0

    def raise_first(self) -> None:
        """Raise the first error, where there was one."""
        if self.first is not None:
            raise self.first
