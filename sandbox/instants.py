"""Instants as whole nanoseconds since the Unix epoch: exact, sortable, and cheap to format.

OpsGenie prints ISO 8601 in UTC with 0 to 9 fraction digits, without trailing zeros (".62Z", ".49Z", "02Z"):
an integer of nanoseconds prints exactly that way, whatever the number of digits.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeAlias

Nanos: TypeAlias = int
When: TypeAlias = Nanos | datetime | str

MS = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)")


def iso(instant: Nanos) -> str:
    """`2024-03-01T12:00:00.62Z`: UTC, as many fraction digits as the instant needs."""
    seconds, rest = divmod(instant, SECOND)
    base = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{base}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


def stamp(instant: Nanos, zone: tzinfo = UTC, digits: int = 0) -> str:
    """`2024-03-01T07:00:00-05:00`, or with a Z in UTC; `digits` fraction digits, truncated."""
    seconds, rest = divmod(instant, SECOND)
    moment = _EPOCH + timedelta(seconds=seconds)
    fraction = f".{rest:09d}"[: digits + 1] if digits else ""
    if zone is UTC:
        return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
    text = moment.astimezone(zone).isoformat()
    return f"{text[:19]}{fraction}{'Z' if text.endswith('+00:00') else text[19:]}"


def to_nanos(when: When) -> Nanos:
    """An instant from nanoseconds, an aware datetime or ISO 8601 text. Raises ValueError otherwise."""
    if isinstance(when, int):
        return when
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return (when - _EPOCH) // timedelta(microseconds=1) * 1000
    match = _ISO.fullmatch(when)
    if match is None:
        raise ValueError(f"not an ISO 8601 instant with a zone: {when!r}")
    base, fraction, zone = match.groups()
    parsed = datetime.fromisoformat(base + ("+00:00" if zone == "Z" else zone))
    return to_nanos(parsed) + int((fraction or "").ljust(9, "0"))


def to_datetime(instant: Nanos) -> datetime:
    """The instant as an aware datetime in UTC, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=instant // 1000)


class Clock:
    """The stand-in's current time: real time plus an offset, or a frozen instant.

    Millisecond resolution, like the service's own timestamps.
    """

    def __init__(self, frozen: When | None = None, source: Callable[[], int] = time.time_ns) -> None:
        self._frozen = None if frozen is None else to_nanos(frozen)
        self._offset = 0
        self._source = source

    def __call__(self) -> Nanos:
        base = self._source() if self._frozen is None else self._frozen
        return (base + self._offset) // MS * MS

    def advance(self, seconds: float) -> None:
        """Move now forward (or back) by `seconds`."""
        self._offset += round(seconds * SECOND)
