"""What the unit tests share: a clock that no test waits for, and Hypothesis without files."""

from __future__ import annotations

import threading

import pytest
import tenacity
from hypothesis import HealthCheck, settings

from opsgenie_provider.api import limits

settings.register_profile(
    "unit",
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("unit")


class FakeTime:
    """Stands in for the ``time`` module: sleeping moves the clock and costs nothing."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.seen = threading.local()
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        with self._lock:
            self.seen.last = self.now
            return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The time of the rate limiter and of the retries."""
    fake = FakeTime()
    for module in (limits, tenacity, tenacity.nap):
        monkeypatch.setattr(module, "time", fake)
    return fake
