"""Names of what payloads and rows refer to by id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Directory:
    """Names of objects that payloads refer to by id only, by kind and id.

    :param users: account id -> e-mail address, or display name where the address is hidden.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    teams: Mapping[str, str] = field(default_factory=dict)
    schedules: Mapping[str, str] = field(default_factory=dict)
    escalations: Mapping[str, str] = field(default_factory=dict)

    def name(self, kind: str | None, identity: str | None) -> str | None:
        """The name of a user, team, schedule or escalation; None where the id is unknown."""
        known = {
            "user": self.users,
            "team": self.teams,
            "schedule": self.schedules,
            "escalation": self.escalations,
        }.get(kind or "", {})
        return known.get(identity or "")
