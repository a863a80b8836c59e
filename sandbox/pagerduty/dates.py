"""since and until: ISO 8601 with or without a time and an offset, and windows of calendar months."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, tzinfo

from sandbox.instants import Nanos, to_datetime, to_nanos

DEFAULT_MONTHS = 1
MOST_MONTHS = 6

_WHEN = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?)?")


def parse(text: str, zone: tzinfo) -> Nanos:
    """The instant; `zone` applies to a text without an offset. Raises ValueError.

    An offset whose plus sign was not percent-encoded arrives as a space and is invalid.
    """
    match = _WHEN.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    day, minutes, seconds, fraction, offset = match.groups()
    moment = datetime.fromisoformat(f"{day}T{minutes or '00:00'}{seconds or ':00'}")
    if offset:
        moment = datetime.fromisoformat(moment.isoformat() + ("+00:00" if offset == "Z" else offset))
    else:
        moment = moment.replace(tzinfo=zone)
    return to_nanos(moment) + int((fraction or "").ljust(9, "0"))


def add_months(instant: Nanos, months: int) -> Nanos:
    """The same day and time some calendar months later (the last day of a shorter month), in UTC."""
    moment = to_datetime(instant)
    years, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + years, month + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    moved = datetime(year, month, day, moment.hour, moment.minute, moment.second, tzinfo=UTC)
    return to_nanos(moved) + instant % 1_000_000_000


def window(since: Nanos | None, until: Nanos | None, now: Nanos) -> tuple[Nanos, Nanos]:
    """GET /incidents: "maximum range is 6 months and default is 1 month" (specification).

    since without until: a month from since (a PagerDuty employee in pdpyras#46).
    """
    if since is not None:
        return since, add_months(since, DEFAULT_MONTHS) if until is None else until
    end = now if until is None else until
    return add_months(end, -DEFAULT_MONTHS), end
