"""From a PagerDuty incident to what OpsGenie is asked to create: pure, and within its limits.

Limits: docs.opsgenie.com/docs/incident-api (message, description, note) and the alert API's of tags
and details, which incidents are taken to share. Of description two limits are published; the lower
one holds. Lengths are counted in UTF-16 units, the largest of the usual ways.

What OpsGenie cannot hold (its own creation time, authors of notes, responders, log) stays in
``source``. Nothing in a payload notifies anyone: no responders, no impacted services, no
stakeholders, no status page.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from opsgenie_provider.migration.options import Options
from opsgenie_provider.rows.graphemes import cut, length

MESSAGE, DESCRIPTION, NOTE, TAG, TAGS, DETAILS = 130, 10_000, 25_000, 50, 20, 8_000
# Details that are a convenience may not crowd out those that others rely on.
_CONVENIENCE = 255
PRIORITIES = ("P1", "P2", "P3", "P4", "P5")
BY_URGENCY = {"high": "P2", "low": "P4"}
IMPORT_TAG = "pagerduty-import"
RESOLVED = "resolved"
# Control and format characters, separators of words, lines and paragraphs.
_INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}
Json = dict[str, Any]


@dataclass(frozen=True)
class Note:
    """A note of an incident; ``author`` is a name."""

    content: str
    author: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class SourceIncident:
    """What PagerDuty says of an incident; ``raw`` and ``log`` go into the ledger as they are."""

    account: str
    incident_id: str
    created_at: datetime
    number: int | None = None
    title: str | None = None
    body: str | None = None
    status: str | None = None
    urgency: str | None = None
    priority: str | None = None
    service: str | None = None
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    merged_into: str | None = None
    web_url: str | None = None
    notes: Sequence[Note] = ()
    raw: Json = field(default_factory=dict)
    log: Sequence[Json] = ()

    @property
    def seconds_to_recover(self) -> Decimal | None:
        """Resolution minus creation; None where either is missing or the result is negative."""
        if self.resolved_at is None or self.resolved_at < self.created_at:
            return None
        return _seconds(self.resolved_at - self.created_at)


class NotImportable(ValueError):
    """An incident that is not imported, and why."""


def tag_of(incident_id: str) -> str:
    """The tag by which an imported incident is found again."""
    return f"pd:{incident_id}"


def payload_of(incident: SourceIncident, options: Options, priorities: Mapping[str, str]) -> Json:
    """What the import needs: ``create``, ``notes``, ``resolve``; and ``source``, all that is known.

    :param priorities: the account's names of priorities -> P1 to P5.
    :raises NotImportable: it was merged, is open, or cannot be made to fit.
    """
    if incident.merged_into:
        raise NotImportable(f"merged into {incident.merged_into}")
    is_open = incident.status != RESOLVED
    if is_open and not options.include_open:
        raise NotImportable(f"not resolved ({incident.status})")
    payload: Json = {
        "create": _create(incident, priorities),
        "notes": [_note(note) for note in in_order(incident.notes) if has_text(note.content)]
        if options.import_notes
        else [],
        "resolve": not is_open,
        "source": {"incident": incident.raw, "notes": _raw_notes(incident.notes), "log": list(incident.log)},
    }
    if problems := violations(payload):
        raise NotImportable("OpsGenie would refuse it: " + "; ".join(problems))
    return payload


def violations(payload: Json) -> list[str]:
    """What of a payload breaks OpsGenie's limits, in words; for the plan and for the import."""
    create = payload["create"]
    found = []
    if not has_text(create.get("message", "")):
        found.append("message is empty")
    for name, limit in (("message", MESSAGE), ("description", DESCRIPTION)):
        if length(create.get(name, "")) > limit:
            found.append(f"{name} has more than {limit} characters")
    tags, details = create.get("tags", []), create.get("details", {})
    if len(tags) > TAGS or any(not tag or length(tag) > TAG for tag in tags):
        found.append(f"tags are more than {TAGS} or one has more than {TAG} characters")
    if sum(length(key) + length(value) for key, value in details.items()) > DETAILS:
        found.append(f"details have more than {DETAILS} characters")
    if create.get("priority", "P3") not in PRIORITIES:
        found.append(f"priority {create.get('priority')!r} is none of {', '.join(PRIORITIES)}")
    if any(not has_text(note) or length(note) > NOTE for note in payload["notes"]):
        found.append(f"a note is empty or has more than {NOTE} characters")
    loud = {"responders", "notifyStakeholders", "statusPageEntry", "impactedServices"} & create.keys()
    return found + [f"{name} would notify people" for name in sorted(loud)]


def differences(found: Json, payload: Json) -> list[str]:
    """What of an OpsGenie incident, as read back, is not as its payload wants it, in words."""
    create = payload["create"]
    problems = []
    if not same_text(str(found.get("message")), create["message"]):
        problems.append(f"its message is {found.get('message')!r:.80}")
    if create.get("priority", found.get("priority")) != found.get("priority"):
        problems.append(f"its priority is {found.get('priority')!r:.20} instead of {create['priority']}")
    details = found.get("extraProperties") or {}
    problems += [
        f"its detail {name} is {details.get(name)!r:.80} instead of {value!r:.80}"
        for name, value in create["details"].items()
        if details.get(name) != value
    ]
    tags = found.get("tags") or ()
    problems += [f"it lacks the tag {tag}" for tag in create["tags"] if tag not in tags]
    if payload["resolve"] and found.get("status") not in ("resolved", "closed"):
        problems.append(f"it is {found.get('status')}")
    return problems + [f"it has {name}" for name in ("responders", "impactedServices") if found.get(name)]


def priority_of(priority: str | None, urgency: str | None, priorities: Mapping[str, str]) -> str | None:
    """P1 to P5: by the mapping, by the name itself, else by urgency; None where nothing says."""
    if priority:
        named = priorities.get(priority) or priority.strip().upper()
        if named in PRIORITIES:
            return named
    return BY_URGENCY.get(urgency or "")


def default_priorities(names: Sequence[str]) -> dict[str, str]:
    """A mapping of an account's priorities, most severe first; names that say P1 to P5 need none.

    Up to five are counted down from P1; more are spread over P1 to P5 in their order.
    """
    last = max(len(names) - 1, 4)
    return {
        name: PRIORITIES[place * 4 // last]
        for place, name in enumerate(names)
        if name.strip().upper() not in PRIORITIES
    }


def has_text(text: str) -> bool:
    """Whether a reader sees anything: not only blanks, line breaks and characters without a shape."""
    return any(unicodedata.category(character) not in _INVISIBLE for character in text)


def same_text(found: str, sent: str) -> bool:
    """Whether a text read back is the one that was sent: the service may trim it, and write & as &amp;."""
    return _plain(found) == _plain(sent)


def in_order(notes: Sequence[Note]) -> list[Note]:
    """Notes by time; those without one first."""
    return sorted(notes, key=lambda note: note.created_at or datetime.min.replace(tzinfo=UTC))


def _create(incident: SourceIncident, priorities: Mapping[str, str]) -> Json:
    title = " ".join((incident.title or "").split())
    if not has_text(title):
        title = ""
    number = f" #{incident.number}" if incident.number is not None else ""
    message = cut(title or f"PagerDuty incident{number}", MESSAGE)
    # What was cut off is said in full below.
    description = "\n\n".join(
        part for part in (title if message != title else "", incident.body or "") if part
    )
    create: Json = {
        "message": message,
        "tags": [IMPORT_TAG, tag_of(incident.incident_id)],
        "details": _details(incident),
    }
    if has_text(description):
        create["description"] = cut(description, DESCRIPTION)
    if priority := priority_of(incident.priority, incident.urgency, priorities):
        create["priority"] = priority
    return create


def _details(incident: SourceIncident) -> dict[str, str]:
    seconds = incident.seconds_to_recover
    contract = {
        "pagerduty_id": incident.incident_id,
        "pagerduty_number": None if incident.number is None else str(incident.number),
        "pagerduty_url": incident.web_url,
        "pagerduty_created_at": instant_text(incident.created_at),
        "pagerduty_acknowledged_at": instant_text(incident.acknowledged_at),
        "pagerduty_resolved_at": instant_text(incident.resolved_at),
        "pagerduty_account": incident.account,
        "seconds_to_recover": None if seconds is None else f"{seconds:f}",
    }
    convenience = {
        "pagerduty_service": incident.service,
        "pagerduty_priority": incident.priority,
        "pagerduty_urgency": incident.urgency,
    }
    details = contract | {name: cut(value or "", _CONVENIENCE) for name, value in convenience.items()}
    return {name: value for name, value in details.items() if value and has_text(value)}


def _plain(text: str) -> str:
    return " ".join(html.unescape(text).split())


def _note(note: Note) -> str:
    head = " · ".join(part for part in (instant_text(note.created_at), note.author) if part)
    return cut(f"[{head or 'PagerDuty'}] {note.content}", NOTE)


def _raw_notes(notes: Sequence[Note]) -> list[Json]:
    return [
        {"author": note.author, "created_at": instant_text(note.created_at), "content": note.content}
        for note in in_order(notes)
    ]


def instant_text(instant: datetime | None) -> str | None:
    """ISO 8601 in UTC with Z; fractions only where there are any."""
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _seconds(duration: timedelta) -> Decimal:
    """Exact seconds, without trailing zeros."""
    microseconds = duration // timedelta(microseconds=1)
    whole, rest = divmod(microseconds, 1_000_000)
    return Decimal(whole) if not rest else Decimal(microseconds).scaleb(-6).normalize()
