"""Reads a paged list as a whole, and says whether it stayed unchanged during the read.

Offsets count from the start of a list: one item that is deleted between two pages moves every later
one up, and one of them is listed on neither page. Pages that overlap by an item show it, or a count that
does not match, or else a second read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

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


class Sink(Protocol):
    """Receives the incidents of a window, page by page."""

    def add(self, items: list[Any]) -> int:
        """Add a page; returns how many of its incidents were not added before, since ``restart``."""

    def restart(self) -> None:
        """Discard what was added: the window is read again from the start."""


class Listing(NamedTuple):
    """A list as the service returned it.

    :param items: the payloads, each object once.
    :param complete: whether this is known to be the whole list; otherwise items may be missing.
    """

    items: list[Raw]
    complete: bool


class Identified(msgspec.Struct):
    """An object of any list, as far as its id."""

    id: str


def identity(item: Raw) -> str | bytes:
    """The item's id, or the payload itself where it cannot be decoded: the row function rejects it."""
    try:
        return decode_into(item, Identified).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return bytes(item)


def read_whole(pages: Callable[[], Iterable[ListPage]], what: str, *, overlapping: bool = False) -> Listing:
    """Read a list until it held still, at most a few times.

    :param pages: starts a read of the list.
    :param what: the list's name, for the log.
    :param overlapping: each page begins with the last item of the page before, unless the list moved.
    """
    seen: dict[str | bytes, Raw] = {}
    previous_ids: set[str | bytes] | None = None
    for _ in range(_MAX_READS):
        found: dict[str | bytes, Raw] = {}
        totals: list[int | None] = []
        linked = overlapping
        last: str | bytes | None = None
        for page in pages():
            ids = [identity(item) for item in page.items]
            linked = linked and (last is None or ids[:1] == [last])
            last = ids[-1] if ids else None
            found |= zip(ids, page.items, strict=True)
            totals.append(page.total)
        counts = set(totals)
        # A single page is one moment of the list.
        held_still = len(totals) == 1 or linked or found.keys() == previous_ids
        counted = counts == {len(found)}
        # One item that came and one that went are not seen in the count.
        if (counted or counts == {None}) and (held_still or (counted and not overlapping)):
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
