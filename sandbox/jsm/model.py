"""Issues and the objects they refer to: accounts, statuses, fields, services. Instants are nanoseconds."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from sandbox.instants import SECOND, Nanos, stamp, to_datetime

Json = dict[str, Any]

NEW, INDETERMINATE, DONE = "new", "indeterminate", "done"
#: Category key -> (id, name, colour).
CATEGORIES = {
    NEW: (2, "To Do", "blue-gray"),
    INDETERMINATE: (4, "In Progress", "yellow"),
    DONE: (3, "Done", "green"),
}
#: The id of every resolution: here they only differ by name.
RESOLUTION_ID = "10000"
AFFECTED_SERVICES = "com.atlassian.jira.plugins.service-entity:service-entity-field-cftype"
DATE_TIME = "com.atlassian.jira.plugin.system.customfieldtypes:datetime"
SELECT = "com.atlassian.jira.plugin.system.customfieldtypes:select"
RESPONDERS = "com.atlassian.jira.plugins.jira-incident-management-plugin:responders-cftype"


def jira_time(instant: Nanos, zone: tzinfo) -> str:
    """`2026-08-04T03:35:20.336+0500`: in the reader's zone, milliseconds, the offset without a colon."""
    text = to_datetime(instant).astimezone(zone).isoformat(timespec="milliseconds")
    return text[:-3] + text[-2:]


def ops_time(instant: Nanos) -> str:
    """The format of Operations: UTC with a Z, and no or three fraction digits."""
    return stamp(instant, digits=3 if instant % SECOND else 0)


@dataclass(slots=True)
class Account:
    """A person, an app or a customer. `hides_email`: the profile's visibility setting."""

    id: str
    name: str
    email: str
    time_zone: str = "Etc/UTC"
    account_type: str = "atlassian"
    active: bool = True
    hides_email: bool = False

    def payload(self) -> Json:
        """As in issues, changelogs and user lists; a hidden e-mail is omitted."""
        email = {} if self.hides_email else {"emailAddress": self.email}
        return {
            "accountId": self.id,
            "accountType": self.account_type,
            **email,
            "displayName": self.name,
            "active": self.active,
            "timeZone": self.time_zone,
            "locale": "en_US",
        }


@dataclass(slots=True)
class Status:
    id: str
    name: str
    category: str

    def payload(self) -> Json:
        id_, name, colour = CATEGORIES[self.category]
        category = {"id": id_, "key": self.category, "colorName": colour, "name": name}
        return {"id": self.id, "name": self.name, "description": "", "statusCategory": category}


@dataclass(slots=True)
class Named:
    """A priority, an issue type or a project, which also has a key."""

    id: str
    name: str
    key: str = ""

    def payload(self) -> Json:
        return {"id": self.id, **({"key": self.key} if self.key else {}), "name": self.name}


@dataclass(slots=True)
class Field:
    """`custom`: the type of a custom field (schema.custom); '' for a system field."""

    id: str
    name: str
    type: str = "string"
    custom: str = ""
    items: str = ""
    untranslated: str = ""

    def payload(self) -> Json:
        schema: Json = {"type": self.type, **({"items": self.items} if self.items else {})}
        if self.custom:
            schema |= {"custom": self.custom, "customId": int(self.id.removeprefix("customfield_"))}
        else:
            schema["system"] = self.id
        clauses = [f"cf[{schema['customId']}]", self.name] if self.custom else [self.id]
        return {
            "id": self.id,
            "key": self.id,
            "name": self.name,
            "untranslatedName": self.untranslated or self.name,
            "custom": bool(self.custom),
            "orderable": True,
            "navigable": True,
            "searchable": True,
            "clauseNames": clauses,
            "schema": schema,
        }


@dataclass(slots=True)
class Service:
    """`ari`: ari:cloud:graph::service/<uuid>/<uuid>, as in issues; the services API encodes it."""

    ari: str
    name: str
    team_id: str
    description: str = ""
    tier: int = 1
    projects: list[str] = field(default_factory=list)

    def payload(self, padded: bool = True) -> Json:
        encoded = base64.b64encode(self.ari.encode()).decode()
        return {
            "id": "b:" + (encoded if padded else encoded.rstrip("=")),
            "name": self.name,
            "description": self.description,
            "tier": self.tier,
            "type": "SOFTWARE_SERVICES",
            "owner": self.team_id,
            "changeApprovers": {"groups": []},
            "responders": {"users": [], "teams": [self.team_id] if self.team_id else []},
            "stakeholders": {"users": []},
            "projects": {"ids": self.projects},
        }


@dataclass(slots=True)
class Item:
    """The change of a field: `from_` and `to` are ids, the strings the names at that time."""

    field: str
    field_id: str
    from_: str | None
    from_string: str | None
    to: str | None
    to_string: str | None

    def payload(self) -> Json:
        return {
            "field": self.field,
            "fieldtype": "custom" if self.field_id.startswith("customfield_") else "jira",
            "fieldId": self.field_id,
            "from": self.from_,
            "fromString": self.from_string,
            "to": self.to,
            "toString": self.to_string,
        }


@dataclass(slots=True)
class History:
    """Changes made together. `author`: an account's id, or None without an author."""

    id: str
    at: Nanos
    author: str | None
    items: list[Item]


@dataclass(slots=True, eq=False)
class Issue:
    """`status`, `priority`, `issue_type`, `project` are ids. `responders`: (user or team, id).

    `document`: the description, where it is more than paragraphs (Atlassian Document Format). `hidden_from`:
    names of tokens that may not see it. `indexed`: (updated, since) of the version in the search index while
    a change is not indexed yet; for a new issue, updated is None.
    """

    id: str
    key: str
    project: str
    issue_type: str
    summary: str
    status: str
    created: Nanos
    updated: Nanos
    category_changed: Nanos
    description: str = ""
    document: Json | None = None
    priority: str | None = None
    resolution: str | None = None
    resolved: Nanos | None = None
    labels: list[str] = field(default_factory=list)
    reporter: str | None = None
    assignee: str | None = None
    services: list[str] = field(default_factory=list)
    responders: list[tuple[str, str]] = field(default_factory=list)
    major: bool = False
    custom: dict[str, Any] = field(default_factory=dict)
    histories: list[History] = field(default_factory=list)
    old_keys: list[str] = field(default_factory=list)
    hidden_from: set[str] = field(default_factory=set)
    indexed: tuple[Nanos | None, Nanos] | None = None
