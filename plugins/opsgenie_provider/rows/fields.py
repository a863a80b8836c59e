"""Reads single fields of a payload; an unknown value is None, never 0 or ''."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from opsgenie_provider.instants import utc_instant

Payload = Mapping[str, Any]
_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
# Bytes of a text in an index: PostgreSQL allows some 2,700 per entry, and the longest key has three texts.
MAX_KEY_BYTES = 500
# PostgreSQL's numeric, and so its jsonb, allows 16,383 digits after the decimal point.
_MAX_DIGITS = 15_000
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_EXPONENT_LOWER, _EXPONENT_UPPER = re.compile(rb"e-\d{4}"), re.compile(rb"E-\d{4}")
# A number begins the payload or follows one of these; the hexadecimal digits of an id do not.
_EXPONENT_OF_NUMBER = re.compile(rb"(?:\A|[\s:,\[])-?\d+(?:\.\d+)?[eE]-\d{4}")
# The lookbehind starts a match only at a number's first digit; without it, the time would be quadratic.
_EXCESSIVE_SCALE = re.compile(rb"[eE]-\d{4}|(?<!\d)\d{%d}" % _MAX_DIGITS)


class UnreadablePayloadError(ValueError):
    """A payload that cannot be converted to a row; it is stored in ``rejected_payloads`` with this reason."""


def decode(raw: msgspec.Raw | bytes) -> Payload:
    """The JSON object in a raw payload.

    :raises UnreadablePayloadError: it is not a JSON object, or has a number that PostgreSQL cannot store.
    """
    try:
        payload = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadablePayloadError(f"not readable as JSON: {error}") from None
    if exceeds_numeric_scale(bytes(raw)):
        raise UnreadablePayloadError("a number has more digits after the point than PostgreSQL can store")
    if not isinstance(payload, dict):
        raise UnreadablePayloadError(f"expected an object, got {type(payload).__name__}")
    return payload


def exceeds_numeric_scale(payload: bytes) -> bool:
    """Whether JSON has a number, outside of strings, with more decimals than PostgreSQL's jsonb accepts."""
    # Returns here for nearly every payload. Two patterns that begin with a letter search five times as fast
    # as one that begins with a character class.
    exponent = _EXPONENT_LOWER.search(payload) or _EXPONENT_UPPER.search(payload)
    # Many an id has "e-4242" within it.
    if len(payload) <= _MAX_DIGITS and not (exponent and _EXPONENT_OF_NUMBER.search(payload)):
        return False
    return _EXCESSIVE_SCALE.search(_STRING.sub(b"", payload)) is not None


def raw_text(raw: msgspec.Raw) -> str:
    """A payload as received, for the column ``raw``."""
    return bytes(raw).decode()


def text(payload: Payload, name: str) -> str | None:
    """A text, or a number as text (some ids are numbers)."""
    return as_text(payload.get(name), name)


def as_text(value: Any, name: str) -> str | None:
    """The same of a value that is read already."""
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    if isinstance(value, bool | list | dict):
        raise UnreadablePayloadError(f"{name}: expected a text, got {type(value).__name__}")
    return str(value)


def key_text(payload: Payload, name: str) -> str | None:
    """A text for an indexed column; rejected if it is longer than an index allows."""
    return as_key_text(payload.get(name), name)


def as_key_text(value: Any, name: str) -> str | None:
    """The same of a value that is read already."""
    found = as_text(value, name)
    if found is not None:
        check_key(found, name)
    return found


def required_text(payload: Payload, name: str) -> str:
    """A text that a row cannot do without, mostly an id, for an indexed column."""
    value = key_text(payload, name)
    if value is None:
        raise UnreadablePayloadError(f"{name}: missing")
    return value


def timestamp(payload: Payload, name: str) -> datetime | None:
    """An ISO 8601 instant in UTC, truncated to microseconds; without a time zone it is taken as UTC.

    An instant outside of the years 1 to 9999 (in UTC) is rejected: psycopg cannot read it back.
    """
    return as_timestamp(payload.get(name), name)


def as_timestamp(value: Any, name: str) -> datetime | None:
    """The same of a value that is read already."""
    if value is None or value == "":
        return None
    try:
        return utc_instant(value)
    except (TypeError, ValueError, OverflowError):
        raise UnreadablePayloadError(f"{name}: {value!r:.60} is not an ISO 8601 timestamp") from None


def known_instant(value: str | None) -> datetime | None:
    """The instant in a stored payload; None where it is not one (users may write rows themselves)."""
    try:
        return as_timestamp(value, "at")
    except UnreadablePayloadError:
        return None


def required_timestamp(payload: Payload, name: str) -> datetime:
    """An instant that a row cannot do without."""
    value = timestamp(payload, name)
    if value is None:
        raise UnreadablePayloadError(f"{name}: missing")
    return value


def integer(payload: Payload, name: str, *, bits: int = 32) -> int | None:
    """A whole number within PostgreSQL's integer (32 bits) or bigint (64 bits)."""
    value = payload.get(name)
    if value is None or value == "":
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise UnreadablePayloadError(f"{name}: {value!r:.60} is not a number") from None
    if isinstance(value, bool) or (isinstance(value, float) and value != number):
        raise UnreadablePayloadError(f"{name}: {value!r:.60} is not a whole number")
    return check_range(number, name, bits=bits)


def check_range(number: int, name: str, *, bits: int) -> int:
    """The number, if it is within PostgreSQL's integer (32 bits) or bigint (64 bits)."""
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise UnreadablePayloadError(f"{name}: {number!r:.60} is out of range")
    return number


def boolean(payload: Payload, name: str) -> bool | None:
    """True, false, or None where it is unknown."""
    value = payload.get(name)
    if value is not None and not isinstance(value, bool):
        raise UnreadablePayloadError(f"{name}: {value!r:.60} is neither true nor false")
    return value


def nested(payload: Payload, name: str) -> Payload:
    """A nested object; empty where it is absent."""
    value = payload.get(name)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise UnreadablePayloadError(f"{name}: expected an object, got {type(value).__name__}")
    return value


def items(payload: Payload, name: str) -> Sequence[Any]:
    """A nested list; empty where it is absent."""
    value = payload.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise UnreadablePayloadError(f"{name}: expected a list, got {type(value).__name__}")
    return value


def objects(payload: Payload, name: str) -> Sequence[Payload]:
    """A nested list of objects; empty where it is absent."""
    values = items(payload, name)
    if not all(isinstance(value, dict) for value in values):
        raise UnreadablePayloadError(f"{name}: expected objects")
    return values


def json_text(value: Any) -> str | None:
    """A value as JSON text, as COPY expects it for a jsonb column."""
    return None if value is None else _encoder.encode(value).decode()


def check_key(value: str, name: str) -> None:
    """Check the length of a text for an indexed column.

    :raises UnreadablePayloadError: it is longer than an index allows.
    """
    # A character has at most four bytes in UTF-8.
    if len(value) * 4 > MAX_KEY_BYTES and len(value.encode()) > MAX_KEY_BYTES:
        raise UnreadablePayloadError(f"{name}: longer than {MAX_KEY_BYTES} bytes")
