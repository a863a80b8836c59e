"""Reads single fields of a payload; a value that is not known is None, never 0 or ''."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

Payload = Mapping[str, Any]
_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
# An index of PostgreSQL holds some 2,700 bytes, and the longest key has three such texts in it.
_LONGEST_KEY = 500
# Finer than PostgreSQL's numeric, and with it jsonb, can be: 16,383 digits after the point.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_LONG = 15_000
# A date, a time of any fineness, and a zone, which may be set off by a blank.
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ]((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?)"
    r"( UTC| ?(?:Z|[+-]\d\d(?::?[0-5]\d)?))?)?",
    re.ASCII,
)
_SMALL, _SMALL_TOO = re.compile(rb"e-\d{4}"), re.compile(rb"E-\d{4}")
# Digits are counted from where they begin only: counted from each, they take the square of their number.
_TOO_FINE = re.compile(rb"[eE]-\d{4}|(?<!\d)\d{%d}" % _LONG)


class UnreadablePayloadError(ValueError):
    """A payload that cannot become a row; it goes to ``rejected_payloads`` with this reason."""


def decode(raw: msgspec.Raw | bytes) -> Payload:
    """The object in a raw payload."""
    try:
        payload = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadablePayloadError(f"not readable as JSON: {error}") from None
    if is_too_fine(bytes(raw)):
        raise UnreadablePayloadError("a number has more digits after the point than PostgreSQL can store")
    if not isinstance(payload, dict):
        raise UnreadablePayloadError(f"expected an object, got {type(payload).__name__}")
    return payload


def is_too_fine(payload: bytes) -> bool:
    """Whether JSON has a number that PostgreSQL's jsonb refuses; what stands in a string is none."""
    # Hardly any payload gets past this. A pattern that begins with a letter is looked for five times as fast.
    if len(payload) <= _LONG and not (_SMALL.search(payload) or _SMALL_TOO.search(payload)):
        return False
    return _TOO_FINE.search(_STRING.sub(b"", payload)) is not None


def text(payload: Payload, name: str) -> str | None:
    """A text; ids that come as numbers are texts too."""
    value = payload.get(name)
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    if isinstance(value, bool | list | dict):
        raise UnreadablePayloadError(f"{name}: expected a text, got {type(value).__name__}")
    return str(value)


def key_text(payload: Payload, name: str) -> str | None:
    """A text that stands in an index, which holds no long ones; those of the services never are."""
    value = text(payload, name)
    if value is not None:
        _check_key(value, name)
    return value


def required_text(payload: Payload, name: str) -> str:
    """A text without which there is no row: ids, most of all, which stand in an index."""
    value = key_text(payload, name)
    if value is None:
        raise UnreadablePayloadError(f"{name}: missing")
    return value


def parsed_instant(value: Any) -> datetime:
    """A date and time as in ISO 8601, also as Ruby writes them: ``2026-04-28 21:50:00 +0200``, ``... UTC``.

    What else ``datetime.fromisoformat`` takes differs from one Python to the next, so it is not asked.

    :raises TypeError: it is no text.
    :raises ValueError: it is written in another way, or there is no such day.
    """
    match = _INSTANT.fullmatch(value)
    if match is None:
        raise ValueError("not an ISO 8601 date and time")
    # ISO 8601 has neither a blank before the zone nor the name UTC.
    plain = f"{match[1]}T{match[2]}{match[3].strip().replace('UTC', 'Z')}" if " " in value[11:] else value
    return datetime.fromisoformat(plain)


def timestamp(payload: Payload, name: str) -> datetime | None:
    """An ISO 8601 instant with 0 to 9 fraction digits (cut to microseconds), in UTC, as where none is named.

    One that its offset carries out of the years 1 to 9999 cannot be read back from PostgreSQL.
    """
    value = payload.get(name)
    if value is None or value == "":
        return None
    try:
        instant = parsed_instant(value)
        if instant.tzinfo is UTC:
            return instant
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise UnreadablePayloadError(f"{name}: {value!r:.60} is not an ISO 8601 timestamp") from None


def known_instant(value: str | None) -> datetime | None:
    """The instant in a stored payload; None where somebody else wrote it and means something else."""
    try:
        return timestamp({"at": value}, "at")
    except UnreadablePayloadError:
        return None


def required_timestamp(payload: Payload, name: str) -> datetime:
    """An instant without which there is no row."""
    value = timestamp(payload, name)
    if value is None:
        raise UnreadablePayloadError(f"{name}: missing")
    return value


def integer(payload: Payload, name: str, *, bits: int = 32) -> int | None:
    """A whole number that fits PostgreSQL's integer (or bigint)."""
    value = payload.get(name)
    if value is None or value == "":
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise UnreadablePayloadError(f"{name}: {value!r:.60} is not a number") from None
    if isinstance(value, bool) or (isinstance(value, float) and value != number):
        raise UnreadablePayloadError(f"{name}: {value!r:.60} is not a whole number")
    return fitting(number, name, bits=bits)


def fitting(number: int, name: str, *, bits: int) -> int:
    """The number, if PostgreSQL's integer (or bigint) can hold it."""
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise UnreadablePayloadError(f"{name}: {number!r:.60} is out of range")
    return number


def boolean(payload: Payload, name: str) -> bool | None:
    """True, false or not known."""
    value = payload.get(name)
    if value is not None and not isinstance(value, bool):
        raise UnreadablePayloadError(f"{name}: {value!r:.60} is neither true nor false")
    return value


def nested(payload: Payload, name: str) -> Payload:
    """An object within; empty where it is absent."""
    value = payload.get(name)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise UnreadablePayloadError(f"{name}: expected an object, got {type(value).__name__}")
    return value


def items(payload: Payload, name: str) -> Sequence[Any]:
    """A list within; empty where it is absent."""
    value = payload.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise UnreadablePayloadError(f"{name}: expected a list, got {type(value).__name__}")
    return value


def objects(payload: Payload, name: str) -> Sequence[Payload]:
    """A list of objects within; empty where it is absent."""
    values = items(payload, name)
    if not all(isinstance(value, dict) for value in values):
        raise UnreadablePayloadError(f"{name}: expected objects")
    return values


def texts(payload: Payload, name: str) -> list[str]:
    """A list of texts within, without empty ones; empty where it is absent."""
    values = items(payload, name)
    if all(isinstance(value, str) for value in values):
        return [value for value in values if value]
    found = [text({name: value}, name) for value in values]
    return [value for value in found if value is not None]


def key_texts(payload: Payload, name: str) -> list[str]:
    """A list of texts, each of which stands in an index."""
    values = texts(payload, name)
    for value in values:
        _check_key(value, name)
    return values


def json_text(value: Any) -> str | None:
    """JSON as COPY takes it for a jsonb column."""
    return None if value is None else _encoder.encode(value).decode()


def _check_key(value: str, name: str) -> None:
    # A character has four bytes at most.
    if len(value) * 4 > _LONGEST_KEY and len(value.encode()) > _LONGEST_KEY:
        raise UnreadablePayloadError(f"{name}: longer than {_LONGEST_KEY} bytes")
