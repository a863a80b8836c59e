"""How values look on the page. None stays visibly unknown: it is never shown as 0."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from markupsafe import Markup

UNKNOWN = "–"
# Why an incident has no deployment, in words.
MATCH_STATUS = {
    "matched": "Matched: the nearest eligible deployment of its service within the window",
    "no_deployment_in_window": "No eligible deployment within the window",
    "service_unmapped": "No deployment has the service's name; map it in dora.service_map",
    "no_service": "The incident names no service",
    "overridden": "Decided by a person",
}
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_CONDITIONS = {
    "if-not-acked": "if nobody has acknowledged",
    "if-not-closed": "if it is not closed",
}
_NOTIFIED = {
    "next": "the next user in the rotation of",
    "previous": "the previous user in the rotation of",
    "users": "all users of",
    "admins": "the admins of",
    "random": "a random member of",
    "all": "everyone in",
}


def duration(seconds: float | None) -> str:
    """Seconds in the two largest units that they fill: "1 d 4 h", "12 min"; negative ones with a sign."""
    if seconds is None:
        return UNKNOWN
    if 0 < abs(seconds) < 1:
        return "under 1 s"
    sign, rest = ("−" if seconds < 0 else ""), round(abs(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return sign + " ".join(parts) if parts else "0 s"


def offset(seconds: float | None) -> str:
    """How an incident lies to its deployment: "12 min after", "1 h before"."""
    if seconds is None:
        return UNKNOWN
    if seconds == 0:
        return "at the same instant"
    return f"{duration(abs(seconds))} {'after' if seconds > 0 else 'before'}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 1 in per cent."""
    return UNKNOWN if share is None else f"{share * 100:.{digits}f} %"


def number(value: float | None) -> str:
    """A count, its thousands apart."""
    return UNKNOWN if value is None else f"{value:,.0f}".replace(",", "\u202f")


def moment(instant: datetime | None) -> Markup | str:
    """An instant in UTC; the page's script adds the viewer's local time on hover."""
    if instant is None:
        return UNKNOWN
    utc = instant.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), utc.strftime("%Y-%m-%d %H:%M")
    )


def period(start: date, grain: str) -> str:
    """A day, a week by its Monday, or a month."""
    if grain == "month":
        return start.strftime("%B %Y")
    return f"week of {start:%Y-%m-%d}" if grain == "week" else f"{start:%Y-%m-%d}"


def link(url: Any) -> str | None:
    """The address, if it is one that a browser may follow: the services' texts are not to be trusted."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def query(**values: Any) -> str:
    """A query string of the values that there are."""
    return urlencode({name: value for name, value in values.items() if value not in (None, "")})


def chance(rate: float | None) -> str:
    """A service's chance rate in words."""
    if rate == 0:
        return "There is no deployment to match."
    if rate is None:
        return "How many would match by chance is not known yet."
    if rate >= 0.5:
        word = "Mostly noise"
    elif rate >= 0.2:
        word = "Read with care"
    else:
        word = "Meaningful"
    share = percent(rate, 0)
    return f"{word}: {share} of incidents that have nothing to do with any deployment would match anyway."


def step(rule: dict[str, Any]) -> str:
    """A step of an escalation policy as a sentence."""
    delay = rule["delay_seconds"]
    after = "At once" if not delay else f"After {duration(delay)}"
    condition = _CONDITIONS.get(rule["condition"] or "", rule["condition"] or "")
    notified = _NOTIFIED.get(rule["notify_type"] or "", "")
    who = " ".join(filter(None, (notified, rule["recipient_type"], rule["recipient_name"])))
    return ", ".join(filter(None, (after, condition, f"notify {who or 'nobody'}")))


FILTERS = {
    "duration": duration,
    "offset": offset,
    "percent": percent,
    "number": number,
    "moment": moment,
    "period": period,
    "link": link,
    "chance": chance,
    "step": step,
}
