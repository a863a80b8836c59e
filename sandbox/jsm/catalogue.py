"""A site's statuses, priorities, issue types, projects and fields. Their ids differ between sites."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from sandbox.jsm.model import (
    AFFECTED_SERVICES,
    DATE_TIME,
    DONE,
    INDETERMINATE,
    NEW,
    RESPONDERS,
    SELECT,
    Field,
    Named,
    Status,
)

#: The custom fields that the stand-in itself fills.
SERVICES_FIELD, RESPONDERS_FIELD, MAJOR_FIELD = "customfield_10051", "customfield_10063", "customfield_10064"
IMPACT_START, IMPACT_END, SEVERITY = "customfield_10071", "customfield_10072", "customfield_10048"

_SYSTEM = (
    ("summary", "Summary", "string", ""),
    ("description", "Description", "string", ""),
    ("issuetype", "Work type", "issuetype", ""),
    ("project", "Space", "project", ""),
    ("status", "Status", "status", ""),
    ("statuscategorychangedate", "Status Category Changed", "datetime", ""),
    ("priority", "Priority", "priority", ""),
    ("created", "Created", "datetime", ""),
    ("updated", "Updated", "datetime", ""),
    ("resolution", "Resolution", "resolution", ""),
    ("resolutiondate", "Resolved", "datetime", ""),
    ("labels", "Labels", "array", "string"),
    ("assignee", "Assignee", "user", ""),
    ("reporter", "Reporter", "user", ""),
    ("creator", "Creator", "user", ""),
)


def _fields() -> dict[str, Field]:
    system = [Field(id_, name, kind, "", items) for id_, name, kind, items in _SYSTEM]
    custom = [
        Field(SERVICES_FIELD, "Affected services", "array", AFFECTED_SERVICES, "service-entity-field"),
        Field(RESPONDERS_FIELD, "Responders", "array", RESPONDERS, "responder"),
        Field(MAJOR_FIELD, "Major incident", "option", SELECT),
        Field(SEVERITY, "Severity", "option", SELECT),
        Field(IMPACT_START, "Impact start", "datetime", DATE_TIME),
        Field(IMPACT_END, "Impact end", "datetime", DATE_TIME),
        # Fields may share a name; these have another type and are empty.
        Field("customfield_10081", "Impact end", "string", SELECT),
        Field("customfield_10082", "Responders", "string", SELECT),
    ]
    return {made.id: made for made in [*system, *custom]}


Item = TypeVar("Item", Named, Status)


def _by_name(items: dict[str, Item], name: str) -> Item:
    found = items.get(name) or next((item for item in items.values() if item.name == name), None)
    if found is None:
        raise KeyError(name)
    return found


def _named(*names: str, first: int = 1) -> dict[str, Named]:
    return {str(id_): Named(str(id_), name) for id_, name in enumerate(names, start=first)}


@dataclass
class Catalogue:
    """Each kind of object by id. `secured`: ids of the projects with an issue security scheme."""

    priorities: dict[str, Named] = field(
        default_factory=lambda: _named("Highest", "High", "Medium", "Low", "Lowest")
    )
    issue_types: dict[str, Named] = field(
        default_factory=lambda: _named("[System] Incident", "Incident", "[System] Service request", "Task",
                                       first=10_011)
    )  # fmt: skip
    projects: dict[str, Named] = field(
        default_factory=lambda: {
            "10001": Named("10001", "Incident desk", "INC"),
            "10002": Named("10002", "Operations desk", "OPS"),
        }
    )
    secured: set[str] = field(default_factory=set)
    statuses: dict[str, Status] = field(default_factory=dict)
    fields: dict[str, Field] = field(default_factory=_fields)

    def __post_init__(self) -> None:
        for name, category in (
            ("Open", NEW),
            ("Work in progress", INDETERMINATE),
            ("Pending", INDETERMINATE),
            ("Completed", DONE),
            ("Canceled", DONE),
            ("Closed", DONE),
        ):
            if not any(status.name == name for status in self.statuses.values()):
                self.add_status(name, category)

    def priority(self, name: str) -> Named:
        return _by_name(self.priorities, name)

    def issue_type(self, name: str) -> Named:
        return _by_name(self.issue_types, name)

    def status(self, name: str) -> Status:
        return _by_name(self.statuses, name)

    def project(self, key: str) -> Named:
        """:raises KeyError: no project has such a key or id."""
        for project in self.projects.values():
            if key in (project.key, project.id):
                return project
        raise KeyError(key)

    # Changes.

    def add_status(self, name: str, category: str, id: str = "") -> Status:
        id_ = id or str(10_100 + len(self.statuses))
        made = self.statuses[id_] = Status(id_, name, category)
        return made

    def rename_status(self, name: str, new: str) -> Status:
        """The id stays; changelogs keep the old name."""
        status = self.status(name)
        status.name = new
        return status

    def drop_status(self, name: str) -> None:
        """Remove it from the list; no issue may have it, but changelogs keep it."""
        del self.statuses[self.status(name).id]

    def add_priority(self, name: str) -> Named:
        id_ = str(10_000 + len(self.priorities))
        made = self.priorities[id_] = Named(id_, name)
        return made

    def add_issue_type(self, name: str) -> Named:
        id_ = str(10_011 + len(self.issue_types))
        made = self.issue_types[id_] = Named(id_, name)
        return made

    def drop_issue_type(self, name: str) -> None:
        del self.issue_types[self.issue_type(name).id]

    def add_project(self, key: str, name: str) -> Named:
        id_ = str(10_001 + len(self.projects))
        made = self.projects[id_] = Named(id_, name, key)
        return made

    def add_field(self, id: str, name: str, custom: str, **fields: str) -> Field:
        """`custom`: schema.custom. Further: type, items, untranslated."""
        made = self.fields[id] = Field(id, name, custom=custom, **fields)
        return made

    def rename_field(self, id: str, name: str, untranslated: str = "") -> Field:
        """Give it the name that a site in another language shows."""
        made = self.fields[id]
        made.untranslated, made.name = untranslated or made.untranslated or made.name, name
        return made
