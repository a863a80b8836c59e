"""Webhook bodies to events of deployments: GitHub's, GitLab's, and a generic format of our own.

All problems of a body are reported together, by field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from opsgenie_provider.instants import parsed_instant
from opsgenie_provider.rows.deployment_events import Event
from opsgenie_provider.rows.deployments import Deployment, deployment_row
from opsgenie_provider.rows.fields import MAX_KEY_BYTES, Payload, UnreadablePayloadError
from opsgenie_provider.settings import Repository

# A year outside of these is a mistake, and would extend the span of the metrics.
_YEARS = range(1970, 2100)
# The most fields that an error lists, more than any format has, so that it stays shorter than the body.
_MAX_LISTED_FIELDS = 20
_SHA = re.compile(r"/commit/([0-9a-f]{40,64})$")
# GitLab's statuses before a deployment has started, and its approval decisions.
_NOT_STARTED = ("created", "blocked", "skipped", "approved", "rejected")
_GITLAB_STATUS = {"running": "running", "success": "success", "failed": "failure", "canceled": "cancelled"}


class WrongFieldsError(UnreadablePayloadError):
    """Fields of a body are missing or wrong.

    :param problems: path of a field -> what is wrong with it.
    :ivar fields: the paths, like ``deployment.created_at``; of many, the first.
    """

    def __init__(self, problems: dict[str, str]) -> None:
        self.fields = list(problems)[:_MAX_LISTED_FIELDS]
        messages = [f"{field}: {problems[field]}" for field in self.fields]
        if len(problems) > _MAX_LISTED_FIELDS:
            messages.append(f"and {len(problems) - _MAX_LISTED_FIELDS} more")
        super().__init__("; ".join(messages))


class Ignored(NamedTuple):
    """The body contains nothing to store; with the reason."""

    reason: str


def _instant(value: Any) -> datetime:
    """ISO 8601 or Ruby's format, with a time zone."""
    try:
        instant = parsed_instant(value)
    except (TypeError, ValueError):
        raise ValueError("expected an ISO 8601 timestamp with a time zone") from None
    if instant.tzinfo is None:
        raise ValueError("the time zone is missing: end it with Z or an offset such as +02:00")
    if instant.year not in _YEARS:
        raise ValueError(f"the year must lie between {_YEARS.start} and {_YEARS.stop - 1}")
    return instant.astimezone(UTC)


def _id_as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _fits_an_index(value: str | None) -> str | None:
    """Keys and names are stored in indexes, whose entries are limited."""
    if value is not None and len(value.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"expected at most {MAX_KEY_BYTES} bytes")
    return value


def _empty_as_none(value: Any) -> Any:
    return None if value == "" else value


Instant = Annotated[datetime, BeforeValidator(_instant)]
Name = Annotated[str, StringConstraints(pattern=r"\S", max_length=255), AfterValidator(_fits_an_index)]
Identifier = Annotated[Name, BeforeValidator(_id_as_text)]
Text = Annotated[Annotated[str, StringConstraints(max_length=10_000)] | None, BeforeValidator(_empty_as_none)]
IndexedText = Annotated[Text, AfterValidator(_fits_an_index)]
Bigint = Annotated[int, Field(ge=0, lt=2**63)]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True)


class _GithubDeployment(_Body):
    id: Identifier
    environment: Name
    created_at: Instant
    sha: Text = None


class _GithubStatus(_Body):
    state: Literal["error", "failure", "inactive", "in_progress", "pending", "queued", "success", "waiting"]
    created_at: Instant
    log_url: Text = None
    target_url: Text = None
    environment_url: Text = None


class _GithubRepository(_Body):
    full_name: Annotated[str, StringConstraints(pattern=r"^[^/\s]+/[^/\s]+$", max_length=255)]


class _GithubDeploymentEvent(_Body):
    deployment: _GithubDeployment
    repository: _GithubRepository


class _GithubStatusEvent(_GithubDeploymentEvent):
    deployment_status: _GithubStatus


class _GitlabProject(_Body):
    id: Identifier
    path_with_namespace: Annotated[str, StringConstraints(pattern=r"[^/\s]$", max_length=255)]


class _GitlabEvent(_Body):
    status: Literal["running", "success", "failed", "canceled"]
    status_changed_at: Instant
    deployment_id: Identifier
    environment: Name
    environment_tier: Text = None
    project: _GitlabProject
    deployable_url: Text = None
    short_sha: Text = None
    commit_url: Text = None


class _GenericEvent(_Body):
    model_config = ConfigDict(extra="forbid")

    deployment_id: Identifier
    service: Name
    environment: Name
    status: Literal["pending", "running", "success", "failure", "cancelled"]
    triggered_at: Instant
    source: Name = "webhook"
    event_at: Instant | None = None
    finished_at: Instant | None = None
    commit_sha: Text = None
    repository: IndexedText = None
    pr_number: Bigint | None = None
    pr_url: Text = None
    pr_title: Text = None
    url: Text = None


def github_event(
    name: str,
    payload: Payload,
    raw: str,
    repositories: Sequence[Repository],
    former_names: Callable[[str], Iterable[str]] = lambda full_name: (),
) -> Event | Ignored:
    """An event ``deployment`` or ``deployment_status`` (GitHub docs, "Webhook events and payloads").

    The row equals the sync's for the same deployment and status; the sync adds the pull request.

    :param name: the header X-GitHub-Event.
    :param repositories: the repositories of the settings; for others, the service is the repository's name.
    :param former_names: what a repository was called before, as the settings may still call it.
    :raises WrongFieldsError: with every wrong field.
    """
    if not name:
        raise WrongFieldsError({"X-GitHub-Event": "the header is missing"})
    if name not in ("deployment", "deployment_status"):
        return Ignored(f"the event {name!r:.40} is not about a deployment")
    if payload.get("action", "created") != "created":
        return Ignored("only the action 'created' changes a deployment")
    body = _read(_GithubStatusEvent if name == "deployment_status" else _GithubDeploymentEvent, payload)
    full_name, deployment = body.repository.full_name, body.deployment
    entries = [entry for entry in repositories if entry.is_named(full_name)]
    if repositories and not entries:
        former = list(former_names(full_name))
        entries = [entry for entry in repositories if any(map(entry.is_named, former))]
    configured = next((entry for entry in entries if entry.counts(deployment.environment)), None)
    if entries and configured is None:
        return Ignored(
            f"the settings do not include the environment {deployment.environment!r:.40} of {full_name}"
        )
    status = body.deployment_status if isinstance(body, _GithubStatusEvent) else None
    row = deployment_row(
        _as_json(deployment),
        [_as_json(status)] if status else [],
        None,
        repository=configured.repository if configured else full_name,
        service=configured.service if configured else None,
    )
    return Event(row._replace(raw=raw), at=status.created_at if status else deployment.created_at)


def gitlab_event(payload: Payload, raw: str, environments: Iterable[str]) -> Event | Ignored:
    """A deployment event (GitLab docs, "Webhook events").

    It does not contain the trigger time, for which the time of the earliest event is used. A
    deployment's id is unique within its GitLab, and is stored as ``<project id>/<deployment id>``.

    :param environments: those of the settings. The environment's name is stored, or its tier where only
        that is one of them.
    :raises WrongFieldsError: with every wrong field.
    """
    if payload.get("object_kind") != "deployment":
        return Ignored("the event is not about a deployment")
    if payload.get("status") in _NOT_STARTED:
        return Ignored(f"a deployment with status {payload['status']} has not started")
    body = _read(_GitlabEvent, payload)
    counted = {environment.lower() for environment in environments}
    tier = body.environment_tier
    by_tier = tier and tier.lower() in counted and body.environment.lower() not in counted
    sha = _SHA.search(body.commit_url or "")
    path = body.project.path_with_namespace
    deployment = Deployment(
        source="gitlab",
        deployment_id=f"{body.project.id}/{body.deployment_id}",
        service=path.rpartition("/")[2],
        environment=tier if tier and by_tier else body.environment,
        status=_GITLAB_STATUS[body.status],
        triggered_at=body.status_changed_at,
        finished_at=body.status_changed_at if body.status == "success" else None,
        commit_sha=sha[1] if sha else body.short_sha,
        repository=path,
        url=body.deployable_url,
        raw=raw,
    )
    return Event(deployment, at=body.status_changed_at, starts_here=True)


def generic_event(payload: Payload, raw: str) -> Event:
    """A deployment with the columns of ``staging.deployments``, from anything that can send JSON.

    Without ``event_at``, the event happened at ``finished_at``, else at ``triggered_at``: then the status
    can only move forward.

    :raises WrongFieldsError: with every wrong or unknown field.
    """
    body = _read(_GenericEvent, payload)
    fields = body.model_dump(exclude={"event_at"})
    if body.status == "success":
        fields["finished_at"] = body.finished_at or body.event_at
    return Event(Deployment(**fields, raw=raw), at=body.event_at or body.finished_at or body.triggered_at)


_Model = TypeVar("_Model", bound=_Body)


def _read(model: type[_Model], payload: Payload) -> _Model:
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        raise WrongFieldsError(
            {
                # The name of an unknown field may be of any length.
                ".".join(f"{part!s:.60}" for part in problem["loc"]): (
                    problem["msg"].removeprefix("Value error, ")
                )
                for problem in error.errors(include_url=False, include_context=False, include_input=False)
            }
        ) from None


def _as_json(body: _Body) -> msgspec.Raw:
    return msgspec.Raw(body.model_dump_json().encode())
