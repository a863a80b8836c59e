"""JQL that searches for incidents: which issues are incidents, and time bounds.

Times in JQL are whole minutes in the time zone of the requesting account (Jira Cloud, advanced search).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Raw

from opsgenie_provider.rows.fields import UnreadablePayloadError, decode, required_text, text

# The issue types of JSM's templates. Ids are sent, not names: JQL with a name that the site lacks fails.
INCIDENT_TYPES = ("[System] Incident", "Incident")
# The largest offsets from UTC, by which a bound is widened where the time zone is not known.
_MAX_AHEAD_OF_UTC, _MAX_BEHIND_UTC = timedelta(hours=14), timedelta(hours=12)
_MINUTE = timedelta(minutes=1)
_QUOTED_OR_ORDER = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\border\s+by\b.*""", re.I | re.S)


class NoIncidentTypeError(ValueError):
    """The site shows no issue type that distinguishes incidents from other issues."""


def incident_types_jql(issue_types: Iterable[Raw]) -> str:
    """JQL for the issue types whose name is in ``INCIDENT_TYPES``, by their ids.

    :raises NoIncidentTypeError: the site has none; an empty list must not be taken for "no incidents".
    """
    names = {name.casefold() for name in INCIDENT_TYPES}
    ids = []
    for raw in issue_types:
        try:
            issue_type = decode(raw)
            type_names = [text(issue_type, "name"), text(issue_type, "untranslatedName")]
            if names & {name.strip().casefold() for name in type_names if name}:
                ids.append(required_text(issue_type, "id"))
        except UnreadablePayloadError:
            continue
    if not ids:
        raise NoIncidentTypeError(
            f"The site shows this account no issue type named {' or '.join(INCIDENT_TYPES)}. Give the "
            "account access to the projects with the incidents, or set the extra incident_jql of the "
            "connection to JQL that finds the incidents."
        )
    return f"issuetype in ({', '.join(sorted(ids, key=lambda type_id: (len(type_id), type_id)))})"


def incident_jql(
    jql: str,
    *,
    zone: str | None,
    created_since: datetime | None = None,
    created_until: datetime | None = None,
    updated_since: datetime | None = None,
) -> str:
    """JQL for the incidents of ``jql`` within time bounds, in ascending order of the bounded time.

    Incidents of up to a minute outside the bounds may match too.

    :param zone: the IANA name of the requesting account's time zone; None where it is not known.
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
    """The JQL without its ORDER BY clause; the same words within quotes stay."""
    return _QUOTED_OR_ORDER.sub(lambda match: match[1] or "", jql).strip()


def _lower(instant: datetime, zone: str | None) -> str:
    """The last local minute that is certainly not after the instant, in a repeated hour as well."""
    zone_info = _zone(zone)
    if zone_info is None:
        return _minute(instant.astimezone(UTC) - _MAX_BEHIND_UTC)
    local = instant.astimezone(zone_info)
    first, second = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return _minute(local.replace(tzinfo=None) - abs(first - second))


def _upper(instant: datetime, zone: str | None) -> str:
    """The first local minute that is certainly not before the instant."""
    zone_info = _zone(zone)
    if zone_info is None:
        return _minute(instant.astimezone(UTC) + _MAX_AHEAD_OF_UTC + _MINUTE)
    local = instant.astimezone(zone_info)
    first, second = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return _minute(local.replace(tzinfo=None) + abs(first - second) + _MINUTE)


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


def _minute(local: datetime) -> str:
    return local.strftime("%Y-%m-%d %H:%M")
