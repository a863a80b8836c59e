"""Evaluates JQL for issues."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime, tzinfo

from sandbox.instants import DAY, HOUR, MINUTE, Nanos, to_nanos
from sandbox.jsm import jql
from sandbox.jsm.catalogue import Catalogue
from sandbox.jsm.errors import bad_request
from sandbox.jsm.model import CATEGORIES, Issue, Named

_ALIASES = {
    "type": "issuetype", "work type": "issuetype", "key": "id", "issuekey": "id", "issue": "id",
    "resolved": "resolutiondate", "space": "project", "workitem": "id",
    "createddate": "created", "updateddate": "updated",
}  # fmt: skip
_DATES: dict[str, Callable[[Issue], Nanos | None]] = {
    "created": lambda issue: issue.created,
    "updated": lambda issue: issue.updated,
    "resolutiondate": lambda issue: issue.resolved,
    "statuscategorychangeddate": lambda issue: issue.category_changed,
}
_TEXTS: dict[str, Callable[[Issue], str]] = {
    "summary": lambda issue: issue.summary,
    "description": lambda issue: issue.description,
    "text": lambda issue: f"{issue.summary}\n{issue.description}",
}
_COMPARE: dict[str, Callable[[Nanos, Nanos], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FORMATS = ("%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%d", "%Y/%m/%d")
_STEP = {"w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE}
_RELATIVE = re.compile(r"([+-]?)(\d+)([wdhm])")

Test = Callable[[Issue], bool]


class Matcher:
    """`zone`: the caller's. `strict`: an unknown value is an error; otherwise it matches nothing.

    `exists`: whether the caller sees an issue with an id or key.
    """

    def __init__(
        self, catalogue: Catalogue, zone: tzinfo, now: Nanos, strict: bool, exists: Callable[[str], bool]
    ) -> None:
        self.catalogue = catalogue
        self.zone = zone
        self.now = now
        self.strict = strict
        self.exists = exists

    def test(self, query: jql.Query) -> Test:
        """A function that says whether an issue matches.

        :raises ApiError: 400; a field or value does not exist, or a date is invalid.
        """
        tests = {clause: self._clause(clause) for clause in jql.clauses(query.where)}
        return lambda issue: jql.holds(query.where, lambda clause: tests[clause](issue))

    def sort(self, issues: list[Issue], order: tuple[tuple[str, bool], ...]) -> list[Issue]:
        """Sorted by an order, then by id; without an order, newest first."""
        found = sorted(issues, key=lambda issue: int(issue.id))
        for name, descending in reversed(order or (("created", True),)):
            found.sort(key=self._sort_key(name), reverse=descending)
        return found

    def _sort_key(self, name: str) -> Callable[[Issue], Nanos]:
        field = _ALIASES.get(name, name)
        if field in _DATES:
            return lambda issue: _DATES[field](issue) or 0
        if field == "id":
            return lambda issue: int(issue.id)
        if field in ("priority", "status"):
            return lambda issue: int(getattr(issue, field) or 0)
        raise bad_request(f"Not able to sort using field '{name}'.")

    def _clause(self, clause: jql.Clause) -> Test:
        field = _ALIASES.get(clause.field, clause.field)
        if field in _DATES:
            return self._date(clause, _DATES[field])
        if field in _TEXTS:
            return self._text(clause, _TEXTS[field])
        custom = self._custom(field)
        if custom:
            return self._date(clause, lambda issue: self._instant(issue.custom.get(custom)))
        named = self._named(field)
        if clause.op == "is":
            return lambda issue: not named(issue)
        if clause.op not in ("=", "in"):
            raise bad_request(f"The operator '{clause.op}' is not supported by the '{clause.field}' field.")
        wanted = {value.casefold() for value in clause.values}
        self._check(field, clause)
        return lambda issue: any(value.casefold() in wanted for value in named(issue))

    def _custom(self, name: str) -> str | None:
        number = re.fullmatch(r"cf\[(\d+)\]", name)
        for field in self.catalogue.fields.values():
            known = field.id == f"customfield_{number[1]}" if number else field.name.lower() == name
            if field.custom and field.type == "datetime" and known:
                return field.id
        return None

    def _named(self, field: str) -> Callable[[Issue], list[str]]:
        """A function from an issue to the values that match its field: ids and names; none if it is empty."""
        catalogue = self.catalogue
        if field == "issuetype":
            return lambda issue: [issue.issue_type, *_name(catalogue.issue_types, issue.issue_type)]
        if field == "project":
            return lambda issue: [
                issue.project, issue.key.split("-")[0], *_name(catalogue.projects, issue.project)
            ]  # fmt: skip
        if field == "status":
            return lambda issue: [issue.status, catalogue.statuses[issue.status].name]
        if field == "statuscategory":
            return lambda issue: _category(catalogue.statuses[issue.status].category)
        if field == "priority":
            return lambda issue: [
                *filter(None, [issue.priority]),
                *_name(catalogue.priorities, issue.priority),
            ]
        if field == "id":
            return lambda issue: [issue.id, issue.key, *issue.old_keys]
        plain: dict[str, Callable[[Issue], list[str]]] = {
            "labels": lambda issue: issue.labels,
            "resolution": lambda issue: [issue.resolution] if issue.resolution else [],
            "assignee": lambda issue: [issue.assignee] if issue.assignee else [],
            "reporter": lambda issue: [issue.reporter] if issue.reporter else [],
        }
        if field not in plain:
            raise bad_request(f"Field '{field}' does not exist or you do not have permission to view it.")
        return plain[field]

    def _check(self, field: str, clause: jql.Clause) -> None:
        """Reject values that the site does not have."""
        catalogue = self.catalogue
        known: dict[str, list[str]] = {
            "issuetype": [*catalogue.issue_types, *(kind.name for kind in catalogue.issue_types.values())],
            "status": [*catalogue.statuses, *(kind.name for kind in catalogue.statuses.values())],
            "priority": [*catalogue.priorities, *(kind.name for kind in catalogue.priorities.values())],
            "project": [
                text for kind in catalogue.projects.values() for text in (kind.id, kind.key, kind.name)
            ],
            "statuscategory": [name for key in CATEGORIES for name in _category(key)],
        }
        if not self.strict or (field not in known and field != "id"):
            return
        names = {name.casefold() for name in known.get(field, [])}
        for value in clause.values:
            if not (self.exists(value) if field == "id" else value.casefold() in names):
                raise bad_request(f"The value '{value}' does not exist for the field '{clause.field}'.")

    def _date(self, clause: jql.Clause, read: Callable[[Issue], Nanos | None]) -> Test:
        if clause.op == "is":
            return lambda issue: read(issue) is None
        if clause.op not in _COMPARE:
            raise bad_request(f"The operator '{clause.op}' is not supported by the '{clause.field}' field.")
        compare, at = _COMPARE[clause.op], self._when(clause)
        return lambda issue: (found := read(issue)) is not None and compare(found, at)

    def _when(self, clause: jql.Clause) -> Nanos:
        (text,) = clause.values
        if text.lower() == "now()":
            return self.now
        relative = _RELATIVE.fullmatch(text)
        if relative:
            sign = 1 if relative[1] == "+" else -1
            return self.now + sign * int(relative[2]) * _STEP[relative[3]]
        for form in _FORMATS:
            try:
                local = datetime.strptime(text, form)
            except ValueError:
                continue
            return to_nanos(local.replace(tzinfo=self.zone))
        raise bad_request(
            f"Date value '{text}' for field '{clause.field}' is invalid. Valid formats include: "
            "'yyyy/MM/dd HH:mm', 'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format "
            "e.g. '-5d', '4w 2d'."
        )

    def _instant(self, value: object) -> Nanos | None:
        return to_nanos(value) if isinstance(value, str) else None

    def _text(self, clause: jql.Clause, read: Callable[[Issue], str]) -> Test:
        if clause.op == "is":
            return lambda issue: not read(issue)
        if clause.op != "~":
            raise bad_request(f"The operator '{clause.op}' is not supported by the '{clause.field}' field.")
        words = clause.values[0].casefold().split()
        return lambda issue: all(word.strip("*") in read(issue).casefold() for word in words)


def _name(kind: dict[str, Named], id_: str | None) -> list[str]:
    return [kind[id_].name] if id_ in kind else []


def _category(key: str) -> list[str]:
    id_, name, _ = CATEGORIES[key]
    return [key, str(id_), name]
