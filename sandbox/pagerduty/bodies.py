"""JSON of incidents, log entries, notes and alerts, for a request's time zone and include[]."""

from __future__ import annotations

from sandbox.instants import SECOND, Nanos, stamp
from sandbox.pagerduty.catalogue_bodies import API, WEB, Catalogue
from sandbox.pagerduty.model import Agent, Alert, Incident, Json, LogEntry, Note

_VERBS = {
    "trigger": "Triggered",
    "acknowledge": "Acknowledged",
    "resolve": "Resolved",
    "unacknowledge": "Unacknowledged",
    "annotate": "Note added",
    "assign": "Assigned",
    "notify": "Notified",
}


class View(Catalogue):
    """`zone`: time zone of all timestamps; `include`: the values of include[]."""

    def incident_ref(self, incident: Incident) -> Json:
        return {
            "id": incident.id,
            "type": "incident_reference",
            "summary": f"[#{incident.number}] {incident.title}",
            "self": f"{API}/incidents/{incident.id}",
            "html_url": f"{WEB}/incidents/{incident.id}",
        }

    def incident(self, incident: Incident) -> Json:
        """resolved_at is null unless it is resolved; then assignments and acknowledgements are empty."""
        include = self.include
        is_open = incident.status != "resolved"
        changed = incident.updated_at if incident.status == "triggered" else incident.changed_at
        body: Json = {
            **self.incident_ref(incident),
            "type": "incident",
            "incident_number": incident.number,
            "title": incident.title,
            "created_at": self.at(incident.created_at),
            "updated_at": self.at(incident.updated_at),
            "status": incident.status,
            "incident_key": None if incident.alerts else incident.key,
            "service": self.ref("service", incident.service_id, full="services" in include),
            "assignments": [
                {"at": self.at(at), "assignee": self.ref("user", user, full="assignees" in include)}
                for at, user in (incident.assigned if is_open else ())
            ],
            "assigned_via": "escalation_policy",
            "last_status_change_at": self.at(changed),
            "last_status_change_by": self.agent(incident.changed_by, full="agents" in include),
            "resolved_at": None if is_open or incident.resolved_at is None else self.at(incident.resolved_at),
            "first_trigger_log_entry": self._first_trigger(incident),
            "alert_counts": {
                "all": len(incident.alerts),
                "triggered": sum(alert.resolved_at is None for alert in incident.alerts),
                "resolved": sum(alert.resolved_at is not None for alert in incident.alerts),
            },
            "is_mergeable": bool(incident.alerts) or incident.entries[0].agent[0] == "user",
            "incident_type": {"name": "incident_default"},
            "escalation_policy": self.ref(
                "escalation_policy", incident.policy_id, full="escalation_policies" in include
            ),
            "teams": [self.ref("team", id_, full="teams" in include) for id_ in incident.team_ids],
            "pending_actions": self._pending(incident) if is_open else [],
            "acknowledgements": [
                {"at": self.at(at), "acknowledger": self.agent(who, full="acknowledgers" in include)}
                for at, who in (incident.acks if incident.status == "acknowledged" else ())
            ],
            "alert_grouping": None,
            "priority": self._priority(incident.priority_id),
            "resolve_reason": self._reason(incident),
            "incidents_responders": [],
            "responder_requests": [],
            "urgency": incident.urgency,
        }
        if "conference_bridge" in include:
            body["conference_bridge"] = None
        if "body" in include:
            body["body"] = {"type": "incident_body", "details": incident.body}
        return body | dict.fromkeys(incident.nulls)

    def agent(self, who: Agent, full: bool = False) -> Json:
        return self.ref(*who, full=full)

    def entry(self, entry: LogEntry, incident: Incident, digits: int = 0) -> Json:
        include = self.include
        kind = f"{entry.type}_log_entry"
        agent = self.agent(entry.agent)
        body: Json = {
            **self._entry_ref(entry),
            "type": kind,
            "summary": f"{_VERBS.get(entry.type, entry.type.replace('_', ' ').capitalize())}"
            f" {'by' if entry.agent[0] == 'user' else 'through'} {agent['summary']}",
            "created_at": self.at(entry.at, digits),
            "agent": agent,
            "channel": {"type": entry.channel},
            "service": self.ref("service", incident.service_id, full="services" in include),
            "incident": self.incident(incident) if "incidents" in include else self.incident_ref(incident),
            "teams": [self.ref("team", id_, full="teams" in include) for id_ in incident.team_ids],
            "contexts": [],
        }
        if "channels" in include:
            body["channel"]["summary"] = f"The {entry.channel}"
        if entry.type == "trigger":
            body["event_details"] = {"description": entry.text or incident.title}
        if entry.type == "acknowledge":
            service = self.store.services.get(incident.service_id)
            body["acknowledgement_timeout"] = service.acknowledgement_timeout if service else None
        if entry.user is not None:
            body["user"] = self.ref("user", entry.user)
        if entry.note is not None:
            body["note"] = entry.note
        return body

    def note(self, note: Note) -> Json:
        """A note by a service has its name in the summary of a bot_user_reference (specification)."""
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

    def alert(self, alert: Alert, incident: Incident) -> Json:
        include = self.include
        integration = f"{incident.service_id}/integrations/{incident.service_id}"
        return {
            "id": alert.id,
            "type": "alert",
            "summary": alert.summary,
            "self": f"{API}/incidents/{incident.id}/alerts/{alert.id}",
            "html_url": f"{WEB}/alerts/{alert.id}",
            "created_at": self.at(alert.created_at),
            "resolved_at": None if alert.resolved_at is None else self.at(alert.resolved_at),
            "status": "triggered" if alert.resolved_at is None else "resolved",
            "alert_key": alert.key,
            "service": self.ref("service", incident.service_id, full="services" in include),
            "body": {"type": "alert_body", "contexts": [], "details": alert.details},
            "first_trigger_log_entry": self._first_trigger(incident),
            "incident": self.incident(incident) if "incidents" in include else self.incident_ref(incident),
            "suppressed": False,
            "severity": alert.severity,
            "integration": {
                "id": incident.service_id,
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

    def _first_trigger(self, incident: Incident) -> Json:
        first = incident.entries[0]
        if "first_trigger_log_entries" not in self.include:
            return self._entry_ref(first)
        return View(self.store, self.zone, frozenset()).entry(first, incident)

    def _priority(self, id_: str | None) -> Json | None:
        if id_ is None or "priorities" not in self.store.abilities:
            return None
        return self.ref("priority", id_, full="priorities" in self.include)

    def _reason(self, incident: Incident) -> Json | None:
        target = self.store.incidents.get(incident.merged_into) if incident.merged_into else None
        return {"type": "merge_resolve_reason", "incident": self.incident_ref(target)} if target else None

    def _pending(self, incident: Incident) -> list[Json]:
        service = self.store.services.get(incident.service_id)
        timeout = service.auto_resolve_timeout if service else None
        return [{"type": "resolve", "at": self.at(incident.created_at + timeout * SECOND)}] if timeout else []

    def at(self, instant: Nanos, digits: int = 0) -> str:
        return stamp(instant, self.zone, digits)
