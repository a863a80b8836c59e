"""What is known of a deployment and what an event adds to it, in whatever order events arrive."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from opsgenie_provider.rows.deployments import SOURCE as GITHUB
from opsgenie_provider.rows.deployments import STARTING

# Of two events of the same instant, the one with the status further on is the later one.
_ORDER = ("pending", "running", "cancelled", "failure", "success")


class _Status(msgspec.Struct):
    state: str = ""


class _Payload(msgspec.Struct):
    deployment_status: _Status = msgspec.field(default_factory=_Status)


_payload = msgspec.json.Decoder(_Payload)


class Deployment(NamedTuple):
    """A row of ``staging.deployments``, in the order of ``rows.tables.DEPLOYMENTS``."""

    source: str
    deployment_id: str
    service: str
    environment: str
    status: str
    triggered_at: datetime
    finished_at: datetime | None = None
    commit_sha: str | None = None
    repository: str | None = None
    pr_number: int | None = None
    pr_url: str | None = None
    pr_title: str | None = None
    url: str | None = None
    raw: str = "{}"

    def differs(self, other: Deployment) -> bool:
        """Whether they say something else; how it was worded (``raw``) aside."""
        return self[:-1] != other[:-1]


class Event(NamedTuple):
    """Something that happened to a deployment.

    :param deployment: the row, as far as the event tells it.
    :param at: when it happened.
    :param starts_here: the sender does not say when the deployment was triggered, so that its
        ``triggered_at`` is only the time of this event, and an earlier one knows better.
    """

    deployment: Deployment
    at: datetime
    starts_here: bool = False


class Known(NamedTuple):
    """What is stored.

    :param at: when the newest event in it happened; None where that was never said.
    :param complete_to: all that happened before is in it, for it was read at the source.
    """

    deployment: Deployment
    at: datetime | None
    complete_to: datetime | None = None


def merged(known: Known, event: Event) -> Known:
    """Both together: the newer one's word, completed by the older one's where it is silent.

    A success stays, with the time of the first one, whatever came later (`inactive` follows as a rule).
    """
    stored, told = known.deployment, event.deployment
    if known.complete_to is not None and event.at < known.complete_to:
        return known
    newer = known.at is None or (event.at, _ORDER.index(told.status)) >= (
        known.at,
        _ORDER.index(stored.status),
    )
    first, second = (told, stored) if newer else (stored, told)
    both = Deployment._make(a if a is not None else b for a, b in zip(first, second, strict=True))
    # When it ended belongs to how it ended.
    both = both._replace(finished_at=first.finished_at)
    if event.starts_here:
        both = both._replace(triggered_at=min(stored.triggered_at, told.triggered_at))
    elif told.source == GITHUB:
        both = both._replace(triggered_at=_after_approval(known, event, newer=newer))
        if {stored.status, told.status} == {"failure", "cancelled"}:
            # The failed deployment was only put out of use.
            both = both._replace(status="failure")
    successes = [each for each in (stored, told) if each.status == "success"]
    if successes:
        earliest = min(successes, key=_finish)
        both = both._replace(status="success", finished_at=earliest.finished_at, url=earliest.url or both.url)
    return Known(both, event.at if known.at is None else max(known.at, event.at))


def _after_approval(known: Known, event: Event, *, newer: bool) -> datetime:
    """When a GitHub deployment was triggered, as far as an event and the one before it tell.

    A deployment that waited for an approval goes on with its first status after that. What events in
    an unusual order leave open, the next sync settles.
    """
    stored, told = known.deployment, event.deployment
    states = _state(stored), _state(told)
    if newer and states[1] == "waiting":
        return told.triggered_at
    if newer and states[0] == "waiting" and states[1] in STARTING:
        return event.at
    if not newer and states[1] == "waiting" and states[0] in STARTING and known.at is not None:
        return max(stored.triggered_at, known.at) if _not_waited(known, event) else stored.triggered_at
    if not newer and states[1] in STARTING and not _not_waited(known, event):
        return min(stored.triggered_at, event.at)
    return max(stored.triggered_at, told.triggered_at)


def _not_waited(known: Known, event: Event) -> bool:
    """Whether the stored row still says when the deployment was created, as every event does."""
    return known.deployment.triggered_at <= event.deployment.triggered_at


def _state(deployment: Deployment) -> str:
    """The state in the payload of the event ``deployment_status`` that was the last one; '' in others."""
    try:
        return _payload.decode(deployment.raw).deployment_status.state
    except msgspec.DecodeError:
        return ""


def _finish(deployment: Deployment) -> datetime:
    return deployment.finished_at or datetime.max.replace(tzinfo=UTC)
