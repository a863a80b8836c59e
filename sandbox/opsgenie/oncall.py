"""Who is on call: rotations, then overrides, then forwarding rules; the past as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sandbox.instants import Nanos, iso
from sandbox.opsgenie.rotations import Span, shifts
from sandbox.opsgenie.staff import Participant, Rotation, Schedule
from sandbox.opsgenie.store import Store


@dataclass(frozen=True, slots=True)
class Period:
    """`who` is None where nobody is on call."""

    span: Span
    who: Participant | None
    type: str = "default"
    from_user: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A rotation and its periods in each of the four timelines."""

    rotation: Rotation
    base: list[Period]
    override: list[Period]
    forwarding: list[Period]
    final: list[Period]


def _ordered(periods: list[Period]) -> list[Period]:
    return sorted(periods, key=lambda period: period.span.start)


def _versions(schedule: Schedule, window: Span) -> Iterator[tuple[Span, list[Rotation]]]:
    """The window, split where the rotations changed; each part with its rotations."""
    start = window.start
    for until, rotations in schedule.past:
        if start < min(until, window.end):
            yield Span(start, min(until, window.end)), rotations
            start = until
    if start < window.end:
        yield Span(start, window.end), schedule.rotations


def _base(schedule: Schedule, window: Span) -> dict[str, tuple[Rotation, list[Period]]]:
    """Each rotation, including deleted rotations with a past, and its periods."""
    lines: dict[str, tuple[Rotation, list[Period]]] = {}
    for span, rotations in _versions(schedule, window):
        for rotation in rotations:
            periods = lines.get(rotation.id, (rotation, []))[1]
            for shift, who in shifts(rotation, span, schedule.timezone):
                periods.append(Period(shift, None if who.type == "none" else who))
            lines[rotation.id] = (rotation, periods)
    return lines


def lines(store: Store, schedule: Schedule, window: Span) -> list[Line]:
    """The timelines of every rotation of a schedule over a window."""
    return [
        _line(store, schedule, rotation, base, window) for rotation, base in _base(schedule, window).values()
    ]


def _line(store: Store, schedule: Schedule, rotation: Rotation, base: list[Period], window: Span) -> Line:
    override = [
        Period(span, rule.user, "override")
        for rule in store.overrides
        if rule.schedule_id == schedule.id and (not rule.rotations or rotation.id in rule.rotations)
        if (span := Span(rule.start, rule.end).cut(window))
    ]
    # An override replaces the rotation during its whole length, even where the rotation has a gap.
    replaced = [period.span for period in override]
    kept = [replace(period, span=span) for period in base for span in period.span.minus(replaced)]
    forwarded: list[Period] = []
    final: list[Period] = []
    for period in [*kept, *override]:
        pieces = [
            Period(span, rule.to_user, "forwarding", rule.from_user.name)
            for rule in store.forwardings
            if rule.from_user == period.who and (span := Span(rule.start, rule.end).cut(period.span))
        ]
        forwarded += pieces
        rest = period.span.minus([piece.span for piece in pieces])
        final += [*pieces, *(replace(period, span=span) for span in rest)]
    return Line(rotation, _ordered(base), _ordered(override), _ordered(forwarded), _ordered(final))


def people(store: Store, who: Participant) -> list[Participant]:
    """The users behind a participant: itself, a team's members, or everyone on an escalation's first rule."""
    if who.type == "team":
        team = store.teams.get(who.id)
        members = [store.users[id_] for id_ in team.members if id_ in store.users] if team else []
        return [Participant("user", member.id, member.username) for member in members]
    if who.type == "escalation":
        escalation = store.escalations.get(who.id)
        return people(store, escalation.rules[0].recipient) if escalation and escalation.rules else []
    if who.type == "schedule":
        schedule = store.schedules.get(who.id)
        return (
            []
            if schedule is None
            else [user for participant in on_call(store, schedule) for user in people(store, participant)]
        )
    return [who]


def _payload(store: Store, period: Period, historical: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "startDate": iso(period.span.start),
        "endDate": iso(period.span.end),
        "type": "historical" if historical else period.type,
    }
    if period.from_user and not historical:
        body["fromUser"] = period.from_user
    if period.who is not None:
        body["recipient"] = period.who.recipient()
        if historical:
            if period.from_user:
                body["recipient"]["forwardedFrom"] = period.from_user
            body["flattenedRecipients"] = [user.recipient() for user in people(store, period.who)]
    return body


def _timeline(store: Store, pairs: list[tuple[Rotation, list[Period]]], now: Nanos | None) -> dict[str, Any]:
    """Periods before `now` are historical; the ongoing period is split there. `periods` may be missing."""
    rotations = []
    for order, (rotation, periods) in enumerate(pairs):
        body: dict[str, Any] = {"id": rotation.id, "name": rotation.name, "order": float(order)}
        printed = []
        for period in periods:
            past = None if now is None else period.span.cut(Span(period.span.start, now))
            if past:
                printed.append(_payload(store, replace(period, span=past), True))
            rest = period.span.minus([past] if past else [])
            printed += [_payload(store, replace(period, span=span), False) for span in rest]
        if printed:
            body["periods"] = printed
        rotations.append(body)
    return {"rotations": rotations}


def timeline(store: Store, schedule: Schedule, window: Span, expand: set[str], now: Nanos) -> dict[str, Any]:
    """The `data` of GET /v2/schedules/{id}/timeline; all instants in UTC."""
    found = lines(store, schedule, window)
    body: dict[str, Any] = {"_parent": schedule.meta()}
    if schedule.description:
        body["description"] = schedule.description
    team = store.teams.get(schedule.team_id)
    if team:
        body["ownerTeam"] = team.meta()
    body |= {
        "startDate": iso(window.start),
        "endDate": iso(window.end),
        "finalTimeline": _timeline(store, [(line.rotation, line.final) for line in found], now),
    }
    if "base" in expand:
        body["baseTimeline"] = _timeline(store, [(line.rotation, line.base) for line in found], None)
    if "override" in expand:
        body["overrideTimeline"] = _timeline(store, [(line.rotation, line.override) for line in found], None)
    if "forwarding" in expand:
        body["forwardingTimeline"] = _timeline(
            store, [(line.rotation, line.forwarding) for line in found], None
        )
    return body


def on_call(store: Store, schedule: Schedule, at: Nanos | None = None) -> list[Participant]:
    """Everyone on call at an instant, in the order of the rotations, each once."""
    now = store.clock() if at is None else at
    if not schedule.enabled:
        return []
    found = [
        period.who
        for line in lines(store, schedule, Span(now, now + 1))
        for period in line.final
        if period.who is not None
    ]
    return list(dict.fromkeys(found))


def on_call_payload(store: Store, schedule: Schedule, at: Nanos | None, flat: bool) -> dict[str, Any]:
    """`flat` gives usernames only (`onCallRecipients`), else the tree of participants."""
    found = on_call(store, schedule, at)
    if flat:
        names = [user.name for who in found for user in people(store, who)]
        return {"_parent": schedule.meta(), "onCallRecipients": list(dict.fromkeys(names))}
    return {"_parent": schedule.meta(), "onCallParticipants": [_participant(store, who) for who in found]}


def _participant(store: Store, who: Participant) -> dict[str, Any]:
    body: dict[str, Any] = who.recipient()
    if who.type != "user":
        body["onCallParticipants"] = [user.recipient() for user in people(store, who)]
    return body
