"""Schedule timelines of Jira Service Management to on-call periods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Raw

from opsgenie_provider.rows.directory import Directory
from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    decode,
    json_text,
    nested,
    objects,
    required_text,
    required_timestamp,
    text,
)
from opsgenie_provider.rows.jsm_configuration import users_among
from opsgenie_provider.rows.jsm_fields import required_objects
from opsgenie_provider.rows.on_call import Period, Timeline, clip
from opsgenie_provider.rows.tables import JSM

# This API's responder type for a gap, and OpsGenie's.
_NOBODY = frozenset({"noone", "none"})


def timeline(raw: Raw, *, directory: Directory) -> Timeline:
    """The final timeline of a schedule (schedules, timeline), within the window that the answer states.

    Deleted rotations keep their past periods. The timeline is rejected as a whole where any part has an
    unknown shape: a gap is a responder of type ``noone``, never a missing one.

    :raises UnreadablePayloadError: a list, a responder or an instant is missing or of another type.
    """
    payload = decode(raw)
    start_at, end_at = required_timestamp(payload, "startDate"), required_timestamp(payload, "endDate")
    periods = [
        Period(
            rotation_id,
            required_timestamp(item, "startDate"),
            required_text(responder, "id"),
            kind,
            directory.name(kind, text(responder, "id")),
            required_timestamp(item, "endDate"),
            text(item, "type"),
            JSM,
            json_text(item),
        )
        for rotation_id, item in _items(payload)
        for responder in _responders(item)
        if (kind := required_text(responder, "type")) not in _NOBODY
    ]
    return Timeline(list(clip(periods, since=start_at, until=end_at)), start_at, end_at)


def people_in_timeline(raw: Raw) -> set[str]:
    """Account ids of the users on call in a timeline; empty where it cannot be read."""
    try:
        return users_among(responder for _, item in _items(decode(raw)) for responder in _responders(item))
    except UnreadablePayloadError:
        return set()


def _items(payload: Payload) -> Iterator[tuple[str, Payload]]:
    """The periods of all rotations, each with its rotation's id; a rotation may have none."""
    for rotation in required_objects(nested(payload, "finalTimeline"), "rotations"):
        rotation_id = required_text(rotation, "id")
        for item in objects(rotation, "periods"):
            yield rotation_id, item


def _responders(item: Payload) -> Iterable[Payload]:
    """Who is on call: the users behind a team or an escalation policy where they are given."""
    flattened: Sequence[Payload] = objects(item, "flattenedResponders")
    responder = nested(item, "responder")
    if flattened:
        return flattened
    if not responder:
        raise UnreadablePayloadError("responder: missing")
    # A team or a policy without users.
    if item.get("flattenedResponders") is not None and text(responder, "type") != "user":
        return ()
    return [responder]
