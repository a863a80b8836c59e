from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsgenie_provider.rows.fields import (
    UnreadablePayloadError,
    boolean,
    decode,
    integer,
    items,
    json_text,
    nested,
    objects,
    required_text,
    required_timestamp,
    text,
    timestamp,
)


def test_many_long_numbers_take_linear_time() -> None:
    """A megabyte of numbers that are just short enough held the interpreter for 23 seconds."""
    payload = b'{"n": [' + b",".join([b"0." + b"1" * 14_990] * 66) + b"]}"
    began = time.process_time()
    decode(payload)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("digits", range(10))
def test_instants_may_have_up_to_nine_fraction_digits(digits: int) -> None:
    fraction = "123456789"[:digits]
    value = "2026-03-02T15:37:31" + (f".{fraction}" if fraction else "") + "Z"
    microsecond = int(fraction[:6].ljust(6, "0"))
    assert timestamp({"at": value}, "at") == datetime(2026, 3, 2, 15, 37, 31, microsecond, UTC)


@pytest.mark.parametrize(
    ("value", "is_read"),
    [
        ("2026-04-28 21:50:00 +0200", True),
        ("2026-04-28 19:50:00 UTC", True),
        ("2026-04-28T19:50:00Z", True),
        ("2026-04-28T21:50:00.000+0200", True),
        ("2026-04-28T21:50+02", True),
        # Some Pythons take these, others do not.
        ("2026-W18-2T19:50:00Z", False),
        ("20260428T195000Z", False),
        ("2026-04-28T24:00:00Z", False),
        ("2026-04-28T21:50:00 +02:00:00", False),
        ("2026-04-28x19:50:00Z", False),
        ("2026-04-28 19:50:00 CEST", False),
        (" 2026-04-28T19:50:00Z", False),
        ("\u0662026-04-28T19:50:00Z", False),
    ],
)
def test_instants_are_read_by_one_rule_on_every_python(value: str, is_read: bool) -> None:
    if is_read:
        assert timestamp({"at": value}, "at") == datetime(2026, 4, 28, 19, 50, tzinfo=UTC)
    else:
        with pytest.raises(UnreadablePayloadError):
            timestamp({"at": value}, "at")


@given(st.datetimes(timezones=st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))))
def test_instants_of_any_zone_are_the_same_instant(instant: datetime) -> None:
    assert timestamp({"at": instant.isoformat()}, "at") == instant


def test_an_instant_without_a_zone_is_utc() -> None:
    assert timestamp({"at": "2026-03-02T15:37:31"}, "at") == datetime(2026, 3, 2, 15, 37, 31, tzinfo=UTC)


@pytest.mark.parametrize("value", ["yesterday", "2026-02-30T00:00:00Z", 1772465851, True, [], "15:37"])
def test_what_is_no_instant_is_said(value: Any) -> None:
    with pytest.raises(UnreadablePayloadError, match=r"^at: .* is not an ISO 8601 timestamp$"):
        timestamp({"at": value}, "at")


@pytest.mark.parametrize("read", [text, timestamp, integer])
@pytest.mark.parametrize("payload", [{}, {"f": None}, {"f": ""}])
def test_what_is_not_known_is_none(read: Any, payload: Any) -> None:
    assert read(payload, "f") is None


@pytest.mark.parametrize(("read", "value"), [(integer, 0), (boolean, False), (text, "0"), (text, " ")])
def test_what_is_known_is_not_none(read: Any, value: Any) -> None:
    assert read({"f": value}, "f") == value


@pytest.mark.parametrize("required", [required_text, required_timestamp])
@pytest.mark.parametrize("payload", [{}, {"f": None}, {"f": ""}])
def test_what_is_required_is_missed(required: Any, payload: Any) -> None:
    with pytest.raises(UnreadablePayloadError, match=r"^f: missing$"):
        required(payload, "f")


def test_numbers_are_texts_where_texts_are_expected() -> None:
    assert text({"id": 17}, "id") == "17"


@pytest.mark.parametrize(
    ("value", "bits", "number"),
    [(5, 32, 5), ("5", 32, 5), (5.0, 32, 5), (-(2**31), 32, -(2**31)), (2**31, 64, 2**31), (0, 32, 0)],
)
def test_whole_numbers(value: Any, bits: int, number: int) -> None:
    assert integer({"n": value}, "n", bits=bits) == number


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 1.5, "1.5", "five", True, [], {}, 1e300, "9" * 5000])
def test_other_numbers_are_refused_not_bent(value: Any) -> None:
    with pytest.raises(UnreadablePayloadError, match=r"^n: "):
        integer({"n": value}, "n")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (text, []),
        (text, {}),
        (text, True),
        (boolean, "true"),
        (boolean, 1),
        (nested, []),
        (nested, "x"),
        (items, {}),
        (items, "x"),
        (objects, [1]),
        (objects, [{}, None]),
    ],
)
def test_another_type_is_refused_by_name(read: Any, value: Any) -> None:
    with pytest.raises(UnreadablePayloadError, match=r"^f: "):
        read({"f": value}, "f")


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[1]", b"null", b'"a"', b'{"a": "\xff"}', b'{"a": 1e999}', b'{"a":' * 5000, b'{"a": NaN}'],
)
def test_what_is_no_object_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadablePayloadError, match=r"."):
        decode(msgspec.Raw(payload))


def test_null_is_null_not_json() -> None:
    assert json_text(None) is None
    assert json_text({"a": [1, "é"]}) == '{"a":[1,"é"]}'
