"""A parsed query as a test on incidents."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable

from sandbox.opsgenie.model import Incident
from sandbox.opsgenie.query import DATES, TEXT, And, Node, Not, Or, Term, milliseconds

Test = Callable[[Incident], bool]

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    ":": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Names:
    """Service and team names by id: the search syntax uses names where payloads contain ids."""

    def __init__(self, services: dict[str, str], teams: dict[str, str]) -> None:
        self.services = services
        self.teams = teams

    def values(self, incident: Incident, field: str) -> Iterable[str]:
        """The values of a field with exact matching."""
        if field == "tag":
            return incident.tags
        if field == "impactedServices":
            return incident.services
        if field == "services":
            return [*incident.services, *(self.services.get(id_, "") for id_ in incident.services)]
        if field == "teams":
            return [self.teams.get(who["id"], "") for who in incident.responders if who["type"] == "team"]
        if field == "details.key":
            return incident.details.keys()
        if field == "details.value":
            return incident.details.values()
        if field == "actions":
            return incident.actions
        return [{"id": incident.id, "tinyId": incident.tiny_id}.get(field) or getattr(incident, field)]


def matcher(node: Node, names: Names) -> Test:
    """A function that says whether an incident matches the query."""
    if isinstance(node, And):
        parts = [matcher(part, names) for part in node.parts]
        return lambda incident: all(part(incident) for part in parts)
    if isinstance(node, Or):
        parts = [matcher(part, names) for part in node.parts]
        return lambda incident: any(part(incident) for part in parts)
    if isinstance(node, Not):
        inner = matcher(node.part, names)
        return lambda incident: not inner(incident)
    return _term(node, names)


def _term(term: Term, names: Names) -> Test:
    if term.field in DATES:
        compare = _COMPARE[term.op]
        at = milliseconds(term.value)
        return lambda incident: compare(incident.created_ms, at)
    wanted = term.value.casefold()
    field = term.field
    if field in TEXT:
        return lambda incident: wanted in str(getattr(incident, field)).casefold()
    return lambda incident: any(value.casefold() == wanted for value in names.values(incident, field))
