"""Reads single fields of Jira Service Management's payloads: required lists, ARIs, instants, documents."""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    as_timestamp,
    check_key,
    objects,
)

_ENCODED_PREFIX = "b:"
# Nodes of a document that begin a new line.
_BLOCKS = {
    "blockquote", "bulletList", "codeBlock", "decisionItem", "decisionList", "expand", "heading", "listItem",
    "mediaGroup", "mediaSingle", "nestedExpand", "orderedList", "panel", "paragraph", "rule", "table",
    "tableRow", "taskItem", "taskList",
}  # fmt: skip


def required_objects(payload: Payload, name: str) -> Sequence[Payload]:
    """A list of objects that must be present: a missing list is not an empty one."""
    if payload.get(name) is None:
        raise UnreadablePayloadError(f"{name}: missing")
    return objects(payload, name)


def instant(payload: Payload, name: str) -> datetime | None:
    """An instant, as ISO 8601 text or as Unix milliseconds."""
    return as_instant(payload.get(name), name)


def as_instant(value: Any, name: str) -> datetime | None:
    """The same of a value that is read already."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return as_timestamp(value, name)
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise UnreadablePayloadError(f"{name}: {value!r:.60} is not a number of milliseconds") from None


def required_instant(payload: Payload, name: str) -> datetime:
    """An instant that a row cannot do without."""
    value = instant(payload, name)
    if value is None:
        raise UnreadablePayloadError(f"{name}: missing")
    return value


def plain_id(identity: str) -> str:
    """A service's id as incidents refer to it: the services API returns ``b:`` and the ARI in base64."""
    if not identity.startswith(_ENCODED_PREFIX):
        return identity
    encoded = identity.removeprefix(_ENCODED_PREFIX).rstrip("=")
    encoded += "=" * (-len(encoded) % 4)
    try:
        decode = urlsafe_b64decode if {"-", "_"} & set(encoded) else b64decode
        decoded = decode(encoded.encode()).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    if not decoded.startswith("ari:"):
        raise UnreadablePayloadError(f"id: {identity!r:.60} is not an encoded ARI")
    return decoded


def checked_id(identity: str) -> str:
    """A decoded id, rejected if it is longer than an index allows."""
    check_key(identity, "id")
    return identity


def ari_parts(ari: str) -> tuple[str, str] | None:
    """Type and id in an ARI like ``ari:cloud:identity::user/712020:5b10``; None where it is not an ARI."""
    head, slash, _ = ari.partition("/")
    if not slash or not head.startswith("ari:"):
        return None
    # The id itself may contain colons.
    kind, identity = head.rpartition(":")[2], ari.rpartition("/")[2]
    return (kind, identity) if kind and identity else None


def document_text(value: Any) -> str | None:
    """A description as plain text: it is a text, or an Atlassian document (ADF), read block by block."""
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
        separator = ["\n"] if isinstance(kind, str) and kind in _BLOCKS else []
        nodes += [*separator, *reversed(content), _own_text(node), *separator]
    lines = "".join(parts).split("\n")
    return "\n".join(line.rstrip() for line in lines if line.strip()) or None


def _own_text(node: Payload) -> str:
    """The text of a node itself, without its child nodes."""
    kind = node.get("type")
    if kind == "hardBreak":
        return "\n"
    own = node.get("text")
    attributes = node.get("attrs")
    if own is None and isinstance(attributes, dict):
        names = ("text", "shortName", "url") if kind != "media" else ("alt",)
        own = next((attributes[name] for name in names if isinstance(attributes.get(name), str)), None)
    return own if isinstance(own, str) else ""
