"""Bodies of webhooks as events of deployments: GitHub's, GitLab's, and a form of our own.

What is wrong with a body is said all at once, field by field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from opsgenie_provider.rows.deployment_events import Deployment, Event
from opsgenie_provider.rows.deployments import deployment_row
from opsgenie_provider.rows.fields import Payload, UnreadablePayloadError, parsed_instant
from opsgenie_provider.settings import Repository

# A year beyond these is a slip, and would stretch the span of the metrics.
_YEARS = range(1970, 2100)
# More than any form has; who sends more fields that are none gets no answer as long as the body.
_NAMED = 20
_SHA = re.compile(r"/commit/([0-9a-f]{40,64})$")
# States of GitLab in which a deployment has not begun, and decisions about whether it may.
_NOT_BEGUN = ("created", "blocked", "skipped", "approved", "rejected")
_GITLAB_STATUS = {"running": "running", "success": "success", "failed": "failure", "canceled": "cancelled"}


class WrongFieldsError(UnreadablePayloadError):
    """Fields of a body are missing or wrong.

    :ivar fields: which ones, as paths: ``deployment.created_at``. Of many, the first.
    """

    def __init__(self, problems: dict[str, str]) -> None:
        self.fields = list(problems)[:_NAMED]
        said = [f"{field}: {problems[field]}" for field in self.fields]
        if len(problems) > _NAMED:
            said.append(f"and {len(problems) - _NAMED} more")
        super().__init__("; ".join(said))


class Ignored(NamedTuple):
    """Nothing to store, and why."""

    reason: str


def _instant(value: Any) -> datetime:
    """ISO 8601, also as Ruby writes times; with a zone."""
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


def _empty_as_none(value: Any) -> Any:
    return None if value == "" else value


Instant = Annotated[datetime, BeforeValidator(_instant)]
# Keys and names go into indexes, which hold no longer ones.
Name = Annotated[str, StringConstraints(pattern=r"\S", max_length=255)]
Identifier = Annotated[Name, BeforeValidator(_id_as_text)]
Text = Annotated[Annotated[str, StringConstraints(max_length=10_000)] | None, BeforeValidator(_empty_as_none)]
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
    repository: Text = None
    pr_number: Bigint | None = None
    pr_url: Text = None
    pr_title: Text = None
    url: Text = None


def github_event(
    name: str, payload: Payload, raw: str, repositories: Iterable[Repository]
) -> Event | Ignored:
    """An event ``deployment`` or ``deployment_status`` (GitHub docs, "Webhook events and payloads").

    The row is what the sync makes of the same deployment and status; the sync adds the pull request.

    :param name: the header X-GitHub-Event.
    :param repositories: the repositories of the settings; another one's service is its name.
    :raises WrongFieldsError: naming every wrong field.
    """
    if not name:
        raise WrongFieldsError({"X-GitHub-Event": "the header is missing"})
    if name not in ("deployment", "deployment_status"):
        return Ignored(f"the event {name!r:.40} tells of no deployment")
    if payload.get("action", "created") != "created":
        return Ignored("only what was created tells something new")
    body = _read(_GithubStatusEvent if name == "deployment_status" else _GithubDeploymentEvent, payload)
    full_name, deployment = body.repository.full_name, body.deployment
    entries = [each for each in repositories if each.is_named(full_name)]
    configured = next((each for each in entries if each.counts(deployment.environment)), None)
    if entries and configured is None:
        return Ignored(
            f"the settings leave out the environment {deployment.environment!r:.40} of {full_name}"
        )
    status = body.deployment_status if isinstance(body, _GithubStatusEvent) else None
    row = deployment_row(
        _as_json(deployment),
        [_as_json(status)] if status else [],
        None,
        repository=configured.repository if configured else full_name,
        service=configured.service if configured else None,
    )
    return Event(
        Deployment(*row)._replace(raw=raw), at=status.created_at if status else deployment.created_at
    )


def gitlab_event(payload: Payload, raw: str, environments: Iterable[str]) -> Event | Ignored:
    """A deployment event (GitLab docs, "Webhook events").

    It does not say when the deployment was triggered: that is its earliest event. A deployment's id
    is unique within its GitLab; the project's stands before it.

    :param environments: those that count. The environment is the one by name, unless only its tier counts.
    :raises WrongFieldsError: naming every wrong field.
    """
    if payload.get("object_kind") != "deployment":
        return Ignored("the event tells of no deployment")
    if payload.get("status") in _NOT_BEGUN:
        return Ignored(f"a deployment that is {payload['status']} has not begun")
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
    """A deployment in the words of ``staging.deployments``, from anything that can send JSON.

    Without ``event_at``, it happened at ``finished_at``, else at ``triggered_at``: then the status can
    only move forward.

    :raises WrongFieldsError: naming every wrong field, among them those that are none of the form's.
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
                # A name that nobody gave a meaning may be of any length.
                ".".join(f"{part!s:.60}" for part in each["loc"]): each["msg"].removeprefix("Value error, ")
                for each in error.errors(include_url=False, include_context=False, include_input=False)
            }
        ) from None


def _as_json(body: _Body) -> msgspec.Raw:
    return msgspec.Raw(body.model_dump_json().encode())
