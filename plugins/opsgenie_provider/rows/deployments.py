"""GitHub deployments with their statuses and pull requests as rows of ``staging.deployments``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Raw

from opsgenie_provider.rows.fields import (
    Payload,
    decode,
    integer,
    required_text,
    required_timestamp,
    text,
    timestamp,
)
from opsgenie_provider.rows.tables import Row

SOURCE = "github"
# The newest state of a deployment that never succeeded. `inactive` says nothing of how it went: a failure
# before it stays one.
_STATUS = {
    "error": "failure",
    "failure": "failure",
    "pending": "pending",
    "queued": "pending",
    "waiting": "pending",
    "in_progress": "running",
    "inactive": "cancelled",
}
# With these a deployment that waited for an approval goes on.
STARTING = ("queued", "in_progress", "success")


class Listed(NamedTuple):
    """What the list says of a deployment: enough to decide whether to read on."""

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


def listed(raw: Raw) -> Listed:
    """An item of the list of deployments (REST, list deployments)."""
    payload = decode(raw)
    return Listed(
        required_text(payload, "id"),
        required_text(payload, "environment"),
        required_timestamp(payload, "created_at"),
        timestamp(payload, "updated_at"),
        text(payload, "sha"),
    )


def deployment_row(
    raw: Raw,
    statuses: Iterable[Raw],
    pull: PullRequest | None,
    *,
    repository: str,
    service: str | None = None,
) -> Row:
    """A deployment; it succeeded if it ever did, whatever came later (`inactive` follows as a rule).

    It was triggered when it was created or, where it waited for an approval, when it went on after that.

    :param service: what it deploys; the repository's name where not given.
    """
    deployment = listed(raw)
    states = _in_order(statuses)
    successes = [status for status in states if text(status, "state") == "success"]
    latest = _telling(states)
    telling = successes[0] if successes else latest
    return (
        SOURCE,
        deployment.deployment_id,
        service or repository.split("/")[1],
        deployment.environment,
        "success" if successes else _STATUS.get(text(latest, "state") or "", "pending"),
        _triggered_at(deployment, states),
        _instant(successes[0]) if successes else None,
        deployment.sha,
        repository,
        *(pull or (None, None, None)),
        text(telling, "log_url") or text(telling, "target_url") or text(telling, "environment_url"),
        bytes(raw).decode(),
    )


def newest_event_at(raw: Raw, statuses: Iterable[Raw]) -> datetime:
    """When the newest thing happened that the deployment and its statuses tell."""
    return max([listed(raw).created_at, *(_instant(decode(status)) for status in statuses)])


def pull_of(sha: str, payloads: Sequence[Raw]) -> PullRequest | None:
    """The pull request that brought a commit: the one merged as it, else merged, else the oldest."""
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


def _in_order(statuses: Iterable[Raw]) -> list[Payload]:
    return sorted((decode(status) for status in statuses), key=_order)


def _telling(states: Sequence[Payload]) -> Payload:
    """The newest status, or the failure that it only put out of use."""
    active = [status for status in states if text(status, "state") != "inactive"]
    if active and _STATUS.get(text(active[-1], "state") or "") == "failure":
        return active[-1]
    return states[-1] if states else {}


def _triggered_at(deployment: Listed, states: Sequence[Payload]) -> datetime:
    names = [text(status, "state") for status in states]
    if "waiting" not in names:
        return deployment.created_at
    after = len(names) - names[::-1].index("waiting")
    started = (status for status in states[after:] if text(status, "state") in STARTING)
    return next(map(_instant, started), deployment.created_at)


def _order(status: Payload) -> tuple[datetime, int]:
    """GitHub's times are whole seconds; of several statuses in one, the later has the larger id."""
    number = status.get("id")
    return _instant(status), number if isinstance(number, int) else 0


def _instant(status: Payload) -> datetime:
    return required_timestamp(status, "created_at")
