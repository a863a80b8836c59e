"""What tasks hand on to the end of their run."""

from __future__ import annotations

from typing import Any, TypedDict


class Outcome(TypedDict, total=False):
    """What a task did, for the run's summary; plain JSON.

    :param stored: False: it is known to have changed nothing in the warehouse.
    """

    account: str
    stream: str
    rows_changed: int
    rejected: int
    requests: int
    deleted: int
    deferred: int
    skipped: str
    stored: bool


def fetched(mapped: Any) -> list[Any]:
    """The outputs of a mapped task, those that there are.

    A slice is one request; iterating asks for one more than there is and logs an error about it.
    """
    return [] if mapped is None else list(mapped[:])
