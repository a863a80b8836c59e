"""JSON of references, services, teams, users, escalation policies and priorities."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any

from sandbox.instants import stamp
from sandbox.pagerduty.model import Json, Policy, Priority, Service, Team, User
from sandbox.pagerduty.store import Store

API = "https://api.pagerduty.com"
WEB = "https://acme.pagerduty.com"

#: reference type -> its API path and web page; priorities have no page (specification's example).
_PATHS = {
    "user": ("users", "users"),
    "team": ("teams", "teams"),
    "service": ("services", "service-directory"),
    "escalation_policy": ("escalation_policies", "escalation_policies"),
    "priority": ("priorities", ""),
}


class Catalogue:
    def __init__(self, store: Store, zone: tzinfo = UTC, include: frozenset[str] = frozenset()) -> None:
        self.store = store
        self.zone = zone
        self.include = include
        self._kinds = store.kinds()
        self._full: dict[str, Callable[[Any], Json]] = {
            "user": self.user,
            "team": self.team,
            "service": self.service,
            "escalation_policy": self.policy,
            "priority": self.priority,
        }

    def ref(self, kind: str, id_: str, *, full: bool = False) -> Json:
        """A reference, or the whole object if `full`; a deleted object is always a reference.

        A reference to a deleted object has null self and html_url (05-Endpoints, 11-References).
        """
        item = self._kinds[kind].get(id_)
        if item is None:
            gone = {"id": id_, "type": f"{kind}_reference", "summary": self.store.gone.get(id_)}
            return gone | {"self": None, "html_url": None}
        return self._full[kind](item) if full else self._head(f"{kind}_reference", kind, id_, item.name)

    def _head(self, type_: str, kind: str, id_: str, name: str) -> Json:
        path, page = _PATHS[kind]
        return {
            "id": id_,
            "type": type_,
            "summary": name,
            "self": f"{API}/{path}/{id_}",
            "html_url": f"{WEB}/{page}/{id_}" if page else None,
        }

    def user(self, user: User) -> Json:
        return {
            **self._head("user", "user", user.id, user.name),
            "name": user.name,
            "email": user.email,
            "time_zone": user.time_zone,
            "color": "green",
            "role": user.role,
            "avatar_url": f"{WEB}/avatars/{user.id}.png",
            "description": None,
            "invitation_sent": False,
            "job_title": None,
            "created_via_sso": False,
            "teams": [self.ref("team", id_) for id_ in user.team_ids],
            "contact_methods": [],
            "notification_rules": [],
        }

    def team(self, team: Team) -> Json:
        head = self._head("team", "team", team.id, team.name)
        return {**head, "name": team.name, "description": team.description, "default_role": "manager"}

    def priority(self, priority: Priority) -> Json:
        """`order` and `color` are in real answers (Airbyte's schema), not in the specification."""
        order = len(self.store.priorities) - list(self.store.priorities).index(priority.id)
        return {
            **self._head("priority", "priority", priority.id, priority.name),
            "name": priority.name,
            "description": priority.description,
            "order": order,
            "color": priority.color,
        }

    def policy(self, policy: Policy) -> Json:
        services = [service for service in self.store.services.values() if service.policy_id == policy.id]
        return {
            **self._head("escalation_policy", "escalation_policy", policy.id, policy.name),
            "name": policy.name,
            "description": None,
            "num_loops": policy.num_loops,
            "on_call_handoff_notifications": "if_has_services",
            "escalation_rules": [
                {
                    "id": f"{policy.id[:-1]}{place}",
                    "escalation_delay_in_minutes": policy.delay_minutes,
                    "targets": [self.ref("user", user)],
                }
                for place, user in enumerate(policy.user_ids)
            ],
            "services": [self.ref("service", service.id) for service in services],
            "teams": [self.ref("team", id_) for id_ in policy.team_ids],
        }

    def service(self, service: Service) -> Json:
        return {
            **self._head("service", "service", service.id, service.name),
            "name": service.name,
            "description": service.description,
            "auto_resolve_timeout": service.auto_resolve_timeout,
            "acknowledgement_timeout": service.acknowledgement_timeout,
            "created_at": stamp(service.created_at, self.zone),
            "status": service.status or self._service_status(service.id),
            "alert_creation": "create_alerts_and_incidents",
            "integrations": [],
            "escalation_policy": self.ref("escalation_policy", service.policy_id),
            "teams": [self.ref("team", id_) for id_ in service.team_ids],
            "incident_urgency_rule": {"type": "constant", "urgency": "high"},
            "support_hours": None,
            "scheduled_actions": [],
        }

    def _service_status(self, id_: str) -> str:
        """critical with triggered incidents, else warning with acknowledged incidents, else active."""
        open_ = {incident.status for incident in self.store.incidents.all() if incident.service_id == id_}
        return "critical" if "triggered" in open_ else "warning" if "acknowledged" in open_ else "active"
