"""A rate limiter for the clients: sliding windows per domain, shared by the threads of a task.

OpsGenie counts per account and domain in two windows at once, a second and a minute
(docs.opsgenie.com/docs/api-rate-limiting). A sliding window is the strictest reading of such a
limit, so staying inside it satisfies token buckets and fixed windows as well.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping

ANY_DOMAIN = "*"
# Requests leave evenly but arrive with jitter: a window is kept this much longer than it is.
_SLACK_FACTOR = 1.02
_SLACK_SECONDS = 0.03
# A limit is learned from refusals only where waiting out its window costs little.
_LEARNABLE_PERIOD = 5.0
_LEARN_UP_TO = 1000
# Requests that may have left before the answer that told of the rest of a window.
_UNDER_WAY = 8

Limits = Mapping[str, Iterable[tuple[int, float]]]


class _Window:
    """At most ``limit`` requests in any ``period`` seconds."""

    def __init__(self, limit: int, period: float) -> None:
        self.limit = max(1, limit)
        self.period = period * _SLACK_FACTOR + _SLACK_SECONDS
        self.sent: deque[float] = deque(maxlen=self.limit)

    def free_at(self, now: float) -> float:
        return now if len(self.sent) < self.limit else max(now, self.sent[0] + self.period)


class RateLimiter:
    """Paces requests by domain; blocks the caller until its request may leave.

    :param limits: domain -> (requests, seconds) windows; ``ANY_DOMAIN`` holds for every request.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._windows = {
            domain: [_Window(limit, period) for limit, period in windows]
            for domain, windows in (limits or {}).items()
        }
        self._recent: dict[str, deque[float]] = {}
        self._paused_until: dict[str, float] = {}
        self._lock = threading.Lock()

    def set_limits(self, limits: Limits) -> None:
        """Replace what is known of the limits of some domains; what was sent lately counts."""
        with self._lock:
            now = time.monotonic()
            for domain, windows in limits.items():
                self._windows[domain] = [_Window(limit, period) for limit, period in windows]
                for window in self._windows[domain]:
                    window.sent.extend(
                        sent for sent in self._recent.get(domain, ()) if sent > now - window.period
                    )

    def acquire(self, domain: str) -> None:
        """Wait until a request of ``domain`` may leave, and count it."""
        while True:
            with self._lock:
                now = time.monotonic()
                windows = [*self._windows.get(domain, ()), *self._windows.get(ANY_DOMAIN, ())]
                leave_at = max(
                    [now, self._paused_until.get(domain, 0.0), *(window.free_at(now) for window in windows)]
                )
                if leave_at <= now:
                    for window in windows:
                        window.sent.append(now)
                    self._recent.setdefault(domain, deque(maxlen=_LEARN_UP_TO)).append(now)
                    return
            time.sleep(leave_at - now)

    def refused(self, domain: str, *, wait: float, period: float | None = None) -> None:
        """Hold back ``domain`` for ``wait`` seconds: the service has just refused a request.

        Where no limit was known for a short ``period`` (seconds), it is learned from what the
        service had accepted by then: or else every second would start with a burst of refusals.
        """
        with self._lock:
            now = time.monotonic()
            if period is not None and period <= _LEARNABLE_PERIOD and not self._windows.get(domain):
                accepted = sum(1 for sent in self._recent.get(domain, ()) if sent > now - period) - 1
                if 0 < accepted < _LEARN_UP_TO - 1:
                    self._windows[domain] = [_Window(accepted, period)]
            self._paused_until[domain] = max(now + wait, self._paused_until.get(domain, 0.0))

    def told(self, domain: str, *, limit: int, remaining: int, resets_in: float) -> None:
        """Take the service's own count of a fixed window: what is left of it, and when it starts anew.

        Stops short of the last ones, because other requests of ours are under way.
        """
        if remaining <= min(_UNDER_WAY, limit // 20):
            with self._lock:
                resume = time.monotonic() + resets_in + _SLACK_SECONDS
                self._paused_until[domain] = max(resume, self._paused_until.get(domain, 0.0))
