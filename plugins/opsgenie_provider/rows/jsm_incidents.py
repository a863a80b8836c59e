"""Issues of Jira to incidents with their services, responders and timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    decode,
    json_text,
    key_text,
    nested,
    required_text,
    text,
    texts,
    timestamp,
)
from opsgenie_provider.rows.jsm_changelog import Move, Times, moves, timeline_row, times
from opsgenie_provider.rows.jsm_fields import (
    ari_parts,
    checked_id,
    document_text,
    instant,
    plain_id,
    required_instant,
    row,
)
from opsgenie_provider.rows.jsm_site import DONE, IssueRules
from opsgenie_provider.rows.tables import INCIDENT_RESPONDERS, INCIDENT_SERVICES, INCIDENTS, Row

Rejected = list[tuple[bytes, str]]


class IssueRows(NamedTuple):
    """One issue as rows of four tables.

    :param people: account ids of the users who had to do with it: responders, the assignee, and who
        moved it from status to status.
    :param rejected: parts that could not be read, each with the reason; the rest of the issue stands.
    """

    incident: Row
    services: list[Row]
    responders: list[Row]
    timeline: list[Row]
    people: set[str]
    rejected: Rejected


def issue_rows(
    raw: Raw, histories: Iterable[Raw], *, account: str, key_reach: str, rules: IssueRules
) -> IssueRows:
    """An issue with its whole changelog.

    :raises UnreadablePayloadError: no id, no creation time, no status with a category, or a field of
        another type.
    """
    payload = decode(raw)
    incident_id = required_text(payload, "id")
    fields = nested(payload, "fields")
    rejected: Rejected = []

    def part(name: str, read: Callable[[Any], Any], nothing: Any) -> Any:
        """A part of the issue whose shape sites differ in: one that is not known is set aside."""
        try:
            return nothing if fields.get(name) is None else read(fields[name])
        except UnreadablePayloadError as error:
            value = msgspec.json.encode({"id": incident_id, "fields": {name: fields[name]}})
            rejected.append((value, f"{name}: {error}"))
            return nothing

    services: dict[str, str | None] = {}
    for name in rules.fields.services:
        services |= part(name, _services, {})
    responders: dict[tuple[str, str], str | None] = {}
    for name in rules.fields.responders:
        responders |= part(name, _responders, {})
    timeline, unreadable = moves(histories, rules)
    key = text(payload, "key")
    incident = row(
        INCIDENTS,
        account=account,
        incident_id=incident_id,
        tiny_id=key,
        message=text(fields, "summary"),
        description=part("description", document_text, None),
        priority=rules.priority(text(nested(fields, "priority"), "name")),
        created_at=required_instant(fields, "created"),
        updated_at=instant(fields, "updated"),
        impact_start_at=_first_instant(fields, rules.fields.impact_start),
        tags=None if fields.get("labels") is None else texts(fields, "labels"),
        details="{}",
        web_url=f"{rules.settings.site}/browse/{key}" if key else None,
        key_reach=key_reach,
        raw=bytes(raw).decode(),
        deleted_at=None,
        **_outcome(fields, times(timeline), rules),
    )
    people = {identity for (kind, identity) in responders if kind == "user"}
    people |= {each for each in (_assignee(fields), *_movers(timeline)) if each}
    return IssueRows(
        incident,
        [
            row(INCIDENT_SERVICES, account=account, incident_id=incident_id, service_id=service, raw=value)
            for service, value in services.items()
        ],
        [
            row(
                INCIDENT_RESPONDERS,
                account=account,
                incident_id=incident_id,
                responder_type=kind,
                responder_id=identity,
                raw=value,
            )
            for (kind, identity), value in responders.items()
        ],
        [timeline_row(move, account=account, incident_id=incident_id) for move in timeline],
        people,
        rejected + unreadable,
    )


def _outcome(fields: Payload, moved: Times, rules: IssueRules) -> dict[str, Any]:
    """Status, and when the incident was acknowledged, resolved and closed, by field or by changelog."""
    status = nested(fields, "status")
    name = text(status, "name")
    category = required_text(nested(status, "statusCategory"), "key")
    impact_end_at = _first_instant(fields, rules.fields.impact_end)
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
        ("resolution", instant(fields, "resolutiondate")),
        ("timeline", moved.resolved_at),
    )
    source, resolved_at = next(((source, at) for source, at in ends if at), (None, None))
    return outcome | {
        "status": "closed" if closed else "resolved",
        "resolved_at": resolved_at,
        "resolved_at_source": source,
        "closed_at": moved.closed_at if closed else None,
    }


def _first_instant(fields: Payload, names: Sequence[str]) -> Any:
    """The value of fields that share a name: an issue has that of its own project."""
    return next(filter(None, (timestamp(fields, name) for name in names)), None)


def _services(value: Any) -> dict[str, str | None]:
    """Service ids with their source: [{id: ARI}], as far as is known, or the ARIs alone."""
    found = {}
    for each in _listed(value):
        named = each if isinstance(each, dict) else {"id": each}
        identity = key_text(named, "id") or key_text(named, "ari")
        if identity is None:
            raise UnreadablePayloadError("expected services by their id")
        found[checked_id(plain_id(identity))] = json_text(each)
    return found


def _responders(value: Any) -> dict[tuple[str, str], str | None]:
    """Types and ids with their source: [{ari}], [{accountId}] or [{id, type}], whichever it is."""
    found = {}
    for each in _listed(value):
        named = each if isinstance(each, dict) else {"ari": each}
        kind = (key_text(named, "type") or "").lower()
        ari, account_id, team_id = (key_text(named, name) for name in ("ari", "accountId", "teamId"))
        identity = ari or account_id or team_id or key_text(named, "id")
        if identity is None:
            raise UnreadablePayloadError("expected responders by ari, accountId or id")
        parts = ari_parts(identity)
        if ari and not parts:
            raise UnreadablePayloadError(f"{ari!r:.60} is no ARI")
        if parts:
            found[kind or parts[0], parts[1]] = json_text(each)
        elif account_id:
            found["user", identity] = json_text(each)
        else:
            found[kind or ("team" if team_id else "unknown"), identity] = json_text(each)
    return found


def _listed(value: Any) -> list[Any]:
    """The items of a list, none of them of an unknown kind."""
    if not isinstance(value, list) or not all(isinstance(each, dict | str) for each in value):
        raise UnreadablePayloadError(f"expected a list of objects, got {type(value).__name__}")
    return value


def _assignee(fields: Payload) -> str | None:
    return key_text(nested(fields, "assignee"), "accountId")


def _movers(timeline: Iterable[Move]) -> Iterator[str | None]:
    return (move.author_id for move in timeline)
