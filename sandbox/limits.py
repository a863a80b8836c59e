"""Rate limits with several windows per domain: token buckets, or fixed windows."""

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


class _Window(_Bucket):
    """A fixed window: all tokens come back at its end, at the instant of a "reset" header."""

    def refill(self, now: float) -> None:
        if now >= self.filled_at + self.period:
            self.tokens = float(self.capacity)
            self.filled_at = now


@dataclass(frozen=True, slots=True)
class Quota:
    """The values of a service's rate-limit headers. `resets_at`: in the limiter's own time."""

    limit: int
    remaining: int
    resets_at: float


@dataclass
class RateLimiter:
    """One bucket per domain and window; a request needs a token in every window of its domain.

    OpsGenie: "token bucket per account and domain, one window per minute and one per second, each its own
    bucket; exceeding one domain does not throttle the others" (docs.opsgenie.com/docs/api-rate-limiting).
    `fixed`: fixed windows in place of buckets, as PagerDuty's and GitHub's headers describe theirs.
    """

    limits: dict[str, dict[int, int]] = field(default_factory=dict)
    time: Callable[[], float] = time.monotonic
    fixed: bool = False
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
        with self._lock:
            buckets = self._filled(domain, owner)
            empty = [bucket.period for bucket in buckets if bucket.tokens < 1]
            if empty:
                return max(empty)
            for bucket in buckets:
                bucket.tokens -= 1
            return None

    def quota(self, domain: str, owner: str = "") -> Quota | None:
        """The state of the longest window, without taking a token; None when there is no limit."""
        with self._lock:
            buckets = self._filled(domain, owner)
            if not buckets:
                return None
            longest = buckets[-1]
            return Quota(longest.capacity, int(longest.tokens), longest.filled_at + longest.period)

    def _filled(self, domain: str, owner: str) -> list[_Bucket]:
        """The buckets of an owner as they are now, the shortest window first."""
        windows = self.limits.get(domain)
        if not windows:
            return []
        now = self.time()
        kind = _Window if self.fixed else _Bucket
        buckets = self._buckets.setdefault(
            (domain, owner), [kind(n, period, n, now) for period, n in sorted(windows.items())]
        )
        for bucket in buckets:
            bucket.refill(now)
        return buckets
