"""Computes the shifts of a rotation in a window of time, in the schedule's local time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sandbox.instants import HOUR, Nanos, to_datetime, to_nanos
from sandbox.opsgenie.staff import Participant, Rotation

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_STEPS = {"daily": timedelta(days=1), "weekly": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` up to, but not including, `end`."""

    start: Nanos
    end: Nanos

    def cut(self, other: Span) -> Span | None:
        """What both have in common."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Span(start, end) if start < end else None

    def minus(self, others: list[Span]) -> list[Span]:
        """The parts of this span that the others do not cover, in order."""
        left = [self]
        for other in others:
            pieces: list[Span] = []
            for piece in left:
                if piece.start < other.start:
                    pieces.append(Span(piece.start, min(piece.end, other.start)))
                if piece.end > other.end:
                    pieces.append(Span(max(piece.start, other.end), piece.end))
            left = [piece for piece in pieces if piece.start < piece.end]
        return left


def _instant(local: datetime, zone: ZoneInfo) -> Nanos:
    """Wall-clock time to an instant; for a time that a DST change skips, the later instant."""
    return to_nanos(local.replace(tzinfo=zone))


def _local(instant: Nanos, zone: ZoneInfo) -> datetime:
    return to_datetime(instant).astimezone(zone).replace(tzinfo=None)


def _turns(rotation: Rotation, window: Span, zone: ZoneInfo) -> Iterator[tuple[int, Span]]:
    """(number, span) of each turn that touches the window.

    Daily and weekly turns start at the same wall-clock time all year; hourly turns last real hours.
    """
    if rotation.type == "hourly":
        step = rotation.length * HOUR
        number = max(0, (window.start - rotation.start) // step)
        while (start := rotation.start + number * step) < window.end:
            yield number, Span(start, start + step)
            number += 1
        return
    first = _local(rotation.start, zone)
    pace = _STEPS[rotation.type] * rotation.length
    number = max(0, (_local(window.start, zone) - first) // pace - 1)
    while (start := _instant(first + number * pace, zone)) < window.end:
        yield number, Span(start, _instant(first + (number + 1) * pace, zone))
        number += 1


def _allowed(rotation: Rotation, window: Span, zone: ZoneInfo) -> list[Span]:
    """The parts of the window that the time restriction allows."""
    rule = rotation.restriction
    if rule is None:
        return [window]
    spans: list[Span] = []
    # A week earlier, because a weekday restriction may have begun before the window.
    day = (_local(window.start, zone) - timedelta(days=8)).replace(hour=0, minute=0, second=0, microsecond=0)
    last = _local(window.end, zone)
    while day <= last:
        for interval in [rule["restriction"]] if rule["type"] == "time-of-day" else rule["restrictions"]:
            days = 0
            if rule["type"] != "time-of-day":
                if WEEKDAYS[day.weekday()] != interval["startDay"]:
                    continue
                days = (WEEKDAYS.index(interval["endDay"]) - day.weekday()) % 7
            start = day + timedelta(hours=interval["startHour"], minutes=interval["startMin"])
            end = day + timedelta(days=days, hours=interval["endHour"], minutes=interval["endMin"])
            if end <= start:  # 22:00 to 06:00 ends the next day; monday to monday a week later
                end += timedelta(days=1 if rule["type"] == "time-of-day" else 7)
            inside = Span(_instant(start, zone), _instant(end, zone)).cut(window)
            if inside:
                spans.append(inside)
        day += timedelta(days=1)
    return sorted(spans, key=lambda span: span.start)


def shifts(rotation: Rotation, window: Span, timezone: str) -> list[tuple[Span, Participant]]:
    """The rotation's shifts within the window, its start and end, and its time restriction, in order."""
    zone = ZoneInfo(timezone)
    life = window.cut(Span(rotation.start, window.end if rotation.end is None else rotation.end))
    if life is None or not rotation.participants:
        return []
    allowed = _allowed(rotation, life, zone)
    found: list[tuple[Span, Participant]] = []
    for number, turn in _turns(rotation, life, zone):
        who = rotation.participants[number % len(rotation.participants)]
        for part in allowed:
            common = turn.cut(part)
            if common:
                found.append((common, who))
    return found
