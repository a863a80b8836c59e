"""The subset of JQL that a reader of incidents needs.

    updated >= "2026-11-25 18:30" AND issuetype in ("[System] Incident", 10012) order by updated asc

Dates are whole minutes in the caller's time zone. A value that the site does not have makes the whole query
an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sandbox.jsm.errors import UNBOUNDED, ApiError, bad_request

MAX_ORDER = 7

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<op><=|>=|!=|!~|=|<|>|~|\(|\)|,)
      | (?P<word>[^\s"'()=!<>~,]+)
    )""",
    re.VERBOSE,
)
_KEYWORDS = {"and", "or", "not", "in", "is", "order", "by", "asc", "desc", "empty", "null"}


@dataclass(frozen=True, slots=True)
class Token:
    """`word`: the text in lower case, '' for quoted text, which is never a keyword."""

    text: str
    quoted: bool

    @property
    def word(self) -> str:
        return "" if self.quoted else self.text.lower()


@dataclass(frozen=True, slots=True)
class Clause:
    """Only `in` has several `values`; `is empty` has the operator "is" and no value."""

    field: str
    op: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


Node: TypeAlias = Clause | And | Or | Not


@dataclass(frozen=True, slots=True)
class Query:
    """`order`: (field, whether descending)."""

    where: Node
    order: tuple[tuple[str, bool], ...]


def _error(message: str) -> ApiError:
    return bad_request(f"Error in the JQL Query: {message}")


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise _error(f"The character {text[at:].strip()[0]!r} is not expected (character {at}).")
        at = match.end()
        if match["quoted"]:
            found.append(Token(re.sub(r"\\(.)", r"\1", match["quoted"][1:-1]), True))
        else:
            found.append(Token(match["op"] or match["word"], False))
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        """The next token, in lower case; '' for quoted text and at the end."""
        place = self.at + ahead
        return self.tokens[place].word if place < len(self.tokens) else ""

    def take(self) -> Token:
        if self.at == len(self.tokens):
            raise _error("Unexpected end of the query.")
        self.at += 1
        return self.tokens[self.at - 1]

    def skip(self, word: str) -> bool:
        found = self.peek() == word
        self.at += found
        return found

    def need(self, word: str) -> None:
        if not self.skip(word):
            raise _error(f"Expecting '{word}'.")

    def query(self) -> Query:
        if not self.tokens or self.peek() == "order":
            raise bad_request(UNBOUNDED)
        where = self.any_of()
        order = self.order() if self.skip("order") else ()
        if self.at < len(self.tokens):
            raise _error(f"Expecting operator but got {self.tokens[self.at].text!r}.")
        return Query(where, order)

    def order(self) -> tuple[tuple[str, bool], ...]:
        self.need("by")
        found = []
        while True:
            name = self.take().text
            descending = self.skip("desc")
            if not descending:
                self.skip("asc")
            found.append((name.lower(), descending))
            if not self.skip(","):
                break
        if len(found) > MAX_ORDER:
            raise bad_request(f"A query may be ordered by at most {MAX_ORDER} fields.")
        return tuple(found)

    def any_of(self) -> Node:
        parts = [self.all_of()]
        while self.skip("or"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def all_of(self) -> Node:
        parts = [self.single()]
        while self.skip("and"):
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def single(self) -> Node:
        if self.skip("not"):
            return Not(self.single())
        if self.skip("("):
            inner = self.any_of()
            self.need(")")
            return inner
        return self.clause()

    def clause(self) -> Node:
        token = self.take()
        if not token.quoted and token.word in _KEYWORDS:
            raise _error(f"Expecting a field name but got the reserved word {token.text!r}.")
        negated = self.skip("not")
        if self.skip("in"):
            node: Node = Clause(token.text.lower(), "in", self.values())
            return Not(node) if negated else node
        if negated:
            raise _error("Expecting 'in' after 'not'.")
        if self.skip("is"):
            negated = self.skip("not")
            if not (self.skip("empty") or self.skip("null")):
                raise _error("Expecting EMPTY or NULL.")
            node = Clause(token.text.lower(), "is", ())
            return Not(node) if negated else node
        op = self.take().word
        if op not in ("=", "!=", "<", "<=", ">", ">=", "~", "!~"):
            raise _error(f"Expecting an operator after {token.text!r}.")
        node = Clause(token.text.lower(), op.removeprefix("!") if op[0] == "!" else op, (self.value(),))
        return Not(node) if op[0] == "!" else node

    def values(self) -> tuple[str, ...]:
        self.need("(")
        found = [self.value()]
        while self.skip(","):
            found.append(self.value())
        self.need(")")
        return tuple(found)

    def value(self) -> str:
        token = self.take()
        if not token.quoted and (token.word in _KEYWORDS or not re.search(r"\w", token.text)):
            raise _error(f"Expecting a value but got {token.text!r}.")
        if not token.quoted and self.skip("("):
            self.need(")")
            return f"{token.text}()"
        return token.text


def parse(text: str) -> Query:
    """The query as a tree.

    :raises ApiError: 400; the query is unbounded or cannot be parsed.
    """
    return _Parser(text).query()


def holds(node: Node, clause: Callable[[Clause], bool]) -> bool:
    """Whether a condition is true, given a function that evaluates its clauses."""
    if isinstance(node, And):
        return all(holds(part, clause) for part in node.parts)
    if isinstance(node, Or):
        return any(holds(part, clause) for part in node.parts)
    if isinstance(node, Not):
        return not holds(node.part, clause)
    return clause(node)


def clauses(node: Node) -> list[Clause]:
    """Every clause of a condition."""
    if isinstance(node, And | Or):
        return [clause for part in node.parts for clause in clauses(part)]
    return clauses(node.part) if isinstance(node, Not) else [node]
