"""Instants as the services write them: ISO 8601, read in one way on every Python version."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

# A date, a time with any number of fraction digits, and a zone, which a blank may precede.
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ]((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?)"
    r"( UTC| ?(?:Z|[+-]\d\d(?::?[0-5]\d)?))?)?",
    re.ASCII,
)


def parsed_instant(value: Any) -> datetime:
    """An ISO 8601 date and time, also in Ruby's format: ``2026-04-28 21:50:00 +0200``, ``... UTC``.

    Other formats are rejected, because which ones ``datetime.fromisoformat`` accepts depends on the
    Python version.

    :raises TypeError: it is not a text.
    :raises ValueError: it has another format, or the date does not exist.
    """
    match = _INSTANT.fullmatch(value)
    if match is None:
        raise ValueError("not an ISO 8601 date and time")
    # ISO 8601 allows neither a blank before the zone nor the name UTC.
    plain = f"{match[1]}T{match[2]}{match[3].strip().replace('UTC', 'Z')}" if " " in value[11:] else value
    return datetime.fromisoformat(plain)


def utc_instant(value: Any) -> datetime:
    """The same in UTC; without a time zone it is taken as UTC.

    :raises TypeError: it is not a text.
    :raises ValueError: it has another format, or the date does not exist.
    :raises OverflowError: in UTC it is outside of the years 1 to 9999.
    """
    instant = parsed_instant(value)
    if instant.tzinfo is UTC:
        return instant
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def whole_seconds(instant: datetime) -> str:
    """An instant for a request: in UTC, to the second, with Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
