"""Which incidents a run reads: pure functions from the stored sync state to time windows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Every run reads this much again, for late search indexing, clock skew and late edits.
TRAILING = timedelta(hours=48)
# How far the service's clock and ours may differ when asking for changes since our last read.
CLOCK_MARGIN = timedelta(hours=1)
FULL_READ_EVERY = timedelta(hours=23, minutes=30)
# One mapped task reads one window; a larger window has fewer, longer tasks.
WINDOW = timedelta(days=91)
# Per run, for all accounts together: Airflow maps a task at most 1,024 times (core.max_map_length),
# and each mapped task costs seconds of start-up. A longer history has longer windows.
MOST_WINDOWS = 64
# Searches take Unix milliseconds, and no incident is older.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Known:
    """The stored state of an account; None where no run has set it yet.

    :param watermark: everything created before was read without a gap.
    :param oldest: creation time of the oldest stored incident.
    :param full_read_at: when the whole history was last read.
    """

    watermark: datetime | None = None
    oldest: datetime | None = None
    full_read_at: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """What to read from an account.

    :param windows: [since, until) on createdAt, ascending and contiguous.
    :param whole_history: whether the windows cover everything that this warehouse keeps of the account.
    :param changed_from: together with ``changed_since``: also read the incidents created from here up to
        the first window that changed since ``changed_since``.
    """

    windows: list[tuple[datetime, datetime]]
    whole_history: bool = False
    changed_from: datetime | None = None
    changed_since: datetime | None = None


def parse_instant(value: str | None, name: str) -> datetime | None:
    """A DAG param as an instant in UTC; a value without a time zone is UTC.

    :raises ValueError: it is not ISO 8601.
    """
    if not value:
        return None
    try:
        instant = datetime.fromisoformat(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{name}: {value!r} is not an ISO 8601 date or time. Write it like 2026-01-31 or "
            "2026-01-31T12:00:00Z."
        ) from None


def plan_reads(
    known: Known,
    *,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    full_refresh: bool = False,
    history_days: int = 90,
    accounts: int = 1,
) -> Plan:
    """The windows of a run.

    The first run, and one run a day, reads the whole history. A run with ``since`` or ``until`` reads
    only that range. Any other run reads new incidents, a trailing window, and changes to older incidents.

    :param accounts: how many accounts share the tasks of the run.
    :raises ValueError: ``since`` is not before ``until``, or ``history_days`` goes back before the year 1.
    """
    at_most = max(1, MOST_WINDOWS // accounts)
    # Never after the watermark: a read that begins after it would leave a gap, so it could not advance.
    beginning = min(_days_before(now, history_days), known.oldest or now, known.watermark or now)
    if since or until:
        since, until = max(since or beginning, EPOCH), min(until or now, now)
        if since >= until:
            raise ValueError(
                f"since ({since.isoformat()}) is not before until ({until.isoformat()}, at most now). "
                "Swap them or leave one out."
            )
        return Plan(split_range(since, until, at_most))
    full_read_due = known.full_read_at is None or now - known.full_read_at >= FULL_READ_EVERY
    if full_refresh or full_read_due or known.watermark is None:
        return Plan(split_range(beginning, now, at_most), whole_history=True)
    last_read = min(known.watermark, now)
    return Plan(
        split_range(max(beginning, last_read - TRAILING), now, at_most),
        changed_from=beginning,
        changed_since=last_read - CLOCK_MARGIN,
    )


def _days_before(now: datetime, days: int) -> datetime:
    try:
        return max(now - timedelta(days=days), EPOCH)
    except OverflowError:
        raise ValueError(
            f"history_days: {days} days ago is before the year 1. Use {(now - EPOCH).days} or less, which "
            "reaches back to 1970."
        ) from None


def split_range(
    since: datetime, until: datetime, at_most: int = MOST_WINDOWS
) -> list[tuple[datetime, datetime]]:
    """[since, until) as windows that tasks are mapped over.

    :param at_most: the largest number of windows; a longer history has longer windows.
    """
    # Whole seconds, rounded up, so that rounding does not add a tiny last window.
    length = max(WINDOW, timedelta(seconds=math.ceil((until - since) / timedelta(seconds=at_most))))
    edges = [since]
    while until - edges[-1] > length:
        edges.append(edges[-1] + length)
    return list(zip(edges, [*edges[1:], until], strict=True))
