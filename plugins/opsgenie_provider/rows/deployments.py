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
# The newest state of a deployment that never succeeded; `inactive` says nothing of how it went.
_STATUS = {
    "error": "failure",
    "failure": "failure",
    "pending": "pending",
    "queued": "pending",
    "in_progress": "running",
    "inactive": "cancelled",
}


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

    :param service: what it deploys; the repository's name where not given.
    """
    deployment = listed(raw)
    states = sorted((decode(status) for status in statuses), key=_order)
    successes = [status for status in states if text(status, "state") == "success"]
    latest = states[-1] if states else {}
    telling = successes[0] if successes else latest
    return (
        SOURCE,
        deployment.deployment_id,
        service or repository.split("/")[1],
        deployment.environment,
        "success" if successes else _STATUS.get(text(latest, "state") or "", "pending"),
        deployment.created_at,
        _instant(successes[0]) if successes else None,
        deployment.sha,
        repository,
        *(pull or (None, None, None)),
        text(telling, "log_url") or text(telling, "target_url") or text(telling, "environment_url"),
        bytes(raw).decode(),
    )


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


def _order(status: Payload) -> tuple[datetime, int]:
    """GitHub's times are whole seconds; of several statuses in one, the later has the larger id."""
    number = status.get("id")
    return _instant(status), number if isinstance(number, int) else 0


def _instant(status: Payload) -> datetime:
    return required_timestamp(status, "created_at")
