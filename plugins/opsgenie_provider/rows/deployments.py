"""GitHub deployments with their statuses and pull requests as rows of ``staging.deployments``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    UnreadablePayloadError,
    decode,
    integer,
    raw_text,
    required_text,
    required_timestamp,
    text,
    timestamp,
)
from opsgenie_provider.rows.parts import OptionalFields, Rejected, reason_of_part

SOURCE = "github"
# GitHub's newest state of a deployment that never succeeded -> its status. `inactive` after a failure
# leaves the failure.
_STATUS = {
    "error": "failure",
    "failure": "failure",
    "pending": "pending",
    "queued": "pending",
    "waiting": "pending",
    "in_progress": "running",
    "inactive": "cancelled",
}
# The states with which a deployment continues after it has waited for an approval.
STARTING = ("queued", "in_progress", "success")


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
        """Whether any column but ``raw`` differs."""
        return self[:-1] != other[:-1]


class Listed(NamedTuple):
    """A deployment as listed: enough to decide whether its statuses must be read."""

    deployment_id: str
    environment: str
    created_at: datetime
    updated_at: datetime | None
    sha: str | None


class PullRequest(NamedTuple):
    """The pull request that a commit came with."""

    number: int
    url: str | None
    title: str | None


def parse_listed(raw: Raw, *, rejected: Rejected | None = None) -> Listed:
    """An item of the list of deployments (REST, list deployments).

    :param rejected: receives the parts that cannot be read.
    """
    payload = decode(raw)
    parts = OptionalFields(payload, rejected)
    return Listed(
        required_text(payload, "id"),
        required_text(payload, "environment"),
        required_timestamp(payload, "created_at"),
        parts.read(timestamp, "updated_at"),
        parts.read(text, "sha"),
    )


def deployment_row(
    raw: Raw,
    statuses: Iterable[Raw],
    pull: PullRequest | None,
    *,
    repository: str,
    service: str | None = None,
    rejected: Rejected | None = None,
) -> Deployment:
    """A deployment (REST, deployments and their statuses).

    Its status is success if it ever succeeded, whatever followed (usually `inactive`). It was triggered
    when it was created or, where it waited for an approval, when it continued after that.

    :param repository: owner/name.
    :param service: the deployed service; by default the repository's name.
    :param rejected: receives the statuses and other parts that cannot be read.
    """
    deployment = parse_listed(raw, rejected=rejected)
    states = _in_order(statuses, rejected)
    successes = [status for status in states if text(status, "state") == "success"]
    latest = _deciding_status(states)
    deciding = OptionalFields(successes[0] if successes else latest, rejected)
    return Deployment(
        source=SOURCE,
        deployment_id=deployment.deployment_id,
        service=service or repository.split("/")[1],
        environment=deployment.environment,
        status="success" if successes else _STATUS.get(text(latest, "state") or "", "pending"),
        triggered_at=_triggered_at(deployment, states),
        finished_at=_instant(successes[0]) if successes else None,
        commit_sha=deployment.sha,
        repository=repository,
        pr_number=pull.number if pull else None,
        pr_url=pull.url if pull else None,
        pr_title=pull.title if pull else None,
        url=deciding.read(text, "log_url")
        or deciding.read(text, "target_url")
        or deciding.read(text, "environment_url"),
        raw=raw_text(raw),
    )


def newest_event_at(raw: Raw, statuses: Iterable[Raw]) -> datetime:
    """When the deployment was created or got its newest status, whichever is later."""
    created_at = parse_listed(raw, rejected=[]).created_at
    return max([created_at, *map(_instant, _in_order(statuses, []))])


def pull_of(sha: str, payloads: Sequence[Raw]) -> PullRequest | None:
    """The pull request of a commit: the one whose merge commit it is, else a merged one, else the oldest."""
    pulls = [decode(raw) for raw in payloads]
    if not pulls:
        return None

    def order(pull: Payload) -> tuple[bool, bool, int]:
        merged = timestamp(pull, "merged_at") is not None
        return (
            not (merged and text(pull, "merge_commit_sha") == sha),
            not merged,
            integer(pull, "number") or 0,
        )

    pull = min(pulls, key=order)
    number = integer(pull, "number")
    return None if number is None else PullRequest(number, text(pull, "html_url"), text(pull, "title"))


def _in_order(statuses: Iterable[Raw], rejected: Rejected | None) -> list[Payload]:
    readable: list[Payload] = []
    for raw in statuses:
        try:
            readable.append(_status(raw))
        except UnreadablePayloadError as error:
            if rejected is None:
                raise
            rejected.append((bytes(raw), f"status: {reason_of_part(error)}"))
    return sorted(readable, key=_order)


def _status(raw: Raw) -> Payload:
    """A status, with a state and a time that can be read."""
    status = decode(raw)
    _instant(status)
    text(status, "state")
    return status


def _deciding_status(states: Sequence[Payload]) -> Payload:
    """The newest status; but the failure before it where that is only `inactive`.

    A state that GitHub has no documentation of says nothing: what was known before it still holds.
    """
    known = [status for status in states if text(status, "state") in _STATUS]
    active = [status for status in known if text(status, "state") != "inactive"]
    if active and _STATUS[text(active[-1], "state") or ""] == "failure":
        return active[-1]
    return known[-1] if known else {}


def _triggered_at(deployment: Listed, states: Sequence[Payload]) -> datetime:
    names = [text(status, "state") for status in states]
    if "waiting" not in names:
        return deployment.created_at
    after = len(names) - names[::-1].index("waiting")
    started = (status for status in states[after:] if text(status, "state") in STARTING)
    return next(map(_instant, started), deployment.created_at)


def _order(status: Payload) -> tuple[datetime, int]:
    """GitHub's times are whole seconds; within one, the later status has the larger id."""
    number = status.get("id")
    return _instant(status), number if isinstance(number, int) else 0


def _instant(status: Payload) -> datetime:
    return required_timestamp(status, "created_at")
