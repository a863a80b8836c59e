"""JSON of Operations, which differs from OpsGenie's: ids without names, delays in minutes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sandbox.instants import Nanos
from sandbox.jsm.model import Json, ops_time
from sandbox.jsm.store import Store
from sandbox.opsgenie import oncall
from sandbox.opsgenie.oncall import Period
from sandbox.opsgenie.rotations import Span
from sandbox.opsgenie.staff import Escalation, Override, Participant, Rotation, Rule, Schedule


def participant(who: Participant) -> Json:
    """In a rotation; a gap has type `noone` and no id."""
    return {"type": "noone", "id": None} if who.type == "none" else {"type": who.type, "id": who.id}


def rotation(rotation: Rotation) -> Json:
    body: Json = {
        "id": rotation.id,
        "name": rotation.name,
        "startDate": ops_time(rotation.start),
        "type": rotation.type,
        "length": rotation.length,
        "participants": [participant(who) for who in rotation.participants],
    }
    if rotation.end is not None:
        body["endDate"] = ops_time(rotation.end)
    if rotation.restriction is not None:
        body["timeRestriction"] = rotation.restriction
    return body


def schedule(store: Store, schedule: Schedule, expanded: bool) -> Json:
    body: Json = {
        "id": schedule.id,
        "name": schedule.name,
        "description": schedule.description,
        "timezone": schedule.timezone,
        "enabled": schedule.enabled,
        "teamId": schedule.team_id,
    }
    if not schedule.team_id and store.switches.global_team != "empty":
        body["teamId"] = None
        if store.switches.global_team == "absent":
            del body["teamId"]
    if expanded:
        body["rotations"] = [rotation(each) for each in schedule.rotations]
    return body


def override(override: Override) -> Json:
    """rotationIds null: all rotations."""
    return {
        "alias": override.alias,
        "responder": participant(override.user),
        "startDate": ops_time(override.start),
        "endDate": ops_time(override.end),
        "rotationIds": override.rotations or None,
    }


def escalation(store: Store, escalation: Escalation) -> Json:
    """Without the team, which is the one that the list was requested for."""
    body: Json = {
        "id": escalation.id,
        "name": escalation.name,
        "description": escalation.description,
        "rules": [_rule(rule) for rule in escalation.rules],
        "enabled": True,
    }
    never: Json = {"waitInterval": 0, "count": 1, "resetRecipientStates": False, "closeAlertAfterAll": False}
    if escalation.repeat is not None or store.switches.no_repeat == "zero":
        body["repeat"] = escalation.repeat or never
    return body


def _rule(rule: Rule) -> Json:
    return {
        "condition": rule.condition,
        "notifyType": rule.notify_type,
        "delay": rule.delay_minutes,
        "recipient": {"id": rule.recipient.id, "type": rule.recipient.type},
    }


def _responder(store: Store, who: Participant | None) -> Json:
    """In a timeline; `deleted`: whether the user, team or escalation was deleted."""
    if who is None or who.type == "none":
        return {"type": "noone", "deleted": False}
    operations = store.operations
    known: dict[str, Collection[str]] = {
        "user": operations.users, "team": operations.teams, "escalation": operations.escalations,
    }  # fmt: skip
    return {"id": who.id, "type": who.type, "deleted": who.id not in known.get(who.type, ())}


def _period(store: Store, period: Period, historical: bool) -> Json:
    """Only past periods list the users behind a team or an escalation."""
    kind = "base" if period.type == "default" else period.type
    body: Json = {
        "startDate": ops_time(period.span.start),
        "endDate": ops_time(period.span.end),
        "type": "historical" if historical else kind,
        "responder": _responder(store, period.who),
    }
    if historical and period.who is not None:
        people = oncall.people(store.operations, period.who)
        body["flattenedResponders"] = [_responder(store, person) for person in people]
    if period.from_user and not historical:
        body["from"] = _from(store, period.from_user)
    return body


def _from(store: Store, username: str) -> Json:
    users = store.operations.users.values()
    id_ = next((user.id for user in users if user.username == username), "")
    return {"id": id_, "type": "user", "deleted": not id_}


def _line(
    store: Store, rotation: Rotation, order: int | None, periods: list[Period], now: Nanos | None
) -> Json:
    """Periods before `now` are historical; the ongoing period is split there."""
    printed = []
    for period in periods:
        past = None if now is None else period.span.cut(Span(period.span.start, now))
        if past:
            printed.append(_period(store, replace(period, span=past), True))
        rest = period.span.minus([past] if past else [])
        printed += [_period(store, replace(period, span=span), False) for span in rest]
    return {
        "id": rotation.id,
        "name": rotation.name,
        "order": None if order is None else float(order),
        "deleted": order is None,
        "periods": printed,
    }


def timeline(store: Store, schedule: Schedule, window: Span, expand: set[str], now: Nanos) -> Json:
    """Deleted rotations keep their past, with `deleted` true and no order."""
    lines = oncall.lines(store.operations, schedule, window)
    orders = {each.id: place for place, each in enumerate(schedule.rotations)}

    def layer(name: str, until: Nanos | None) -> Json:
        rows = [
            _line(store, line.rotation, orders.get(line.rotation.id), getattr(line, name), until)
            for line in lines
        ]
        return {"rotations": rows}

    body: Json = {
        "startDate": ops_time(window.start),
        "endDate": ops_time(window.end),
        "finalTimeline": layer("final", now),
        "_expands": ["base", "forwarding", "override"],
    }
    return body | {f"{name}Timeline": layer(name, None) for name in sorted(expand)}


def on_call(store: Store, schedule: Schedule, at: Nanos, flat: bool) -> Json:
    """Account ids, or the tree of participants."""
    found = oncall.on_call(store.operations, schedule, at)
    if flat:
        ids = [person.id for who in found for person in oncall.people(store.operations, who)]
        return {"onCallUsers": list(dict.fromkeys(ids))}
    forwarded = {
        period.who: period.from_user
        for line in oncall.lines(store.operations, schedule, Span(at, at + 1))
        for period in line.final
        if period.from_user
    }
    participants = []
    for who in found:
        body: Json = {"id": who.id, "type": who.type}
        if who.type != "user":
            people = oncall.people(store.operations, who)
            body["onCallParticipants"] = [{"id": person.id, "type": "user"} for person in people]
        if who in forwarded:
            body["forwardedFrom"] = {"id": _from(store, forwarded[who])["id"], "type": "user"}
        participants.append(body)
    return {"onCallParticipants": participants}
