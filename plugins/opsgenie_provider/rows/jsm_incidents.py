"""Jira issues to incidents with their services, responders and timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    decode,
    json_text,
    key_text,
    nested,
    raw_text,
    required_text,
    text,
    timestamp,
)
from opsgenie_provider.rows.incidents import IncidentRows, responder_rows, service_rows
from opsgenie_provider.rows.jsm_changelog import Times, derive_times, parse_moves, timeline_row
from opsgenie_provider.rows.jsm_fields import (
    ari_parts,
    checked_id,
    document_text,
    instant,
    plain_id,
    required_instant,
)
from opsgenie_provider.rows.jsm_site import DONE, IssueRules
from opsgenie_provider.rows.parts import OptionalFields, Rejected
from opsgenie_provider.rows.tables import INCIDENTS, JSM


def issue_rows(
    raw: Raw, histories: Iterable[Raw], *, account: str, key_reach: str, rules: IssueRules
) -> IncidentRows:
    """An issue with its whole changelog.

    :raises UnreadablePayloadError: it has no id, creation time or status category.
    """
    payload = decode(raw)
    incident_id = required_text(payload, "id")
    fields = nested(payload, "fields")
    rejected: Rejected = []
    parts = OptionalFields(fields, rejected, within=incident_id)

    def part(name: str, value: Any, read: Callable[[Any], Any], default: Any) -> Any:
        """A field whose shape differs between sites: rejected alone where the shape is unknown."""
        try:
            return default if value is None else read(value)
        except UnreadablePayloadError as error:
            source = msgspec.json.encode({"id": incident_id, "fields": {name: value}})
            rejected.append((source, f"{name}: {error}"))
            return default

    def each(name: str, read: Callable[[Any], Any]) -> Any:
        """The items of such a field by their ids, each on its own."""
        value = fields.get(name)
        found: Any = {}
        for item in [[item] for item in value] if isinstance(value, list) else [value]:
            found |= part(name, item, read, {})
        return found

    services: dict[str, str | None] = {}
    for name in rules.fields.services:
        services |= each(name, _parse_services)
    responders: dict[tuple[str, str], str | None] = {}
    for name in rules.fields.responders:
        responders |= each(name, _parse_responders)
    timeline, unreadable = parse_moves(histories, rules)
    key = OptionalFields(payload, rejected).read(text, "key")
    incident = INCIDENTS.row(
        account=account,
        incident_id=incident_id,
        tiny_id=key,
        message=parts.read(text, "summary"),
        description=part("description", fields.get("description"), document_text, None),
        priority=rules.priority(parts.nested("priority").read(text, "name")),
        created_at=required_instant(fields, "created"),
        updated_at=parts.read(instant, "updated"),
        impact_start_at=_first_instant(parts, rules.fields.impact_start),
        tags=parts.texts("labels"),
        details="{}",
        web_url=f"{rules.settings.site}/browse/{key}" if key else None,
        key_reach=key_reach,
        backend=JSM,
        raw=raw_text(raw),
        deleted_at=None,
        **_outcome(fields, parts, derive_times(timeline), rules),
    )
    return IncidentRows(
        incident_id,
        incident,
        service_rows(services, account=account, incident_id=incident_id),
        responder_rows(responders, account=account, incident_id=incident_id),
        rejected + unreadable,
        [timeline_row(move, account=account, incident_id=incident_id) for move in timeline],
    )


def _outcome(fields: Payload, parts: OptionalFields, moved: Times, rules: IssueRules) -> dict[str, Any]:
    """Status, and when it was acknowledged, resolved and closed, from the fields or the changelog."""
    status = nested(fields, "status")
    name = text(status, "name")
    category = required_text(nested(status, "statusCategory"), "key")
    impact_end_at = _first_instant(parts, rules.fields.impact_end)
    outcome: dict[str, Any] = {
        "status": "open",
        "impact_end_at": impact_end_at,
        "acknowledged_at": moved.acknowledged_at,
        "resolved_at": None,
        "resolved_at_source": None,
        "closed_at": None,
    }
    if category != DONE:
        return outcome
    closed = rules.is_closed(name)
    ends = (
        ("impact_end", impact_end_at),
        ("resolution", parts.read(instant, "resolutiondate")),
        ("timeline", moved.resolved_at),
    )
    source, resolved_at = next(((source, at) for source, at in ends if at), (None, None))
    return outcome | {
        "status": "closed" if closed else "resolved",
        "resolved_at": resolved_at,
        "resolved_at_source": source,
        "closed_at": moved.closed_at if closed else None,
    }


def _first_instant(parts: OptionalFields, names: Sequence[str]) -> Any:
    """The first instant among fields that share a name: an issue has only its own project's field."""
    return next(filter(None, (parts.read(timestamp, name) for name in names)), None)


def _parse_services(value: Any) -> dict[str, str | None]:
    """Service id -> its JSON, from [{id: ARI}], as far as is known, or from a list of ARIs."""
    found = {}
    for service in _listed(value):
        reference = service if isinstance(service, dict) else {"id": service}
        identity = key_text(reference, "id") or key_text(reference, "ari")
        if identity is None:
            raise UnreadablePayloadError("expected services by their id")
        found[checked_id(plain_id(identity))] = json_text(service)
    return found


def _parse_responders(value: Any) -> dict[tuple[str, str], str | None]:
    """(type, id) -> its JSON, from [{ari}], [{accountId}], [{id, type}] or a list of ARIs."""
    found = {}
    for responder in _listed(value):
        reference = responder if isinstance(responder, dict) else {"ari": responder}
        kind = (key_text(reference, "type") or "").lower()
        ari, account_id, team_id = (key_text(reference, name) for name in ("ari", "accountId", "teamId"))
        identity = ari or account_id or team_id or key_text(reference, "id")
        if identity is None:
            raise UnreadablePayloadError("expected responders by ari, accountId or id")
        parts = ari_parts(identity)
        if ari and not parts:
            raise UnreadablePayloadError(f"{ari!r:.60} is not an ARI")
        if parts:
            found[kind or parts[0], parts[1]] = json_text(responder)
        elif account_id:
            found["user", identity] = json_text(responder)
        else:
            found[kind or ("team" if team_id else "unknown"), identity] = json_text(responder)
    return found


def _listed(value: Any) -> list[Any]:
    """A list whose items are all objects or texts."""
    if not isinstance(value, list) or not all(isinstance(item, dict | str) for item in value):
        raise UnreadablePayloadError(f"expected a list of objects, got {type(value).__name__}")
    return value
