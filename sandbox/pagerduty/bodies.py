"""How the API prints incidents, log entries, notes and alerts, for one request's time zone and include[]."""

from __future__ import annotations

from sandbox.instants import SECOND, Nanos, stamp
from sandbox.pagerduty.catalogue_bodies import API, WEB, Catalogue
from sandbox.pagerduty.model import Agent, Alert, Incident, Json, LogEntry, Note

_SAID = {
    "trigger": "Triggered",
    "acknowledge": "Acknowledged",
    "resolve": "Resolved",
    "unacknowledge": "Unacknowledged",
    "annotate": "Note added",
    "assign": "Assigned",
    "notify": "Notified",
}


class View(Catalogue):
    """`zone` renders every timestamp; `include` holds the values of include[]."""

    def incident_ref(self, one: Incident) -> Json:
        return {
            "id": one.id,
            "type": "incident_reference",
            "summary": f"[#{one.number}] {one.title}",
            "self": f"{API}/incidents/{one.id}",
            "html_url": f"{WEB}/incidents/{one.id}",
        }

    def incident(self, one: Incident) -> Json:
        """resolved_at is null unless it is resolved; assignments and acknowledgements are empty then."""
        include = self.include
        is_open = one.status != "resolved"
        changed = one.updated_at if one.status == "triggered" else one.changed_at
        body: Json = {
            **self.incident_ref(one),
            "type": "incident",
            "incident_number": one.number,
            "title": one.title,
            "created_at": self.at(one.created_at),
            "updated_at": self.at(one.updated_at),
            "status": one.status,
            "incident_key": None if one.alerts else one.key,
            "service": self.ref("service", one.service_id, full="services" in include),
            "assignments": [
                {"at": self.at(at), "assignee": self.ref("user", user, full="assignees" in include)}
                for at, user in (one.assigned if is_open else ())
            ],
            "assigned_via": "escalation_policy",
            "last_status_change_at": self.at(changed),
            "last_status_change_by": self.agent(one.changed_by, full="agents" in include),
            "resolved_at": None if is_open or one.resolved_at is None else self.at(one.resolved_at),
            "first_trigger_log_entry": self._first_trigger(one),
            "alert_counts": {
                "all": len(one.alerts),
                "triggered": sum(alert.resolved_at is None for alert in one.alerts),
                "resolved": sum(alert.resolved_at is not None for alert in one.alerts),
            },
            "is_mergeable": bool(one.alerts) or one.entries[0].agent[0] == "user",
            "incident_type": {"name": "incident_default"},
            "escalation_policy": self.ref(
                "escalation_policy", one.policy_id, full="escalation_policies" in include
            ),
            "teams": [self.ref("team", id_, full="teams" in include) for id_ in one.team_ids],
            "pending_actions": self._pending(one) if is_open else [],
            "acknowledgements": [
                {"at": self.at(at), "acknowledger": self.agent(who, full="acknowledgers" in include)}
                for at, who in (one.acks if one.status == "acknowledged" else ())
            ],
            "alert_grouping": None,
            "priority": self._priority(one.priority_id),
            "resolve_reason": self._reason(one),
            "incidents_responders": [],
            "responder_requests": [],
            "urgency": one.urgency,
        }
        if "conference_bridge" in include:
            body["conference_bridge"] = None
        if "body" in include:
            body["body"] = {"type": "incident_body", "details": one.body}
        return body | dict.fromkeys(one.nulls)

    def agent(self, who: Agent, full: bool = False) -> Json:
        return self.ref(*who, full=full)

    def entry(self, entry: LogEntry, one: Incident, digits: int = 0) -> Json:
        include = self.include
        kind = f"{entry.type}_log_entry"
        agent = self.agent(entry.agent)
        body: Json = {
            **self._entry_ref(entry),
            "type": kind,
            "summary": f"{_SAID.get(entry.type, entry.type.replace('_', ' ').capitalize())}"
            f" {'by' if entry.agent[0] == 'user' else 'through'} {agent['summary']}",
            "created_at": self.at(entry.at, digits),
            "agent": agent,
            "channel": {"type": entry.channel},
            "service": self.ref("service", one.service_id, full="services" in include),
            "incident": self.incident(one) if "incidents" in include else self.incident_ref(one),
            "teams": [self.ref("team", id_, full="teams" in include) for id_ in one.team_ids],
            "contexts": [],
        }
        if "channels" in include:
            body["channel"]["summary"] = f"The {entry.channel}"
        if entry.type == "trigger":
            body["event_details"] = {"description": entry.text or one.title}
        if entry.type == "acknowledge":
            service = self.store.services.get(one.service_id)
            body["acknowledgement_timeout"] = service.acknowledgement_timeout if service else None
        if entry.user is not None:
            body["user"] = self.ref("user", entry.user)
        if entry.note is not None:
            body["note"] = entry.note
        return body

    def note(self, note: Note) -> Json:
        """A service's note names it in the summary of a bot_user_reference (specification)."""
        if note.user is not None:
            user = self.ref("user", note.user)
            channel: Json = {"summary": "The PagerDuty website or APIs"}
        else:
            user = {
                "id": note.id,
                "type": "bot_user_reference",
                "summary": note.bot,
                "self": None,
                "html_url": None,
            }
            channel = {"id": note.id, "type": "event_rule_reference", "summary": note.bot}
        return {
            "id": note.id,
            "user": user,
            "channel": channel,
            "content": note.content,
            "created_at": self.at(note.at),
            "updated_at": self.at(note.updated_at),
        }

    def alert(self, alert: Alert, one: Incident) -> Json:
        include = self.include
        integration = f"{one.service_id}/integrations/{one.service_id}"
        return {
            "id": alert.id,
            "type": "alert",
            "summary": alert.summary,
            "self": f"{API}/incidents/{one.id}/alerts/{alert.id}",
            "html_url": f"{WEB}/alerts/{alert.id}",
            "created_at": self.at(alert.created_at),
            "resolved_at": None if alert.resolved_at is None else self.at(alert.resolved_at),
            "status": "triggered" if alert.resolved_at is None else "resolved",
            "alert_key": alert.key,
            "service": self.ref("service", one.service_id, full="services" in include),
            "body": {"type": "alert_body", "contexts": [], "details": alert.details},
            "first_trigger_log_entry": self._first_trigger(one),
            "incident": self.incident(one) if "incidents" in include else self.incident_ref(one),
            "suppressed": False,
            "severity": alert.severity,
            "integration": {
                "id": one.service_id,
                "type": "events_api_v2_inbound_integration_reference",
                "summary": "Events API v2",
                "self": f"{API}/services/{integration}",
                "html_url": f"{WEB}/services/{integration}",
            },
        }

    def _entry_ref(self, entry: LogEntry) -> Json:
        return {
            "id": entry.id,
            "type": f"{entry.type}_log_entry_reference",
            "summary": "Triggered through the API" if entry.channel == "api" else "Triggered",
            "self": f"{API}/log_entries/{entry.id}?incident_id={entry.incident_id}",
            "html_url": f"{WEB}/incidents/{entry.incident_id}/log_entries/{entry.id}",
        }

    def _first_trigger(self, one: Incident) -> Json:
        first = one.entries[0]
        if "first_trigger_log_entries" not in self.include:
            return self._entry_ref(first)
        return View(self.store, self.zone, frozenset()).entry(first, one)

    def _priority(self, id_: str | None) -> Json | None:
        if id_ is None or "priorities" not in self.store.abilities:
            return None
        return self.ref("priority", id_, full="priorities" in self.include)

    def _reason(self, one: Incident) -> Json | None:
        target = self.store.incidents.get(one.merged_into) if one.merged_into else None
        return {"type": "merge_resolve_reason", "incident": self.incident_ref(target)} if target else None

    def _pending(self, one: Incident) -> list[Json]:
        service = self.store.services.get(one.service_id)
        timeout = service.auto_resolve_timeout if service else None
        return [{"type": "resolve", "at": self.at(one.created_at + timeout * SECOND)}] if timeout else []

    def at(self, instant: Nanos, digits: int = 0) -> str:
        return stamp(instant, self.zone, digits)
