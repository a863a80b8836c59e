"""How what is read of schedule timelines becomes one history of who was on call."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsgenie_provider.rows.fields import UnreadablePayloadError
from opsgenie_provider.rows.on_call import (
    Coverage,
    Period,
    clip,
    join_touching,
    merge_history,
    timeline_periods,
)
from opsgenie_provider.rows.tables import ON_CALL_PERIODS
from tests.unit.rows.payloads import ON_CALL, raw

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = 60


def at(hour: float) -> datetime:
    return EPOCH + timedelta(hours=hour)


def period(start: float, end: float, who: str = "ann", rotation: str = "r", **fields: Any) -> Period:
    known = {"recipient_type": "user", "recipient_name": who, "period_type": "default", "backend": "opsgenie"}
    return Period(rotation, at(start), who, end_at=at(end), raw=fields.pop("raw", "{}"), **(known | fields))


def essence(periods: Iterable[Period]) -> list[Period]:
    """Without the payload, which shows how a read was cut."""
    return sorted(each._replace(raw=None) for each in periods)


def hours(periods: Iterable[Period]) -> set[tuple[str, str, datetime]]:
    """Who is on call when, hour by hour."""
    return {
        (each.rotation_id, each.recipient_id, at(hour))
        for each in periods
        for hour in range(-SPAN, 3 * SPAN)
        if each.start_at <= at(hour) < each.end_at
    }


PERIODS = st.builds(
    lambda start, length, who, rotation: period(start, start + length, who, rotation),
    st.integers(0, SPAN),
    st.integers(1, 20),
    st.sampled_from(["ann", "bob"]),
    st.sampled_from(["r", "s"]),
)
WORLDS = st.lists(PERIODS, max_size=8)


def cut_up(periods: Iterable[Period], chance: random.Random) -> list[Period]:
    """The same periods, in pieces and in any order."""
    pieces = []
    for each in periods:
        length = round((each.end_at - each.start_at) / timedelta(hours=1))
        edges = sorted({0, length, *(chance.randint(0, length) for _ in range(chance.randint(0, 2)))})
        pieces += [
            each._replace(
                start_at=each.start_at + timedelta(hours=a), end_at=each.start_at + timedelta(hours=b)
            )
            for a, b in pairwise(edges)
        ]
    chance.shuffle(pieces)
    return pieces


@given(WORLDS, st.randoms(use_true_random=False))
def test_joined_periods_say_the_same_in_the_fewest_rows(world: list[Period], chance: random.Random) -> None:
    result = join_touching(cut_up(world, chance))
    assert hours(result) == hours(world)
    assert essence(result) == essence(join_touching(world)) == essence(join_touching(result))
    for a, b in pairwise(result):
        if (a.rotation_id, a.recipient_id) == (b.rotation_id, b.recipient_id):
            assert a.end_at < b.start_at


@given(WORLDS, st.integers(-5, SPAN), st.integers(-5, 2 * SPAN))
def test_clipping_keeps_what_lies_within(world: list[Period], since: int, until: int) -> None:
    result = list(clip(world, since=at(since), until=at(until)))
    assert all(at(since) <= each.start_at < each.end_at <= at(until) for each in result)
    assert hours(result) == {each for each in hours(world) if at(since) <= each[2] < at(until)}


@st.composite
def reads(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Reads at ascending times: (from, to, when). Each begins before what is stored ends."""
    result: list[tuple[int, int, int]] = []
    for when in sorted(draw(st.lists(st.integers(0, SPAN), min_size=1, max_size=5, unique=True))):
        last = result[-1][2] if result else when
        result.append((draw(st.integers(-10, last)), when + draw(st.integers(1, 30)), when))
    return result


def history(world: Iterable[Period], reads: Iterable[tuple[int, int, int]], chance: Any) -> list[Period]:
    """What is stored after some reads, each cut where it pleased."""
    stored: list[Period] = []
    coverage: Coverage | None = None
    for since, until, when in reads:
        seen = cut_up(clip(world, since=at(since), until=at(until)), chance)
        stored = merge_history(stored, coverage, seen)
        read_from = at(since) if coverage is None else min(coverage.read_from, at(since))
        coverage = Coverage(read_from, at(when))
    return stored


@given(WORLDS, reads(), st.randoms(use_true_random=False))
def test_however_reads_are_cut_the_history_is_one(
    world: list[Period], cuts: list[tuple[int, int, int]], chance: random.Random
) -> None:
    earliest, latest, when = min(cut[0] for cut in cuts), cuts[-1][1], cuts[-1][2]
    at_once = history(world, [(earliest, latest, when)], random.Random(0))
    assert essence(history(world, cuts, chance)) == essence(at_once)


@given(WORLDS, WORLDS, st.integers(1, SPAN), st.integers(0, 30), st.randoms(use_true_random=False))
def test_the_past_stays_and_the_future_follows(
    before: list[Period], after: list[Period], when: int, overlap: int, chance: random.Random
) -> None:
    """The schedule was changed after the first read, its past, too: what was, was."""
    stored = history(before, [(0, 3 * SPAN, when)], chance)
    seen = list(clip(after, since=at(when - overlap)))
    result = merge_history(stored, Coverage(at(0), at(when)), cut_up(seen, chance))
    assert hours(result) == (
        {each for each in hours(before) if at(0) <= each[2] < at(when)}
        | {each for each in hours(after) if each[2] >= at(when)}
    )
    assert essence(result) == essence(join_touching(result))


def test_a_longer_history_is_put_before_what_is_stored() -> None:
    stored = [period(10, 20, "ann")]
    read = [period(0, 12, "bob"), period(12, 40, "cid")]
    result = merge_history(stored, Coverage(at(10), at(20)), read)
    assert [(each.recipient_id, each.start_at, each.end_at) for each in sorted(result)] == [
        ("bob", at(0), at(10)),
        ("ann", at(10), at(20)),
        ("cid", at(20), at(40)),
    ]


def test_what_did_not_change_keeps_the_payload_it_was_stored_with() -> None:
    stored = [period(0, 30, raw="as first read")]
    read = [period(5, 12, raw="cut"), period(12, 30, raw="cut again")]
    assert merge_history(stored, Coverage(at(0), at(10)), read) == stored


def test_an_extended_period_is_one_row() -> None:
    [result] = merge_history([period(0, 30)], Coverage(at(0), at(10)), [period(5, 50, raw="later")])
    assert (result.start_at, result.end_at, result.raw) == (at(0), at(50), "later")


def test_the_latest_part_says_what_a_joined_period_is_like() -> None:
    [result] = join_touching([period(5, 9, period_type="default"), period(0, 5, period_type="historical")])
    assert result.period_type == "default"


def test_every_column_of_a_period() -> None:
    first, *others = timeline_periods(raw(ON_CALL))
    named = dict(zip(ON_CALL_PERIODS.columns, ("acme", "sched-1", *first), strict=True))
    assert "historical" in named.pop("raw")
    assert named == {
        "account": "acme",
        "schedule_id": "sched-1",
        "rotation_id": "rot-1",
        "start_at": datetime(2026, 3, 1, tzinfo=UTC),
        "end_at": datetime(2026, 3, 2, tzinfo=UTC),
        "recipient_id": "user-1",
        "recipient_type": "user",
        "recipient_name": "ann@example.com",
        "period_type": "historical",
        "backend": "opsgenie",
    }
    # Of a team, the people behind it; nobody on call is no row.
    assert [(each.recipient_id, each.start_at.day) for each in others] == [("user-1", 3), ("user-2", 3)]


ANN = {"type": "user", "id": "u1", "name": "ann@example.com"}
TEAM = {"type": "team", "id": "t1", "name": "Payments"}


@pytest.mark.parametrize(
    ("item", "names"),
    [
        ({}, []),
        ({"recipient": None}, []),
        ({"recipient": ANN}, ["ann@example.com"]),
        ({"recipient": TEAM}, ["Payments"]),
        ({"recipient": ANN, "flattenedRecipients": []}, ["ann@example.com"]),
        ({"recipient": TEAM, "flattenedRecipients": []}, []),
        ({"recipient": TEAM, "flattenedRecipients": [ANN]}, ["ann@example.com"]),
        ({"flattenedRecipients": [ANN]}, ["ann@example.com"]),
        ({"recipient": {"type": "none"}}, []),
        ({"recipient": {"type": "none", "id": "x"}}, []),
        ({"recipient": {"type": "user", "username": "bob"}}, ["bob"]),
    ],
)
def test_who_is_on_call(item: dict[str, Any], names: list[str]) -> None:
    item |= {"startDate": "2026-03-01T00:00:00Z", "endDate": "2026-03-02T00:00:00Z"}
    timeline = {"finalTimeline": {"rotations": [{"id": "r", "periods": [item]}]}}
    assert [each.recipient_name for each in timeline_periods(raw(timeline))] == names


def test_an_empty_period_is_no_row() -> None:
    item = {"startDate": "2026-03-01T00:00:00Z", "endDate": "2026-03-01T00:00:00Z", "recipient": ANN}
    timeline = {"finalTimeline": {"rotations": [{"id": "r", "periods": [item]}]}}
    assert timeline_periods(raw(timeline)) == []


@pytest.mark.parametrize(
    "timeline", [{}, {"finalTimeline": {}}, {"finalTimeline": {"rotations": [{"id": "r"}]}}]
)
def test_nothing_planned_is_no_row(timeline: dict[str, Any]) -> None:
    assert timeline_periods(raw(timeline)) == []


@pytest.mark.parametrize(
    ("rotations", "reason"),
    [
        ([None], "rotations: expected objects"),
        ([{"id": "r", "periods": ["x"]}], "periods: expected objects"),
        ([{"id": "r", "periods": [{"endDate": "2026-03-01T00:00:00Z"}]}], "startDate: missing"),
        ([{"periods": [{}]}], "id: missing"),
    ],
)
def test_a_timeline_that_cannot_be_read_says_why(rotations: Any, reason: str) -> None:
    with pytest.raises(UnreadablePayloadError, match=reason):
        timeline_periods(raw({"finalTimeline": {"rotations": rotations}}))
