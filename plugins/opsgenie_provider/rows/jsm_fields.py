"""Single fields of payloads of Jira Service Management: required lists, ARIs, instants, documents."""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from opsgenie_provider.rows.fields import Payload, UnreadablePayloadError, objects, required_text, timestamp
from opsgenie_provider.rows.tables import Row, Table

BACKEND = "jsm"
_ENCODED = "b:"
# Nodes of a document that stand on lines of their own.
_BLOCKS = {
    "blockquote", "bulletList", "codeBlock", "decisionItem", "decisionList", "expand", "heading", "listItem",
    "mediaGroup", "mediaSingle", "nestedExpand", "orderedList", "panel", "paragraph", "rule", "table",
    "tableRow", "taskItem", "taskList",
}  # fmt: skip


@dataclass(frozen=True)
class Directory:
    """Names of what payloads refer to by id only.

    :param users: account id -> e-mail address, or display name where that is hidden.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    teams: Mapping[str, str] = field(default_factory=dict)
    schedules: Mapping[str, str] = field(default_factory=dict)
    escalations: Mapping[str, str] = field(default_factory=dict)

    def name(self, kind: str | None, identity: str | None) -> str | None:
        """What somebody or something on call is called; None where nobody knows the id."""
        known = {
            "user": self.users,
            "team": self.teams,
            "schedule": self.schedules,
            "escalation": self.escalations,
        }.get(kind or "", {})
        return known.get(identity or "")


def row(table: Table, **values: Any) -> Row:
    """A row of a table from its columns by name."""
    values["backend"] = BACKEND
    return tuple(values[name] for name in table.columns)


def required_objects(payload: Payload, name: str) -> Sequence[Payload]:
    """A list of objects that must be there: what is missing is not the same as an empty list."""
    if payload.get(name) is None:
        raise UnreadablePayloadError(f"{name}: missing")
    return objects(payload, name)


def instant(payload: Payload, name: str) -> datetime | None:
    """An instant, as ISO 8601 text or as milliseconds since 1970."""
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return timestamp(payload, name)
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise UnreadablePayloadError(f"{name}: {value!r:.60} is no number of milliseconds") from None


def required_instant(payload: Payload, name: str) -> datetime:
    """An instant without which there is no row."""
    value = instant(payload, name)
    if value is None:
        raise UnreadablePayloadError(f"{name}: missing")
    return value


def plain_id(identity: str) -> str:
    """An id as incidents refer to it: the services API writes ``b:`` and the ARI in base64."""
    if not identity.startswith(_ENCODED):
        return identity
    encoded = identity.removeprefix(_ENCODED).rstrip("=")
    encoded += "=" * (-len(encoded) % 4)
    try:
        decode = urlsafe_b64decode if {"-", "_"} & set(encoded) else b64decode
        decoded = decode(encoded.encode()).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    if not decoded.startswith("ari:"):
        raise UnreadablePayloadError(f"id: {identity!r:.60} is no encoded ARI")
    return decoded


def checked_id(identity: str) -> str:
    """An id that, decoded, still fits into an index."""
    return required_text({"id": identity}, "id")


def ari_parts(ari: str) -> tuple[str, str] | None:
    """Type and id in an ARI like ``ari:cloud:identity::user/712020:5b10``; None where it is no ARI."""
    head, slash, _ = ari.partition("/")
    if not slash or not head.startswith("ari:"):
        return None
    # The id itself may hold colons.
    kind, identity = head.rpartition(":")[2], ari.rpartition("/")[2]
    return (kind, identity) if kind and identity else None


def document_text(value: Any) -> str | None:
    """The text of a description: plain, or an Atlassian document (ADF), block by block."""
    if value is None or isinstance(value, str):
        return value or None
    if not isinstance(value, dict) or not isinstance(value.get("content"), list):
        raise UnreadablePayloadError("expected a text or a document")
    parts: list[str] = []
    nodes: list[Any] = [value]
    while nodes:
        node = nodes.pop()
        if isinstance(node, str):
            parts.append(node)
            continue
        if not isinstance(node, dict):
            raise UnreadablePayloadError("expected a document of nodes")
        content = node.get("content") or []
        if not isinstance(content, list):
            raise UnreadablePayloadError("expected a document of nodes")
        kind = node.get("type")
        around = ["\n"] if isinstance(kind, str) and kind in _BLOCKS else []
        nodes += [*around, *reversed(content), _own_text(node), *around]
    lines = "".join(parts).split("\n")
    return "\n".join(line.rstrip() for line in lines if line.strip()) or None


def _own_text(node: Payload) -> str:
    """What a node says besides its content."""
    kind = node.get("type")
    if kind == "hardBreak":
        return "\n"
    said = node.get("text")
    attributes = node.get("attrs")
    if said is None and isinstance(attributes, dict):
        names = ("text", "shortName", "url") if kind != "media" else ("alt",)
        said = next((attributes[name] for name in names if isinstance(attributes.get(name), str)), None)
    return said if isinstance(said, str) else ""
