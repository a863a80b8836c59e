"""Token-bucket rate limits with several windows per domain."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

#: domain -> {window in seconds: how many requests it allows}
Limits: TypeAlias = Mapping[str, Mapping[int, int]]


@dataclass
class _Bucket:
    capacity: int
    period: int
    tokens: float
    filled_at: float

    def refill(self, now: float) -> None:
        gained = (now - self.filled_at) * self.capacity / self.period
        self.tokens = min(float(self.capacity), self.tokens + gained)
        self.filled_at = now


@dataclass
class RateLimiter:
    """One bucket per domain and window; a request needs a token in every window of its domain.

    OpsGenie: "token bucket per account and domain, one window per minute and one per second, each its own
    bucket; exceeding one domain does not throttle the others" (docs.opsgenie.com/docs/api-rate-limiting).
    """

    limits: dict[str, dict[int, int]] = field(default_factory=dict)
    time: Callable[[], float] = time.monotonic
    _buckets: dict[tuple[str, str], list[_Bucket]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def configure(self, limits: Limits) -> None:
        """Replace all limits and start with full buckets; an empty mapping means no limits."""
        with self._lock:
            self.limits = {
                name: {int(period): int(n) for period, n in w.items()} for name, w in limits.items()
            }
            self._buckets = {}

    def take(self, domain: str, owner: str = "") -> int | None:
        """Take a token for `owner`. None when allowed, else the window (seconds) whose bucket is empty."""
        windows = self.limits.get(domain)
        if not windows:
            return None
        with self._lock:
            now = self.time()
            buckets = self._buckets.setdefault(
                (domain, owner), [_Bucket(n, period, n, now) for period, n in sorted(windows.items())]
            )
            for bucket in buckets:
                bucket.refill(now)
            empty = [bucket.period for bucket in buckets if bucket.tokens < 1]
            if empty:
                return max(empty)
            for bucket in buckets:
                bucket.tokens -= 1
            return None
