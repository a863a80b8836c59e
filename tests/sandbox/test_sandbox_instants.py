"""Timestamps: ISO 8601 in UTC with 0 to 9 fraction digits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.instants import Clock, iso, to_datetime, to_nanos


@pytest.mark.parametrize(
    "text",
    [
        "2019-01-02T17:46:02Z",
        "2023-03-24T15:37:31.62Z",
        "2023-03-24T15:37:31.659Z",
        "2023-03-24T15:37:31.123456789Z",
    ],
)
def test_an_instant_prints_as_many_digits_as_it_needs(text: str) -> None:
    assert iso(to_nanos(text)) == text


@given(st.integers(min_value=0, max_value=4 * 10**18))
def test_printing_and_reading_an_instant_are_inverse(instant: int) -> None:
    assert to_nanos(iso(instant)) == instant


def test_offsets_and_datetimes_mean_the_same_instant() -> None:
    assert to_nanos("2024-06-12T14:00:00+02:00") == to_nanos("2024-06-12T12:00:00Z")
    assert to_nanos(to_datetime(to_nanos("2024-06-12T12:00:00.5Z"))) == to_nanos("2024-06-12T12:00:00.5Z")


def test_a_text_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        to_nanos("2024-06-12T12:00:00")


def test_a_frozen_clock_moves_only_when_advanced() -> None:
    clock = Clock("2024-06-12T12:00:00Z")
    clock.advance(90.5)
    assert iso(clock()) == "2024-06-12T12:01:30.5Z"
