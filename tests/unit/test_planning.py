from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsgenie_provider.planning import (
    CHANGES_OVERLAP,
    CLOCK_MARGIN,
    EPOCH,
    FULL_READ_EVERY,
    TRAILING,
    AccountState,
    Plan,
    parse_instant,
    plan_reads,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
READ = AccountState(watermark=NOW - HOUR, oldest=NOW - 40 * DAY, full_read_at=NOW - HOUR)


def span(plan: Plan) -> tuple[datetime, datetime]:
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan
    return plan.since, plan.until


def test_the_first_run_reads_the_history() -> None:
    plan = plan_reads(AccountState(), now=NOW)
    assert span(plan) == (NOW - 90 * DAY, NOW)
    assert plan.whole_history
    assert plan.changed_since is None
    assert span(plan_reads(AccountState(), now=NOW, history_days=400)) == (NOW - 400 * DAY, NOW)


def test_hourly_runs_read_what_is_new_a_trailing_window_and_what_changed_before() -> None:
    plan = plan_reads(READ, now=NOW)
    last_read = NOW - HOUR
    assert span(plan) == (last_read - TRAILING, NOW)
    assert not plan.whole_history
    assert (plan.changed_from, plan.changed_since) == (NOW - 90 * DAY, last_read - CLOCK_MARGIN)


@pytest.mark.parametrize("sweeps", [True, False])
def test_of_a_service_that_lists_all_changes_nothing_else_is_read(sweeps: bool) -> None:
    known = replace(READ, full_read_at=NOW - DAY) if sweeps else READ
    plan = plan_reads(known, now=NOW, lists_changes=True)
    assert span(plan) == (NOW, NOW)
    assert (plan.changed_from, plan.changed_since) == (NOW - 90 * DAY, NOW - HOUR - CHANGES_OVERLAP)
    # Once a day the ids of all are compared.
    assert plan.whole_history is sweeps
    for read in (AccountState(), READ):
        whole = plan_reads(read, now=NOW, lists_changes=True, full_refresh=True)
        assert (whole.since, whole.whole_history, whole.changed_since) == (NOW - 90 * DAY, True, None)


def test_after_an_outage_nothing_in_between_is_left_out() -> None:
    known = AccountState(watermark=NOW - 20 * DAY, oldest=NOW - 40 * DAY, full_read_at=NOW - HOUR)
    assert span(plan_reads(known, now=NOW)) == (NOW - 20 * DAY - TRAILING, NOW)


@pytest.mark.parametrize(
    ("ago", "whole"), [(FULL_READ_EVERY, True), (FULL_READ_EVERY - timedelta(seconds=1), False)]
)
def test_one_run_a_day_reads_all(ago: timedelta, whole: bool) -> None:
    known = AccountState(watermark=NOW - HOUR, oldest=NOW - 40 * DAY, full_read_at=NOW - ago)
    assert plan_reads(known, now=NOW).whole_history is whole


def test_all_means_back_to_the_oldest_incident() -> None:
    known = AccountState(watermark=NOW - HOUR, oldest=NOW - 800 * DAY, full_read_at=NOW - HOUR)
    assert span(plan_reads(known, now=NOW, full_refresh=True)) == (NOW - 800 * DAY, NOW)
    # Also where an hourly run looks for changes.
    assert plan_reads(known, now=NOW).changed_from == NOW - 800 * DAY


def test_a_full_read_without_a_watermark_is_due() -> None:
    assert plan_reads(AccountState(full_read_at=NOW - HOUR), now=NOW).whole_history


def test_a_watermark_ahead_of_our_clock_leaves_no_gap() -> None:
    known = AccountState(watermark=NOW + 5 * HOUR, oldest=NOW - 40 * DAY, full_read_at=NOW - HOUR)
    plan = plan_reads(known, now=NOW)
    assert span(plan) == (NOW - TRAILING, NOW)
    assert plan.changed_since == NOW - CLOCK_MARGIN


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"since": NOW - 3 * DAY}, (NOW - 3 * DAY, NOW)),
        ({"until": NOW - 3 * DAY}, (NOW - 90 * DAY, NOW - 3 * DAY)),
        ({"since": NOW - 3 * DAY, "until": NOW - 2 * DAY}, (NOW - 3 * DAY, NOW - 2 * DAY)),
        ({"since": NOW - 3 * DAY, "until": NOW + 9 * DAY}, (NOW - 3 * DAY, NOW)),
    ],
)
def test_bounds_are_kept_whatever_is_known(bounds: Any, expected: tuple[datetime, datetime]) -> None:
    for known in (AccountState(), READ):
        for full_refresh in (False, True):
            plan = plan_reads(known, now=NOW, full_refresh=full_refresh, **bounds)
            assert span(plan) == expected
            # A part of the history finds that part's deletions only, and moves no watermark over a gap.
            assert not plan.whole_history
            assert plan.changed_since is None


@pytest.mark.parametrize(
    "bounds",
    [
        {"since": NOW - DAY, "until": NOW - 2 * DAY},
        {"since": NOW - DAY, "until": NOW - DAY},
        {"since": NOW + DAY},
        {"since": NOW + DAY, "until": NOW + 2 * DAY},
        {"until": NOW - 100 * DAY},
    ],
)
def test_bounds_the_wrong_way_round_are_said(bounds: Any) -> None:
    with pytest.raises(ValueError, match=r"is not before until .*Swap them or leave one out"):
        plan_reads(AccountState(), now=NOW, **bounds)


@pytest.mark.parametrize(
    "far",
    [
        {"since": datetime(1970, 1, 1, tzinfo=UTC)},
        {"since": datetime(1, 1, 1, tzinfo=UTC)},
        {"history_days": 100_000},
        {"history_days": 20_000, "full_refresh": True},
    ],
)
def test_nothing_is_older_than_the_epoch(far: Any) -> None:
    plan = plan_reads(AccountState(), now=NOW, **far)
    first, last = span(plan)
    days = far.get("history_days", 100_000)
    assert first == (NOW - timedelta(days=days) if days == 20_000 else EPOCH)
    assert last == NOW


@pytest.mark.parametrize("days", [999_999, 10**12])
def test_days_that_no_calendar_has_are_said(days: int) -> None:
    with pytest.raises(ValueError, match=r"^history_days: \d+ days ago .* Use 20605 or less"):
        plan_reads(AccountState(), now=NOW, history_days=days)


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        (None, None),
        ("", None),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("20260131", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.123456789+02:00", datetime(2026, 1, 31, 10, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_params_are_iso_8601_and_utc(value: str | None, instant: datetime | None) -> None:
    found = parse_instant(value, "since")
    assert found == instant
    assert found is None or found.utcoffset() == timedelta()


@pytest.mark.parametrize(
    "value",
    [
        "now",
        "today",
        "yesterday",
        "last week",
        "12:00",
        "P1D",
        "2026-01-01/2026-02-01",
        "2026-02-30",
        "31.01.2026",
        "1767225600",
        "0001-01-01T00:00:00+14:00",
        "{{ ds }}",
        "2026-01-31T25:00:00Z",
    ],
)
def test_other_words_are_refused_with_an_example(value: str) -> None:
    with pytest.raises(
        ValueError, match=r"^since: .* is not an ISO 8601 date or time\. Write it like 2026-01-31"
    ):
        parse_instant(value, "since")


@given(st.text(max_size=30))
def test_any_text_is_an_instant_or_one_clear_error(value: str) -> None:
    reason, found = "until: ", None
    try:
        found = parse_instant(value, "until")
    except ValueError as error:
        reason = str(error)
    assert reason.startswith("until: ")
    assert found is None or found.tzinfo is UTC
