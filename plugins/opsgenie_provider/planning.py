"""Which incidents a run reads: pure functions from what is known to a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

# Every run reads this much again, for late search indexing, clock skew and late edits.
TRAILING = timedelta(hours=48)
# Of alerts, which are many: their edits are listed by the time of their change.
ALERT_TRAILING = timedelta(hours=3)
# How far the service's clock and ours may differ when asking for changes since our last read.
CLOCK_MARGIN = timedelta(hours=1)
# The same with the delay of an index, where the changes are all that a run reads.
CHANGES_OVERLAP = timedelta(hours=2)
FULL_READ_EVERY = timedelta(hours=23, minutes=30)
# The search counts in Unix milliseconds, and nothing is older.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class AccountState:
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
    """What to read of an account: the incidents created in [since, until).

    :param whole_history: whether this run learns of every incident that the account has, as far as this
        warehouse goes: by reading them all or, where that window is empty, by their ids.
    :param changed_since: also read what changed since then among the incidents created from
        ``changed_from`` up to ``since``.
    """

    since: datetime
    until: datetime
    whole_history: bool = False
    changed_from: datetime | None = None
    changed_since: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """The plan as plain JSON."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_json(cls, plan: Mapping[str, Any]) -> Plan:
        """What ``as_json`` made."""
        fields: dict[str, Any] = {
            name: datetime.fromisoformat(value) if isinstance(value, str) else value
            for name, value in plan.items()
        }
        return cls(**fields)


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
    known: AccountState,
    *,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    full_refresh: bool = False,
    history_days: int = 90,
    lists_changes: bool = False,
    trailing: timedelta = TRAILING,
) -> Plan:
    """What a run reads.

    The first run, and one run a day, reads the whole history. A run with ``since`` or ``until`` reads
    only that range. Any other run reads new incidents, a trailing window, and changes to older incidents.

    :param lists_changes: whether the service lists whatever changed, new incidents included. Then later
        runs read only that, and the daily one lists the ids of the whole history.
    :param trailing: how much every run reads again.
    :raises ValueError: ``since`` is not before ``until``, or ``history_days`` goes back before the year 1.
    """
    # Not after the watermark: a read that begins behind it could never move it on.
    beginning = min(_days_before(now, history_days), known.oldest or now, known.watermark or now)
    if since or until:
        since, until = max(since or beginning, EPOCH), min(until or now, now)
        if since >= until:
            raise ValueError(
                f"since ({since.isoformat()}) is not before until ({until.isoformat()}, at most now). "
                "Swap them or leave one out."
            )
        return Plan(since, until)
    due = known.full_read_at is None or now - known.full_read_at >= FULL_READ_EVERY
    if full_refresh or known.watermark is None or (due and not lists_changes):
        return Plan(beginning, now, whole_history=True)
    last_read = min(known.watermark, now)
    if lists_changes:
        changed_since = last_read - CHANGES_OVERLAP
        return Plan(now, now, whole_history=due, changed_from=beginning, changed_since=changed_since)
    return Plan(
        max(beginning, last_read - trailing),
        now,
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
