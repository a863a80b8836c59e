"""The search syntax of incidents and alerts (support.atlassian.com/opsgenie, search-syntax-for-incidents and
search-queries-for-alerts).

    createdAt >= 1470394841148 AND (status: open OR tag: "pd:P1") AND NOT message: (disk AND full)

`createdAt` is Unix time in milliseconds. `updatedAt` of incidents cannot be searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.instants import MS, to_nanos

EXACT = {"id", "tinyId", "status", "priority", "tag", "details.key", "details.value", "services",
         "impactedServices", "teams", "actions"}  # fmt: skip
TEXT = {"message", "description"}
DATES = {"createdAt"}
FIELDS = EXACT | TEXT | DATES
ALERT_EXACT = {"alertId", "tinyId", "alias", "status", "priority", "tag", "owner", "source", "entity",
               "acknowledged", "snoozed", "details.key", "details.value"}  # fmt: skip
ALERT_DATES = {"createdAt", "updatedAt", "lastOccurredAt"}

#: The service's message for a date it cannot parse (jira.atlassian.com/browse/OPSGENIE-1588).
BAD_TIME = (
    "Time is accepted in following formats: [dd-MM-yyyy] - [dd-MM-yyyy'T'hh:mm:ss] - [dd-MM-yyyy'T'HH:mm:ssz]"
)


class QueryError(ValueError):
    """The query cannot be parsed: a 422."""


@dataclass(frozen=True)
class Fields:
    """What can be searched: `dates` take comparison operators."""

    others: frozenset[str]
    dates: frozenset[str]


INCIDENT_FIELDS = Fields(frozenset(EXACT | TEXT), frozenset(DATES))
ALERT_FIELDS = Fields(frozenset(ALERT_EXACT | TEXT), frozenset(ALERT_DATES))


@dataclass(frozen=True)
class Term:
    field: str
    op: str
    value: str


@dataclass(frozen=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    part: Node


Node = Term | And | Or | Not

_OPERATOR = re.compile(r"<=|>=|<|>|:")
_FIELD = re.compile(r"[A-Za-z][\w.]*")
_KEYWORD = re.compile(r"(AND|OR|NOT)(?![\w.])")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_WORD = re.compile(r'[^\s()"<>]+')
_DATE = re.compile(r"(\d\d)-(\d\d)-(\d{4})(?:T(\d\d):(\d\d):(\d\d)(Z?))?")


class _Parser:
    def __init__(self, text: str, fields: Fields) -> None:
        self.text = text
        self.fields = fields
        self.at = 0

    def parse(self) -> Node:
        node = self.any_of(self.operand)
        if self.peek():
            raise QueryError(f"unexpected {self.text[self.at :]!r} in the query")
        return node

    def peek(self) -> str:
        """The next character that is not blank, or '' at the end."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self.peek()
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def keyword(self, word: str) -> bool:
        self.peek()
        found = _KEYWORD.match(self.text, self.at)
        if found is None or found.group(1) != word:
            return False
        self.at = found.end()
        return True

    def any_of(self, operand: Callable[[], Node]) -> Node:
        parts = [self.all_of(operand)]
        while self.keyword("OR"):
            parts.append(self.all_of(operand))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def all_of(self, operand: Callable[[], Node]) -> Node:
        parts = [self.negated(operand)]
        while self.keyword("AND"):
            parts.append(self.negated(operand))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def negated(self, operand: Callable[[], Node]) -> Node:
        if self.keyword("NOT"):
            return Not(self.negated(operand))
        if self.peek() == "(":
            return self.group(operand)
        return operand()

    def group(self, operand: Callable[[], Node]) -> Node:
        self.at += 1
        node = self.any_of(operand)
        if self.peek() != ")":
            raise QueryError("a parenthesis is not closed")
        self.at += 1
        return node

    def operand(self) -> Node:
        found = self.match(_FIELD)
        if found is None:
            raise QueryError(f"a field is missing at {self.text[self.at :]!r}")
        name = found.group()
        if name not in self.fields.others | self.fields.dates:
            raise QueryError(f"Field [{name}] is not searchable")
        operator = self.match(_OPERATOR)
        if operator is None:
            raise QueryError(f"an operator is missing after {name}")
        op = operator.group()
        if op != ":" and name not in self.fields.dates:
            raise QueryError(f"operator {op} cannot be used with {name}")

        def term() -> Node:
            value = self.value()
            if name in self.fields.dates:
                milliseconds(value)
            return Term(name, op, value)

        # message: (lorem OR ipsum): the field holds for every value in the group.
        return self.group(term) if self.peek() == "(" else term()

    def value(self) -> str:
        """A quoted text, or blank-separated words up to a keyword: `message : Api is down`."""
        quoted = self.match(_QUOTED)
        if quoted:
            return re.sub(r"\\(.)", r"\1", quoted.group(1))
        words: list[str] = []
        while self.peek() and not _KEYWORD.match(self.text, self.at):
            word = self.match(_WORD)
            if word is None:
                break
            # The first word may contain a colon (`tag: pd:P1`); in a later word it means that AND is missing.
            if words and ":" in word.group():
                raise QueryError(f"AND or OR is missing before {word.group()!r}")
            words.append(word.group())
        if not words:
            raise QueryError("a value is missing")
        return " ".join(words)


def parse(text: str, fields: Fields = INCIDENT_FIELDS) -> Node | None:
    """The query as a tree; None for an empty query, which matches everything. Raises QueryError."""
    return _Parser(text, fields).parse() if text.strip() else None


def render(node: Node) -> str:
    """The query text of a tree; `parse(render(node)) == node`."""
    if isinstance(node, Term):
        escaped = node.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{node.field} {node.op} "{escaped}"'
    if isinstance(node, Not):
        return f"NOT ({render(node.part)})"
    word = " AND " if isinstance(node, And) else " OR "
    return word.join(f"({render(part)})" for part in node.parts)


def milliseconds(value: str) -> int:
    """A date value as Unix milliseconds. Raises QueryError with the service's message."""
    if re.fullmatch(r"\d{1,18}", value):
        return int(value)
    match = _DATE.fullmatch(value)
    if match is None:
        raise QueryError(BAD_TIME)
    day, month, year, *clock = match.groups()
    hour, minute, second = (int(part or 0) for part in clock[:3])
    try:
        parsed = datetime(int(year), int(month), int(day), hour, minute, second, tzinfo=UTC)
    except ValueError as problem:
        raise QueryError(BAD_TIME) from problem
    return to_nanos(parsed) // MS


def created_window(node: Node | None) -> tuple[int | None, int | None]:
    """The inclusive createdAt bounds (ms) of all matches, for a search in the sorted index."""
    low: int | None = None
    high: int | None = None
    for part in node.parts if isinstance(node, And) else (node,):
        if isinstance(part, And):
            part_low, part_high = created_window(part)
        elif isinstance(part, Term) and part.field in DATES:
            at = milliseconds(part.value)
            part_low = {">": at + 1, ">=": at, ":": at}.get(part.op)
            part_high = {"<": at - 1, "<=": at, ":": at}.get(part.op)
        else:
            continue
        low = max((bound for bound in (low, part_low) if bound is not None), default=None)
        high = min((bound for bound in (high, part_high) if bound is not None), default=None)
    return low, high
