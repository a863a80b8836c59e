"""The changelog of an issue: its moves from status to status are the incident's timeline."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    decode,
    raw_text,
    required_text,
    text,
)
from opsgenie_provider.rows.jsm_fields import required_instant, required_objects
from opsgenie_provider.rows.jsm_site import DONE, NEW, IssueRules
from opsgenie_provider.rows.parts import OptionalFields, Rejected
from opsgenie_provider.rows.tables import INCIDENT_TIMELINE, Row


class Move(NamedTuple):
    """An issue's change from one status to another.

    :param source: category of the status that it left; None where the status is unknown.
    :param target: category of the status that it entered; None where the status is unknown.
    :param closes: whether the entered status means closed.
    """

    entry_id: str
    at: datetime
    source: str | None
    target: str | None
    closes: bool
    author_name: str | None
    has_author: bool
    raw: str

    @property
    def entry_type(self) -> str:
        """The ``entry_type`` of ``opsgenie_incident_timeline``."""
        if self.closes:
            return "IncidentClosed"
        if self.resolves:
            return "IncidentResolved"
        if self.source == DONE and self.target != DONE:
            return "IncidentReopened"
        return "IncidentAcknowledged" if self.leaves_new else "IncidentStatusChanged"

    @property
    def resolves(self) -> bool:
        return self.target == DONE and self.source != DONE

    @property
    def leaves_new(self) -> bool:
        return self.source == NEW and self.target != NEW


class Times(NamedTuple):
    """When an incident was first acknowledged, last resolved and last closed, according to its moves."""

    acknowledged_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None


def parse_moves(histories: Iterable[Raw], rules: IssueRules) -> tuple[list[Move], Rejected]:
    """The moves in a changelog, ordered by time; and what cannot be read, with reasons."""
    found: dict[str, Move] = {}
    rejected: Rejected = []
    for raw in histories:
        try:
            found |= {move.entry_id: move for move in _moves(raw, rules, rejected)}
        except UnreadablePayloadError as error:
            rejected.append((bytes(raw), f"changelog: {error}"))
    return sorted(found.values(), key=lambda move: (move.at, move.entry_id)), rejected


def derive_times(moves: Iterable[Move]) -> Times:
    """When the moves acknowledged, resolved and closed the incident."""
    moves = list(moves)
    return Times(
        min((move.at for move in moves if move.leaves_new), default=None),
        max((move.at for move in moves if move.resolves), default=None),
        max((move.at for move in moves if move.closes), default=None),
    )


def timeline_row(move: Move, *, account: str, incident_id: str) -> Row:
    """A move as an entry of the incident's timeline."""
    return INCIDENT_TIMELINE.row(
        account=account,
        incident_id=incident_id,
        entry_id=move.entry_id,
        entry_type=move.entry_type,
        event_at=move.at,
        actor_name=move.author_name,
        actor_type="user" if move.has_author else None,
        raw=move.raw,
    )


def _moves(raw: Raw, rules: IssueRules, rejected: Rejected) -> list[Move]:
    history = decode(raw)
    items = required_objects(history, "items")
    if not any(map(_is_status, items)):
        return []
    history_id = required_text(history, "id")
    at = required_instant(history, "created")
    # Who moved it is not needed to know when it was moved.
    author_name = OptionalFields(history, rejected).nested("author").read(text, "displayName")
    found = []
    for index, item in enumerate(items):
        if not _is_status(item):
            continue
        left = rules.statuses.find(text(item, "fromString"), text(item, "from"))
        entered = rules.statuses.find(text(item, "toString"), text(item, "to"))
        found.append(
            Move(
                entry_id=f"{history_id}:{index}",
                at=at,
                source=left.category if left else None,
                target=entered.category if entered else None,
                closes=bool(entered and entered.category == DONE and rules.is_closed(entered.name)),
                author_name=author_name,
                has_author=bool(history.get("author")) and isinstance(history["author"], dict),
                raw=raw_text(raw),
            )
        )
    return found


def _is_status(item: Payload) -> bool:
    """Whether an item of a changelog is about the status; a custom field may have the same name."""
    if item.get("fieldId") is not None:
        return bool(item["fieldId"] == "status")
    return item.get("field") == "status" and item.get("fieldtype") != "custom"
