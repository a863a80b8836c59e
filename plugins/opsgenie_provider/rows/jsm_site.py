"""The fields, statuses and priorities of a Jira site: their ids and names differ from site to site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from msgspec import Raw

from opsgenie_provider.rows.fields import Payload, UnreadablePayloadError, decode, nested, required_text, text

NEW, DONE = "new", "done"
CLOSED_STATUSES = ("Closed", "Canceled", "Cancelled", "Declined")
PRIORITIES = ("P1", "P2", "P3", "P4", "P5")
_DEFAULT_PRIORITIES = dict(zip(("highest", "high", "medium", "low", "lowest"), PRIORITIES, strict=True))
_SERVICES_TYPE = "com.atlassian.jira.plugins.service-entity:service-entity-field-cftype"
_SERVICES_NAME, _RESPONDERS_NAME = "affected services", "responders"
# Fields that every issue is requested with; others depend on the site. The assignee and project are read
# from the stored payload.
_STANDARD = (
    "summary", "description", "status", "priority", "labels", "created", "updated", "resolutiondate",
    "issuetype", "project", "assignee",
)  # fmt: skip


class UnknownFieldError(ValueError):
    """A setting names a field that the site does not have."""


@dataclass(frozen=True)
class SiteSettings:
    """A connection's settings for its site.

    :param site: the site's address, without a trailing slash.
    :param incident_jql: JQL for the issues that are incidents; None: by the names of their issue types.
    :param impact_start_field: name or id of the field with the start of the impact.
    :param impact_end_field: name or id of the field with its end.
    :param priority_map: the site's name of a priority -> P1 to P5.
    :param closed_statuses: names of the statuses of category done that mean closed; others mean resolved.
    """

    site: str
    incident_jql: str | None = None
    impact_start_field: str | None = None
    impact_end_field: str | None = None
    priority_map: Mapping[str, str] = field(default_factory=dict)
    closed_statuses: tuple[str, ...] = CLOSED_STATUSES


@dataclass(frozen=True)
class IssueFields:
    """Ids of the site's fields that incidents are read from; several where fields share a name."""

    services: tuple[str, ...] = ()
    responders: tuple[str, ...] = ()
    impact_start: tuple[str, ...] = ()
    impact_end: tuple[str, ...] = ()

    @property
    def requested(self) -> list[str]:
        """Ids of the fields to request with an issue."""
        site_fields = {*self.services, *self.responders, *self.impact_start, *self.impact_end}
        return [*_STANDARD, *sorted(site_fields)]


class Status(NamedTuple):
    """A status by its name and category ("new", "indeterminate", "done")."""

    name: str
    category: str


class Statuses:
    """The categories of a site's statuses, by name and by id.

    :param payloads: the list of workflow statuses.
    :raises UnreadablePayloadError: none of them can be read.
    """

    def __init__(self, payloads: Iterable[Raw]) -> None:
        self._by_name: dict[str, dict[str, Status]] = {}
        self._by_id: dict[str, Status] = {}
        unreadable = 0
        for raw in payloads:
            try:
                payload = decode(raw)
                identity, name = required_text(payload, "id"), required_text(payload, "name")
                status = Status(name, required_text(nested(payload, "statusCategory"), "key"))
                untranslated = text(payload, "untranslatedName") or name
            except UnreadablePayloadError:
                unreadable += 1
                continue
            for folded_name in {_folded(name), _folded(untranslated)}:
                self._by_name.setdefault(folded_name, {})[identity] = status
            self._by_id[identity] = status
        if unreadable and not self._by_id:
            raise UnreadablePayloadError("no status with an id, a name and a category")

    def find(self, name: str | None, identity: str | None) -> Status | None:
        """A status of a changelog; None where it is found neither by name nor by id.

        The name takes precedence, because a migrated changelog may have wrong ids. Statuses of several
        projects may share a name; where their categories differ, the id decides.
        """
        named = self._by_name.get(_folded(name or ""), {})
        if identity in named:
            return named[identity]
        if len({status.category for status in named.values()}) == 1:
            return next(iter(named.values()))
        return self._by_id.get(identity or "")


@dataclass(frozen=True)
class IssueRules:
    """How the issues of a site are converted to incidents."""

    settings: SiteSettings
    fields: IssueFields
    statuses: Statuses

    def is_closed(self, status_name: str | None) -> bool:
        """Whether a status of category done means closed, by its name."""
        return _folded(status_name or "") in self._closed

    def priority(self, name: str | None) -> str | None:
        """P1 to P5 for the name of a priority; None where no rule covers it."""
        return self._priorities.get(_folded(name or ""))

    @cached_property
    def _closed(self) -> set[str]:
        return {_folded(name) for name in self.settings.closed_statuses}

    @cached_property
    def _priorities(self) -> dict[str, str]:
        by_own_name = {priority.casefold(): priority for priority in PRIORITIES}
        mapped = {_folded(name): priority for name, priority in self.settings.priority_map.items()}
        return by_own_name | _DEFAULT_PRIORITIES | mapped


def issue_fields(payloads: Iterable[Raw], settings: SiteSettings) -> IssueFields:
    """Finds the fields by type, name or id in the site's list of fields.

    :raises UnknownFieldError: a field that the connection names does not exist, or is not a date-time field.
    """
    fields = []
    for raw in payloads:
        try:
            payload = decode(raw)
            nested(payload, "schema")
            fields.append((required_text(payload, "id"), payload))
        except UnreadablePayloadError:
            continue

    def ids(matches: Callable[[Payload], bool]) -> tuple[str, ...]:
        return tuple(identity for identity, payload in fields if matches(payload))

    services = ids(lambda payload: nested(payload, "schema").get("custom") == _SERVICES_TYPE)
    responders = ids(lambda payload: _is_called(payload, _RESPONDERS_NAME))
    lists = {
        identity for identity, payload in fields if nested(payload, "schema").get("type") in ("array", "any")
    }
    return IssueFields(
        services=services or ids(lambda payload: _is_called(payload, _SERVICES_NAME)),
        # A text field may have the same name; lists take precedence.
        responders=tuple(identity for identity in responders if identity in lists) or responders,
        impact_start=_date_time_fields(fields, settings.impact_start_field, "impact_start_field"),
        impact_end=_date_time_fields(fields, settings.impact_end_field, "impact_end_field"),
    )


def _date_time_fields(
    fields: Iterable[tuple[str, Payload]], wanted: str | None, setting: str
) -> tuple[str, ...]:
    if not wanted:
        return ()
    fields = list(fields)
    found = [(identity, payload) for identity, payload in fields if identity == wanted.strip()]
    found = found or [(identity, payload) for identity, payload in fields if _is_called(payload, wanted)]
    kinds = [(identity, nested(payload, "schema").get("type")) for identity, payload in found]
    usable = tuple(identity for identity, kind in kinds if kind in ("datetime", None))
    if not usable:
        problem = "is not a date-time field" if found else "does not exist, or this account may not see it"
        raise UnknownFieldError(
            f"The field {wanted!r} of the site {problem}: correct the extra {setting} of the connection, or "
            "remove it. It is a field's name or its id, like customfield_10068."
        )
    return usable


def _is_called(payload: Payload, name: str) -> bool:
    names = (payload.get("name"), payload.get("untranslatedName"))
    return any(isinstance(candidate, str) and _folded(candidate) == _folded(name) for candidate in names)


def _folded(name: str) -> str:
    return name.strip().casefold()
