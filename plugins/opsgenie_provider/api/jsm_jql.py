"""The searches for incidents, in JQL: which issues they are, and bounds in time.

Times in JQL are whole minutes in the time zone of whoever asks (Jira Cloud, advanced search).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Raw

from opsgenie_provider.rows.fields import UnreadablePayloadError, decode, required_text, text

# The issue types of JSM's templates; a name is never sent, since one that the site lacks is an error.
INCIDENT_TYPES = ("[System] Incident", "Incident")
# What local times may differ from UTC, either way: how far a bound moves where the zone is not known.
_AHEAD, _BEHIND = timedelta(hours=14), timedelta(hours=12)
_MINUTE = timedelta(minutes=1)
_QUOTED_OR_ORDER = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\border\s+by\b.*""", re.I | re.S)


class NoIncidentTypeError(ValueError):
    """The site shows no issue type by which incidents could be told from other issues."""


def incident_types_jql(issue_types: Iterable[Raw]) -> str:
    """JQL for the issue types that are incidents by name, by their ids.

    :raises NoIncidentTypeError: there is none: nothing may be listed as if that were all.
    """
    names = {name.casefold() for name in INCIDENT_TYPES}
    ids = []
    for raw in issue_types:
        try:
            issue_type = decode(raw)
            called = [text(issue_type, "name"), text(issue_type, "untranslatedName")]
            if names & {name.strip().casefold() for name in called if name}:
                ids.append(required_text(issue_type, "id"))
        except UnreadablePayloadError:
            continue
    if not ids:
        raise NoIncidentTypeError(
            f"The site shows this account no issue type named {' or '.join(INCIDENT_TYPES)}. Give the "
            "account access to the projects with the incidents, or say which issues are incidents in the "
            "extra incident_jql of the connection."
        )
    return f"issuetype in ({', '.join(sorted(ids, key=lambda each: (len(each), each)))})"


def incident_jql(
    jql: str,
    *,
    zone: str | None,
    created_since: datetime | None = None,
    created_until: datetime | None = None,
    updated_since: datetime | None = None,
) -> str:
    """The incidents of ``jql`` within bounds, in a lasting order: a bound may let in up to a minute more.

    :param zone: the IANA name of the caller's time zone.
    """
    bounds = [f"({without_order(jql)})"]
    if created_since:
        bounds.append(f'created >= "{_lower(created_since, zone)}"')
    if created_until:
        bounds.append(f'created < "{_upper(created_until, zone)}"')
    if updated_since:
        bounds.append(f'updated >= "{_lower(updated_since, zone)}"')
    order = "updated" if updated_since else "created"
    return f"{' AND '.join(bounds)} ORDER BY {order} ASC"


def without_order(jql: str) -> str:
    """The JQL without an ORDER BY of its own; one within quotes is no such thing."""
    return _QUOTED_OR_ORDER.sub(lambda match: match[1] or "", jql).strip()


def _lower(instant: datetime, zone: str | None) -> str:
    """The last local minute that is surely not after the instant, however a repeated hour is read."""
    known = _zone(zone)
    if known is None:
        return _minute(instant.astimezone(UTC) - _BEHIND)
    local = instant.astimezone(known)
    first, second = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return _minute(local.replace(tzinfo=None) - abs(first - second))


def _upper(instant: datetime, zone: str | None) -> str:
    """The first local minute that is surely not before the instant."""
    known = _zone(zone)
    if known is None:
        return _minute(instant.astimezone(UTC) + _AHEAD + _MINUTE)
    local = instant.astimezone(known)
    first, second = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return _minute(local.replace(tzinfo=None) + abs(first - second) + _MINUTE)


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


def _minute(local: datetime) -> str:
    return local.strftime("%Y-%m-%d %H:%M")
