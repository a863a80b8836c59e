"""Reads a paged list as a whole, and says whether it stayed unchanged during the read.

Offsets count from the start of a list: when an item is deleted between two pages, every later item
moves up, and one of them is listed on neither page. A total that does not match reveals it; where the
service gives no total, a second read does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Raw

from opsgenie_provider.api.decoding import decode_into

log = logging.getLogger(__name__)
_MAX_READS = 4


class ListPage(Protocol):
    """A page of either service."""

    @property
    def items(self) -> list[Raw]:
        """The payloads as received."""

    @property
    def total(self) -> int | None:
        """How many items the list has; None where the service does not say."""


class Listing(NamedTuple):
    """A list as the service returned it.

    :param items: the payloads, each object once.
    :param complete: whether this is known to be the whole list; otherwise items may be missing.
    """

    items: list[Raw]
    complete: bool


class _Identified(msgspec.Struct):
    id: str


def identity(item: Raw) -> str | bytes:
    """The item's id, or the payload itself where it cannot be decoded: the row function rejects it."""
    try:
        return decode_into(item, _Identified).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return bytes(item)


def read_whole(pages: Callable[[], Iterable[ListPage]], what: str) -> Listing:
    """Read a list until it stays unchanged during a read, at most four times.

    :param pages: starts a read of the list.
    :param what: the list's name, for the log.
    """
    seen: dict[str | bytes, Raw] = {}
    previous_ids: set[str | bytes] | None = None
    for _ in range(_MAX_READS):
        found: dict[str | bytes, Raw] = {}
        totals: list[int | None] = []
        for page in pages():
            found |= {identity(item): item for item in page.items}
            totals.append(page.total)
        counts = set(totals)
        # A single page cannot change during the read.
        consistent = len(totals) == 1 or found.keys() == previous_ids
        if counts == {len(found)} or (counts == {None} and consistent):
            return Listing(list(found.values()), complete=True)
        previous_ids = set(found)
        seen |= found
    log.warning(
        "The list of %s changed during each of %d reads, or its total never matched: everything listed is "
        "stored, and nothing is marked as deleted.",
        what,
        _MAX_READS,
    )
    return Listing(list(seen.values()), complete=False)
