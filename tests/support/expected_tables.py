"""What the staging tables must hold, worked out from the contract and the stand-in's own objects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sandbox.instants import to_datetime, to_nanos
from sandbox.opsgenie import Store
from sandbox.opsgenie.model import Entry, Incident
from sandbox.opsgenie.oncall import lines, people
from sandbox.opsgenie.rotations import Span
from tests.support.postgres import Row, Warehouse

KEYS = {
    "opsgenie_incidents": ("account", "incident_id"),
    "opsgenie_incident_services": ("account", "incident_id", "service_id"),
    "opsgenie_incident_responders": ("account", "incident_id", "responder_type", "responder_id"),
    "opsgenie_incident_timeline": ("account", "incident_id", "entry_id"),
    "opsgenie_services": ("account", "service_id"),
    "opsgenie_teams": ("account", "team_id"),
    "opsgenie_users": ("account", "user_id"),
    "opsgenie_schedules": ("account", "schedule_id"),
    "opsgenie_rotations": ("account", "schedule_id", "rotation_id"),
    "opsgenie_on_call_periods": ("account", "schedule_id", "rotation_id", "start_at", "recipient_id"),
    "opsgenie_escalations": ("account", "escalation_id"),
    "opsgenie_escalation_rules": ("account", "escalation_id", "step"),
}
# Not of the contract, or not known in advance.
UNCOMPARED = {"synced_at", "key_reach"}


def differences(
    warehouse: Warehouse,
    expected: Mapping[str, Iterable[Row]],
    *,
    account: str = "opsgenie_default",
    backend: str | None = None,
    without: Collection[str] = (),
) -> list[str]:
    """Every column of every row that is not as expected, in words; rows of other accounts, or read from
    another backend, ignored.

    :param without: columns that are not compared.
    """
    found = []
    for table, rows in expected.items():
        key = KEYS[table]
        wanted = {tuple(row[name] for name in key): row for row in rows}
        stored = {
            tuple(row[name] for name in key): row
            for row in warehouse.table(table)
            if row["account"] == account and (backend is None or row.get("backend", backend) == backend)
        }
        found += [f"{table}: {item} is missing" for item in wanted.keys() - stored.keys()]
        found += [f"{table}: {item} is too many" for item in stored.keys() - wanted.keys()]
        for item in wanted.keys() & stored.keys():
            columns = stored[item].keys() - UNCOMPARED - set(without)
            if table == "opsgenie_on_call_periods":
                # A row may cover several periods of the source.
                columns -= {"raw"}
            found += [
                f"{table}: nothing expected for column {name}" for name in columns - wanted[item].keys()
            ]
            found += [
                f"{table}: {item} {name} is {stored[item][name]!r}, not {wanted[item][name]!r}"
                for name in sorted(columns & wanted[item].keys())
                if stored[item][name] != wanted[item][name]
            ]
            if stored[item]["synced_at"] is None:
                found.append(f"{table}: {item} has no synced_at")
    return sorted(found)


def whole_account(
    store: Store,
    windows: Mapping[str, tuple[datetime, datetime]],
    *,
    account: str = "opsgenie_default",
    since: datetime | None = None,
) -> dict[str, list[Row]]:
    """All tables after a first sync. ``windows``: which part of each schedule's timeline was read."""
    incidents = [
        incident
        for incident in store.incidents.all()
        if since is None or to_datetime(incident.created_at) >= since
    ]
    return {
        **incident_tables(incidents, account=account),
        **catalogue_tables(store, account=account),
        "opsgenie_on_call_periods": [
            row
            for id_, window in windows.items()
            for row in on_call_rows(store, id_, *window, account=account)
        ],
    }


def incident_tables(
    incidents: Iterable[Incident], *, account: str = "opsgenie_default", timelines: bool = True
) -> dict[str, list[Row]]:
    """The four tables of some incidents. ``timelines``: they have been read."""
    incidents = list(incidents)
    tables: dict[str, list[Row]] = {
        "opsgenie_incidents": [incident_row(incident, account, timelines) for incident in incidents],
        "opsgenie_incident_services": [
            {"account": account, "incident_id": incident.id, "service_id": id_, "raw": id_}
            for incident in incidents
            for id_ in incident.services
        ],
        "opsgenie_incident_responders": [
            {
                "account": account,
                "incident_id": incident.id,
                "responder_type": who["type"],
                "responder_id": who["id"],
                "raw": who,
            }
            for incident in incidents
            for who in incident.responders
        ],
    }
    if timelines:
        tables["opsgenie_incident_timeline"] = [
            _entry_row(incident, entry, account) for incident in incidents for entry in incident.entries
        ]
    return tables


def incident_row(incident: Incident, account: str, timelines: bool = True) -> Row:
    at = {
        type_: sorted(entry.at for entry in incident.entries if entry.type == type_ and timelines)
        for type_ in ("ResponderAlertAcked", "IncidentResolved", "IncidentClosed")
    }
    resolved, source = None, None
    if incident.status in ("resolved", "closed"):
        if incident.impact_end is not None:
            resolved, source = incident.impact_end, "impact_end"
        elif at["IncidentResolved"]:
            resolved, source = at["IncidentResolved"][-1], "timeline"
    return {
        "account": account,
        "incident_id": incident.id,
        "tiny_id": incident.tiny_id,
        "message": incident.message,
        "description": incident.description or None,
        "status": incident.status,
        "priority": incident.priority,
        "created_at": instant_at(incident.created_at),
        "updated_at": instant_at(incident.updated_at),
        "impact_start_at": instant_at(
            incident.created_at if incident.impact_start is None else incident.impact_start
        ),
        "impact_end_at": instant_at(incident.impact_end),
        "acknowledged_at": instant_at(min(at["ResponderAlertAcked"], default=None)),
        "resolved_at": instant_at(resolved),
        "closed_at": instant_at(max(at["IncidentClosed"], default=None))
        if incident.status == "closed"
        else None,
        "resolved_at_source": source,
        "tags": list(incident.tags),
        "details": dict(incident.details),
        "web_url": f"https://acme.app.opsgenie.com/incident/detail/{incident.id}",
        "deleted_at": None,
        "backend": "opsgenie",
        "raw": incident.payload(),
    }


def _entry_row(incident: Incident, entry: Entry, account: str) -> Row:
    return {
        "account": account,
        "incident_id": incident.id,
        "entry_id": entry.id,
        "entry_type": entry.type,
        "event_at": instant_at(entry.at),
        "actor_name": entry.actor or None,
        "actor_type": entry.actor_type,
        "raw": entry.payload(),
    }


def catalogue_tables(store: Store, *, account: str = "opsgenie_default") -> dict[str, list[Row]]:
    """Services, teams, users, schedules, rotations, escalation policies and their rules."""

    def owner(team_id: str) -> Row:
        team = store.teams[team_id]
        return {"ownerTeam": {"id": team.id, "name": team.name}}

    tables: dict[str, list[Row]] = {
        "opsgenie_services": [
            {
                "service_id": service.id,
                "name": service.name,
                "team_id": service.team_id,
                "raw": service.payload(),
            }
            for service in store.services.values()
        ],
        "opsgenie_teams": [
            {"team_id": item.id, "name": item.name, "raw": item.payload()} for item in store.teams.values()
        ],
        "opsgenie_users": [
            {
                "user_id": user.id,
                "username": user.username,
                "full_name": user.full_name,
                "raw": user.payload(),
            }
            for user in store.users.values()
        ],
        "opsgenie_schedules": [
            {
                "schedule_id": schedule.id,
                "name": schedule.name,
                "timezone": schedule.timezone,
                "enabled": schedule.enabled,
                "team_id": schedule.team_id,
                "raw": schedule.meta()
                | {"description": schedule.description, "timezone": schedule.timezone}
                | owner(schedule.team_id)
                | {"rotations": [rotation.payload() for rotation in schedule.rotations]},
            }
            for schedule in store.schedules.values()
        ],
        "opsgenie_rotations": [
            {
                "schedule_id": schedule.id,
                "rotation_id": rotation.id,
                "name": rotation.name,
                "rotation_type": rotation.type,
                "rotation_length": rotation.length,
                "start_at": instant_at(rotation.start),
                "end_at": instant_at(rotation.end),
                "participants": [who.payload() for who in rotation.participants],
                "time_restriction": rotation.restriction,
                "raw": rotation.payload(),
            }
            for schedule in store.schedules.values()
            for rotation in schedule.rotations
        ],
        "opsgenie_escalations": [
            {
                "escalation_id": escalation.id,
                "name": escalation.name,
                "team_id": escalation.team_id,
                "repeat_count": escalation.repeat["count"] if escalation.repeat else None,
                "repeat_wait_seconds": escalation.repeat["waitInterval"] * 60 if escalation.repeat else None,
                "raw": {"id": escalation.id, "name": escalation.name, "description": escalation.description}
                | owner(escalation.team_id)
                | {"rules": [rule.payload() for rule in escalation.rules]}
                | ({"repeat": escalation.repeat} if escalation.repeat else {}),
            }
            for escalation in store.escalations.values()
        ],
        "opsgenie_escalation_rules": [
            {
                "escalation_id": escalation.id,
                "step": step,
                "condition": rule.condition,
                "notify_type": rule.notify_type,
                "delay_seconds": rule.delay_minutes * 60,
                "recipient_type": rule.recipient.type,
                "recipient_id": rule.recipient.id,
                "recipient_name": rule.recipient.name,
                "raw": rule.payload(),
            }
            for escalation in store.escalations.values()
            for step, rule in enumerate(escalation.rules, start=1)
        ],
    }
    return {
        name: [{"account": account, "backend": "opsgenie", **row} for row in rows]
        for name, rows in tables.items()
    }


def on_call_rows(
    store: Store, schedule_id: str, start: datetime, end: datetime, *, account: str = "opsgenie_default"
) -> list[Row]:
    """Who is on call in a window: touching periods of a rotation and a person as one row."""
    now = store.clock()
    schedule = store.schedules[schedule_id]
    pieces = []
    for line in lines(store, schedule, Span(to_nanos(start), to_nanos(end))):
        for period in line.final:
            if period.who is None:
                continue
            # The service says of the past who the people were, and says "historical".
            for span, past in ((Span(period.span.start, min(period.span.end, now)), True),
                               (Span(max(period.span.start, now), period.span.end), False)):  # fmt: skip
                who = people(store, period.who) if past else [period.who]
                pieces += [
                    (line.rotation.id, item.id, span, item, "historical" if past else period.type)
                    for item in who
                    if span.start < span.end
                ]
    rows: list[Row] = []
    for rotation_id, _, span, who, type_ in sorted(
        pieces, key=lambda piece: (piece[0], piece[1], piece[2].start)
    ):
        last = rows[-1] if rows else {}
        if (last.get("rotation_id"), last.get("recipient_id")) == (rotation_id, who.id) and last[
            "end_at"
        ] >= instant_at(span.start):
            # Forwarding may give somebody a shift within their own.
            last |= {"end_at": max(last["end_at"], instant_at(span.end)), "period_type": type_}
            continue
        rows.append(
            {
                "account": account,
                "schedule_id": schedule_id,
                "rotation_id": rotation_id,
                "start_at": instant_at(span.start),
                "recipient_id": who.id,
                "recipient_type": who.type,
                "recipient_name": who.name,
                "end_at": instant_at(span.end),
                "period_type": type_,
                "backend": "opsgenie",
            }
        )
    return rows


def instant_at(instant: int | None) -> datetime | None:
    """PostgreSQL keeps microseconds; what is finer is cut."""
    return None if instant is None else to_datetime(instant)
