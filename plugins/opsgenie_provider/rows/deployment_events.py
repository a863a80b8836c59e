"""Merges events of a deployment into its stored row, independent of the order in which they arrive."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from opsgenie_provider.rows.deployments import SOURCE as GITHUB
from opsgenie_provider.rows.deployments import STARTING, Deployment

# Of two events at the same instant, the one whose status comes later in this order counts as newer.
_STATUS_ORDER = ("pending", "running", "cancelled", "failure", "success")


class _Status(msgspec.Struct):
    state: str = ""


class _Payload(msgspec.Struct):
    deployment_status: _Status = msgspec.field(default_factory=_Status)


_payload = msgspec.json.Decoder(_Payload)


class Event(NamedTuple):
    """Something that happened to a deployment.

    :param deployment: the row, with the values that the event contains.
    :param at: when it happened.
    :param starts_here: the event does not contain the trigger time, so ``triggered_at`` is the time of
        the event, and an earlier event takes precedence.
    """

    deployment: Deployment
    at: datetime
    starts_here: bool = False


class MergedDeployment(NamedTuple):
    """A stored deployment.

    :param at: when the newest event merged into it happened; None where that is unknown.
    :param complete_to: it contains every event before this instant, because it was read from the source.
    """

    deployment: Deployment
    at: datetime | None
    complete_to: datetime | None = None


def merge_event(known: MergedDeployment, event: Event) -> MergedDeployment:
    """The stored row with an event merged in: the newer one's values, where null the older one's.

    A success stays, with the time of the first success, whatever followed (usually `inactive`).
    """
    stored, reported = known.deployment, event.deployment
    if known.complete_to is not None and event.at < known.complete_to:
        return known
    newer = known.at is None or (event.at, _STATUS_ORDER.index(reported.status)) >= (
        known.at,
        _STATUS_ORDER.index(stored.status),
    )
    first, second = (reported, stored) if newer else (stored, reported)
    both = Deployment._make(a if a is not None else b for a, b in zip(first, second, strict=True))
    # finished_at belongs to the status, so both come from the same one.
    both = both._replace(finished_at=first.finished_at)
    if event.starts_here:
        both = both._replace(triggered_at=min(stored.triggered_at, reported.triggered_at))
    elif reported.source == GITHUB:
        both = both._replace(triggered_at=_after_approval(known, event, newer=newer))
        if {stored.status, reported.status} == {"failure", "cancelled"}:
            # A failed deployment became inactive: it stays failed.
            both = both._replace(status="failure")
    successes = [deployment for deployment in (stored, reported) if deployment.status == "success"]
    if successes:
        earliest = min(successes, key=_finish)
        both = both._replace(status="success", finished_at=earliest.finished_at, url=earliest.url or both.url)
    return MergedDeployment(both, event.at if known.at is None else max(known.at, event.at))


def _after_approval(known: MergedDeployment, event: Event, *, newer: bool) -> datetime:
    """When a GitHub deployment was triggered, as far as the stored row and an event show.

    A deployment that waited for an approval was triggered by its first status after that. The next sync
    corrects what an unusual order of events leaves open.
    """
    stored, reported = known.deployment, event.deployment
    stored_state, event_state = _state(stored), _state(reported)
    if newer and event_state == "waiting":
        return reported.triggered_at
    if newer and stored_state == "waiting" and event_state in STARTING:
        return event.at
    if not newer and event_state == "waiting" and stored_state in STARTING and known.at is not None:
        return max(stored.triggered_at, known.at) if _not_waited(known, event) else stored.triggered_at
    if not newer and event_state in STARTING and not _not_waited(known, event):
        return min(stored.triggered_at, event.at)
    return max(stored.triggered_at, reported.triggered_at)


def _not_waited(known: MergedDeployment, event: Event) -> bool:
    """Whether the stored ``triggered_at`` still is the time of creation, as in every event."""
    return known.deployment.triggered_at <= event.deployment.triggered_at


def _state(deployment: Deployment) -> str:
    """The state in a stored ``deployment_status`` payload; '' in other payloads."""
    try:
        return _payload.decode(deployment.raw).deployment_status.state
    except msgspec.DecodeError:
        return ""


def _finish(deployment: Deployment) -> datetime:
    return deployment.finished_at or datetime.max.replace(tzinfo=UTC)
