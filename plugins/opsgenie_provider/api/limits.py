"""A rate limiter for the clients: sliding windows per domain, shared by the threads of a task.

OpsGenie counts per account and domain in two windows at once, a second and a minute
(docs.opsgenie.com/docs/api-rate-limiting). A sliding window is the strictest interpretation of such a
limit, so staying within it satisfies token buckets and fixed windows as well.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

ANY_DOMAIN = "*"
# Requests are sent evenly but arrive with jitter, so each window is extended by this much.
_SLACK_FACTOR = 1.02
_SLACK_SECONDS = 0.03
# The longest period (seconds) and the largest limit that are learned from refusals: for a longer
# period the wait would cost more than the refusals.
_LEARNABLE_PERIOD = 5.0
_LARGEST_LEARNABLE_LIMIT = 1000
# Requests that may be in flight when an answer reports how many are left.
_IN_FLIGHT = 8

Limits = Mapping[str, Iterable[tuple[int, float]]]
# The same as plain JSON: domain -> [requests, seconds] windows.
JsonLimits = Mapping[str, Iterable[Sequence[float]]]


def limits_to_json(limits: Limits) -> dict[str, list[list[float]]]:
    """Limits as plain JSON."""
    return {domain: [list(window) for window in windows] for domain, windows in limits.items()}


def limits_from_json(limits: JsonLimits) -> dict[str, list[tuple[int, float]]]:
    """What ``limits_to_json`` made."""
    return {
        domain: [(int(requests), seconds) for requests, seconds in windows]
        for domain, windows in limits.items()
    }


class _Window:
    """At most ``limit`` requests in any ``period`` seconds."""

    def __init__(self, limit: int, period: float) -> None:
        self.limit = max(1, limit)
        self.period = period * _SLACK_FACTOR + _SLACK_SECONDS
        self.sent: deque[float] = deque(maxlen=self.limit)

    def free_at(self, now: float) -> float:
        return now if len(self.sent) < self.limit else max(now, self.sent[0] + self.period)


class RateLimiter:
    """Paces requests by domain; blocks the caller until its request may be sent. Thread-safe.

    :param limits: domain -> (requests, seconds) windows; ``ANY_DOMAIN`` applies to every request.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._windows = {
            domain: [_Window(limit, period) for limit, period in windows]
            for domain, windows in (limits or {}).items()
        }
        self._recently_sent: dict[str, deque[float]] = {}
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
                        sent for sent in self._recently_sent.get(domain, ()) if sent > now - window.period
                    )

    def acquire(self, domain: str) -> None:
        """Wait until a request of ``domain`` may be sent, and count it."""
        while True:
            with self._lock:
                now = time.monotonic()
                windows = [*self._windows.get(domain, ()), *self._windows.get(ANY_DOMAIN, ())]
                send_at = max(
                    [now, self._paused_until.get(domain, 0.0), *(window.free_at(now) for window in windows)]
                )
                if send_at <= now:
                    for window in windows:
                        window.sent.append(now)
                    sent = self._recently_sent.setdefault(domain, deque(maxlen=_LARGEST_LEARNABLE_LIMIT))
                    sent.append(now)
                    return
            time.sleep(send_at - now)

    def pause_after_refusal(self, domain: str, *, wait: float, period: float | None = None) -> None:
        """Pause ``domain`` for ``wait`` seconds: the service has just refused a request.

        :param period: seconds of the exceeded window, where known. If no limit is known for a short
            one, it is learned from the number of requests that the service had accepted within it;
            otherwise every period would start with a burst of refusals.
        """
        with self._lock:
            now = time.monotonic()
            if period is not None and period <= _LEARNABLE_PERIOD and not self._windows.get(domain):
                accepted = sum(1 for sent in self._recently_sent.get(domain, ()) if sent > now - period) - 1
                if 0 < accepted < _LARGEST_LEARNABLE_LIMIT - 1:
                    self._windows[domain] = [_Window(accepted, period)]
            self._pause_until(domain, now + wait)

    def pause_if_exhausted(self, domain: str, *, limit: int, remaining: int, resets_in: float) -> None:
        """Pause ``domain`` until its window resets, if the service reports that it is nearly used up.

        A few requests are left unused, because others of ours may be in flight.

        :param limit: requests per window.
        :param remaining: requests left in the current window.
        :param resets_in: seconds until the next window starts.
        """
        if remaining <= min(_IN_FLIGHT, limit // 20):
            self.pause(domain, resets_in + _SLACK_SECONDS)

    def pause(self, domain: str, seconds: float) -> None:
        """Send no request of ``domain`` for so long."""
        with self._lock:
            self._pause_until(domain, time.monotonic() + seconds)

    def _pause_until(self, domain: str, instant: float) -> None:
        self._paused_until[domain] = max(instant, self._paused_until.get(domain, 0.0))
