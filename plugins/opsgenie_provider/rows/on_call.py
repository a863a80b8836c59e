"""Schedule timelines to on-call periods, and how periods of several reads are merged into one history.

A period has no id at the source: its bounds depend on the window that was read. Who was on call when
does not. So touching periods of the same rotation and recipient are joined, the past stays as it was
first read as the past, and the future follows the latest read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    decode,
    items,
    json_text,
    key_text,
    nested,
    objects,
    required_text,
    required_timestamp,
    text,
)
from opsgenie_provider.rows.parts import OptionalFields, Rejected
from opsgenie_provider.rows.tables import OPSGENIE


class Period(NamedTuple):
    """A recipient on call in a rotation from ``start_at`` to ``end_at``."""

    rotation_id: str
    start_at: datetime
    recipient_id: str
    recipient_type: str | None
    recipient_name: str | None
    end_at: datetime
    period_type: str | None
    backend: str
    raw: str | None


class Timeline(NamedTuple):
    """Who is on call in a schedule.

    :param start_at: from when on the answer covers, where it says so.
    :param end_at: up to when, likewise.
    """

    periods: list[Period]
    start_at: datetime | None = None
    end_at: datetime | None = None


class Coverage(NamedTuple):
    """The stored past of a schedule, which does not change: from ``read_from`` up to ``read_at``."""

    read_from: datetime
    read_at: datetime


def timeline_periods(raw: Raw, *, rejected: Rejected | None = None) -> list[Period]:
    """The periods of a schedule's final timeline (schedule API, timeline).

    ``periods`` may be missing, and ``recipient`` is absent where nobody is on call; for a team or an
    escalation policy, ``flattenedRecipients`` lists its users.

    :param rejected: receives the periods that cannot be read.
    :raises UnreadablePayloadError: the timeline has another shape.
    """
    timeline = nested(decode(raw), "finalTimeline")
    found: list[list[Period]] = []
    for rotation in objects(timeline, "rotations"):
        # Something other than a list rejects the timeline, not just a period.
        items(rotation, "periods")
        read = partial(_periods, required_text(rotation, "id"))
        found += OptionalFields(rotation, rejected).each("periods", read)
    return [period for periods in found for period in periods]


def _periods(rotation_id: str, item: Any) -> list[Period]:
    if not isinstance(item, dict):
        raise UnreadablePayloadError("periods: expected objects")
    return list(_periods_of(rotation_id, item))


def _periods_of(rotation_id: str, item: Payload) -> Iterator[Period]:
    start_at, end_at = required_timestamp(item, "startDate"), required_timestamp(item, "endDate")
    if end_at <= start_at:
        return
    for recipient in _recipients(item):
        identity = key_text(recipient, "id") or key_text(recipient, "username") or key_text(recipient, "name")
        if identity is None or text(recipient, "type") == "none":
            continue
        yield Period(
            rotation_id,
            start_at,
            identity,
            text(recipient, "type"),
            text(recipient, "name") or text(recipient, "username"),
            end_at,
            text(item, "type"),
            OPSGENIE,
            json_text(item),
        )


def _recipients(item: Payload) -> Iterable[Payload]:
    recipient = nested(item, "recipient")
    flattened = item.get("flattenedRecipients")
    if flattened is None or (not flattened and text(recipient, "type") == "user"):
        return [recipient]
    return objects(item, "flattenedRecipients")


def merge_history(
    stored: Iterable[Period], coverage: Coverage | None, read: Iterable[Period]
) -> list[Period]:
    """The whole history after a read: ``stored`` within its coverage, ``read`` for the rest."""
    stored, read = list(stored), list(read)
    if coverage is None:
        return join_touching(read)
    periods = join_touching(
        [
            *clip(read, until=coverage.read_from),
            *clip(stored, until=coverage.read_at),
            *clip(read, since=coverage.read_at),
        ]
    )
    # The raw payload depends on the window that was read; on its own it is not a change.
    known = {period._replace(raw=None): period for period in stored}
    return [known.get(period._replace(raw=None), period) for period in periods]


def clip(
    periods: Iterable[Period], *, since: datetime | None = None, until: datetime | None = None
) -> Iterator[Period]:
    """The parts of the periods within [since, until)."""
    for period in periods:
        start_at = period.start_at if since is None else max(period.start_at, since)
        end_at = period.end_at if until is None else min(period.end_at, until)
        if start_at < end_at:
            yield period._replace(start_at=start_at, end_at=end_at)


def join_touching(periods: Iterable[Period]) -> list[Period]:
    """Joins touching or overlapping periods of the same rotation and recipient.

    The other fields are those of the later part: a period's type becomes "historical" once it is over.
    """

    def whose(period: Period) -> tuple[str, str]:
        return period.rotation_id, period.recipient_id

    result: list[Period] = []
    for _, group in groupby(sorted(periods, key=lambda p: (*whose(p), p.start_at, p.end_at)), key=whose):
        current: Period | None = None
        for period in group:
            if current is not None and period.start_at <= current.end_at:
                latest = period if period.end_at >= current.end_at else current
                current = latest._replace(start_at=current.start_at)
                continue
            if current is not None:
                result.append(current)
            current = period
        if current is not None:
            result.append(current)
    return result
