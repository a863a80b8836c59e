"""GET /repos/..., /rate_limit."""

from __future__ import annotations

from starlette.responses import Response

from sandbox.github.store import Deployment
from sandbox.github.web import CORE, ApiError, Call, Guard, Handler, not_found

_FILTERS = ("sha", "ref", "task", "environment")


async def get_repository(call: Call) -> Response:
    return call.ok(call.view.repository(call.repository()))


async def list_deployments(call: Call) -> Response:
    """Newest first; each filter compares exactly ("none" is the documented default of all of them)."""
    repository = call.repository(deployments=True)
    filters = {name: call.text(name) for name in _FILTERS if call.text(name) not in ("", "none")}
    found = [
        deployment
        for deployment in repository.deployments
        if all(getattr(deployment, name) == value for name, value in filters.items())
    ]
    found.sort(key=lambda deployment: (deployment.created_at, deployment.id), reverse=True)
    return call.page(repository, found, lambda deployment: call.view.deployment(deployment, repository))


def _deployment(call: Call) -> Deployment:
    id_ = call.request.path_params["id"]
    found = next(
        (deployment for deployment in call.repository(deployments=True).deployments if deployment.id == id_),
        None,
    )
    if found is None:
        raise not_found()
    return found


async def get_deployment(call: Call) -> Response:
    return call.ok(call.view.deployment(_deployment(call), call.repository()))


async def list_statuses(call: Call) -> Response:
    """Newest first; a success may be followed by a newer `inactive`."""
    repository = call.repository(deployments=True)
    deployment = _deployment(call)
    found = sorted(deployment.statuses, key=lambda status: (status.at, status.id), reverse=True)
    return call.page(repository, found, lambda status: call.view.status(status, deployment, repository))


async def list_pulls(call: Call) -> Response:
    """The pull requests associated with a commit: none, one or several, merged or open."""
    repository = call.repository()
    sha = call.request.path_params["sha"]
    if not repository.knows(sha):
        raise ApiError(422, f"No commit found for SHA: {sha}")
    found = [pull for pull in repository.pulls if sha in pull.shas]
    return call.page(repository, found, lambda pull: call.view.pull(pull, repository))


def rate_limit(guard: Guard) -> Handler:
    async def handler(call: Call) -> Response:
        """Does not count itself; without a limit it is a 404, as on a server with disabled limits."""
        quota = guard.quota(call.token)
        if quota is None:
            raise ApiError(404, "Rate limiting is not enabled.")
        core = {
            "limit": quota.limit,
            "used": quota.limit - quota.remaining,
            "remaining": quota.remaining,
            "reset": int(-(-quota.resets_at // 1)),
        }
        return call.ok({"resources": {CORE: core}, "rate": core})

    return handler
