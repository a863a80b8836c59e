from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsgenie_provider.api.limits import ANY_DOMAIN, RateLimiter


def most_within(instants: list[float], period: float) -> int:
    """The most requests that any window of a period holds."""
    instants = sorted(instants)
    return max(sum(start <= each < start + period for each in instants) for start in instants)


def send(limiter: RateLimiter, clock: Any, domain: str, count: int) -> list[float]:
    instants = []
    for _ in range(count):
        limiter.acquire(domain)
        instants.append(clock.now)
    return instants


@given(
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=60),
    second=st.integers(1, 5),
    minute=st.integers(1, 20),
)
def test_no_window_ever_holds_more_than_its_limit(
    clock: Any, gaps: list[float], second: int, minute: int
) -> None:
    limiter = RateLimiter({"incident": [(second, 1.0), (minute, 60.0)]})
    instants = []
    for gap in gaps:
        clock.now += gap
        limiter.acquire("incident")
        instants.append(clock.now)
    assert most_within(instants, 1.0) <= second
    assert most_within(instants, 60.0) <= minute


def test_threads_share_the_limit(clock: Any) -> None:
    limiter = RateLimiter({"incident": [(4, 1.0)]})
    instants: list[float] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(10):
            limiter.acquire("incident")
            # What the clock said when this very request was let go.
            instants.append(clock.seen.last)

    with ThreadPoolExecutor(8) as executor:
        for each in [executor.submit(work) for _ in range(8)]:
            each.result()
    assert len(instants) == 80
    assert most_within(instants, 1.0) <= 4


def test_the_limit_is_made_use_of(clock: Any) -> None:
    started = clock.now
    send(RateLimiter({"incident": [(10, 1.0)]}), clock, "incident", 100)
    assert 9.0 <= clock.now - started <= 10.0


def test_no_limit_no_wait(clock: Any) -> None:
    send(RateLimiter(), clock, "incident", 500)
    send(RateLimiter({"search": [(1, 60.0)]}), clock, "incident", 500)
    assert clock.slept == []


def test_a_limit_for_all_domains_counts_them_together(clock: Any) -> None:
    limiter = RateLimiter({ANY_DOMAIN: [(3, 60.0)], "search": [(100, 1.0)]})
    instants = [*send(limiter, clock, "search", 2), *send(limiter, clock, "incident", 2)]
    assert instants[2] == instants[0]
    assert instants[3] >= instants[0] + 60


@pytest.mark.parametrize("limit", [0, -5])
def test_a_senseless_limit_does_not_stop_everything(clock: Any, limit: int) -> None:
    assert most_within(send(RateLimiter({"incident": [(limit, 1.0)]}), clock, "incident", 3), 1.0) == 1


def test_a_refusal_pauses_its_domain_only(clock: Any) -> None:
    limiter = RateLimiter()
    refused_at = clock.now
    limiter.pause_after_refusal("incident", wait=10.0)
    limiter.acquire("search")
    assert clock.now == refused_at
    limiter.acquire("incident")
    assert clock.now == refused_at + 10


def test_a_short_refusal_does_not_end_a_long_pause(clock: Any) -> None:
    limiter = RateLimiter()
    limiter.pause_after_refusal("incident", wait=10.0)
    limiter.pause_after_refusal("incident", wait=1.0)
    started = clock.now
    limiter.acquire("incident")
    assert clock.now == started + 10


def test_learns_the_limit_of_a_second_from_a_refusal(clock: Any) -> None:
    limiter = RateLimiter()
    send(limiter, clock, "incident", 6)
    limiter.pause_after_refusal("incident", wait=1.0, period=1.0)
    assert most_within(send(limiter, clock, "incident", 30), 1.0) == 5


@pytest.mark.parametrize(
    ("sent_before", "period"),
    [
        (6, 60.0),  # waiting a minute for what may have been another client's use costs too much
        (6, None),
        (1, 1.0),  # nothing was accepted: no number can be learned
    ],
)
def test_learns_nothing_where_nothing_can_be_known(
    clock: Any, sent_before: int, period: float | None
) -> None:
    limiter = RateLimiter()
    send(limiter, clock, "incident", sent_before)
    limiter.pause_after_refusal("incident", wait=0.5, period=period)
    assert most_within(send(limiter, clock, "incident", 50), 1.0) == 50


def test_known_limits_are_not_learned_again(clock: Any) -> None:
    limiter = RateLimiter({"incident": [(20, 1.0)]})
    send(limiter, clock, "incident", 3)
    limiter.pause_after_refusal("incident", wait=1.0, period=1.0)
    assert most_within(send(limiter, clock, "incident", 60), 1.0) == 20


def test_only_what_was_sent_lately_counts_as_accepted(clock: Any) -> None:
    limiter = RateLimiter()
    send(limiter, clock, "incident", 50)
    clock.now += 5
    send(limiter, clock, "incident", 4)
    limiter.pause_after_refusal("incident", wait=1.0, period=1.0)
    assert most_within(send(limiter, clock, "incident", 12), 1.0) == 3
