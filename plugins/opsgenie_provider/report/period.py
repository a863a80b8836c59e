"""Which period a report is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)


class Period(NamedTuple):
    """From ``since`` up to, and without, ``until``."""

    since: datetime
    until: datetime

    @property
    def before(self) -> Period:
        """The period of the same length that ends where this one begins."""
        return Period(self.since - (self.until - self.since), self.since)

    @property
    def title(self) -> str:
        """In words, with its last day where it is of whole days: "2026-11-16 to 2026-11-22"."""
        if self._is_of_whole_days:
            last = self.until - _DAY
            days = f"{self.since:%Y-%m-%d}"
            return days if last == self.since else f"{days} to {last:%Y-%m-%d}"
        return f"{self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M}"

    @property
    def file_name(self) -> str:
        """The name of the report's file: the same period replaces its report."""
        if self._is_of_whole_days:
            return f"dora_report_{self.since:%Y-%m-%d}_{self.until - _DAY:%Y-%m-%d}.html"
        return f"dora_report_{self.since:%Y-%m-%dT%H%M%S}_{self.until:%Y-%m-%dT%H%M%S}.html"

    @property
    def _is_of_whole_days(self) -> bool:
        return self.since.time() == self.until.time() == datetime.min.time()


def report_period(now: datetime, since: datetime | None = None, until: datetime | None = None) -> Period:
    """The period that is asked for; without ``since`` and ``until`` the last whole week, from Monday, UTC.

    :param since: alone, it means up to now.
    :param until: alone, it means the seven days before it.
    :raises ValueError: it would be empty, or begin before the year 1.
    """
    now = now.astimezone(UTC)
    if since is None and until is None:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        monday = midnight - midnight.weekday() * _DAY
        return Period(monday - _WEEK, monday)
    try:
        until = until or now
        period = Period(since or until - _WEEK, until)
        # The report compares with the period before it.
        period.before  # noqa: B018
    except OverflowError:
        raise ValueError(f"The period before {since or until} would begin before the year 1.") from None
    if period.since >= period.until:
        raise ValueError(
            f"since ({period.since.isoformat()}) is not before until ({period.until.isoformat()}). "
            "Swap them or leave one out."
        )
    return period
