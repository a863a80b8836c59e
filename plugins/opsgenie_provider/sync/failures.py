"""Errors of single objects, which do not keep a sync from reading the others."""

from __future__ import annotations

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


class Failures:
    """The errors of single objects; several in a row say that the service is down.

    :ivar first: the first error, to be raised once the others are stored.
    """

    def __init__(self) -> None:
        self.first: ApiError | None = None
        self._in_a_row = 0

    def add(self, error: ApiError) -> None:
        """Note that an object could not be read.

        :raises ApiError: the error itself, where nothing was read for some time.
        """
        self.first = self.first or error
        self._in_a_row += 1
        if self._in_a_row >= _MOST_IN_A_ROW:
            raise error

    def note_answer(self) -> None:
        """Note that an object was read."""
        self._in_a_row = 0

    def raise_first(self) -> None:
        """Raise the first error, where there was one."""
        if self.first is not None:
            raise self.first
