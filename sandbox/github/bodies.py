"""How the API prints repositories, deployments, statuses and pull requests."""

from __future__ import annotations

import base64
from typing import Any

from sandbox.github.store import Deployment, Pull, Repository, Status
from sandbox.instants import stamp

WEB = "https://github.com"

Json = dict[str, Any]


def _node(kind: str, id_: int) -> str:
    return base64.b64encode(f"{kind}{id_}".encode()).decode()


class View:
    """`api`: the base of all URLs, so that a client that follows them stays with the stand-in."""

    def __init__(self, api: str) -> None:
        self.api = api

    def _user(self, login: str) -> Json:
        bot = login.endswith("-bot")
        return {
            "login": login,
            "id": sum(login.encode()),
            "node_id": _node("User", sum(login.encode())),
            "url": f"{self.api}/users/{login}",
            "html_url": f"{WEB}/{login}",
            "type": "Bot" if bot else "User",
            "site_admin": False,
        }

    def _url(self, repository: Repository) -> str:
        return f"{self.api}/repos/{repository.full_name}"

    def repository(self, repository: Repository) -> Json:
        return {
            "id": repository.id,
            "node_id": _node("Repository", repository.id),
            "name": repository.name,
            "full_name": repository.full_name,
            "private": repository.private,
            "owner": {**self._user(repository.owner), "type": "Organization"},
            "html_url": f"{WEB}/{repository.full_name}",
            "description": None,
            "fork": False,
            "url": self._url(repository),
            "deployments_url": f"{self._url(repository)}/deployments",
            "created_at": stamp(repository.created_at),
            "updated_at": stamp(repository.created_at),
            "pushed_at": stamp(
                max([repository.created_at, *(each.created_at for each in repository.deployments)])
            ),
            "default_branch": repository.default_branch,
            "archived": False,
            "disabled": False,
            "visibility": "private" if repository.private else "public",
            "permissions": {"admin": False, "push": False, "pull": True},
        }

    def deployment(self, deployment: Deployment, repository: Repository) -> Json:
        """production_environment is true only for the environment "production" (its documentation).

        The body contains neither a status nor a pull request.
        """
        url = f"{self._url(repository)}/deployments/{deployment.id}"
        return {
            "url": url,
            "id": deployment.id,
            "node_id": _node("Deployment", deployment.id),
            "sha": deployment.sha,
            "ref": deployment.ref,
            "task": deployment.task,
            "payload": deployment.payload,
            "original_environment": deployment.environment,
            "environment": deployment.environment,
            "description": deployment.description,
            "creator": self._user(deployment.creator),
            "created_at": stamp(deployment.created_at),
            "updated_at": stamp(deployment.updated_at),
            "statuses_url": f"{url}/statuses",
            "repository_url": self._url(repository),
            "transient_environment": False,
            "production_environment": deployment.environment == "production",
        }

    def status(self, status: Status, deployment: Deployment, repository: Repository) -> Json:
        url = f"{self._url(repository)}/deployments/{deployment.id}"
        return {
            "url": f"{url}/statuses/{status.id}",
            "id": status.id,
            "node_id": _node("DeploymentStatus", status.id),
            "state": status.state,
            "creator": self._user(deployment.creator),
            "description": status.description,
            "environment": deployment.environment,
            "target_url": status.log_url,
            "created_at": stamp(status.at),
            "updated_at": stamp(status.at),
            "deployment_url": url,
            "repository_url": self._url(repository),
            "environment_url": "",
            "log_url": status.log_url,
        }

    def pull(self, pull: Pull, repository: Repository) -> Json:
        """The short form of lists, which shows in merged_at whether it was merged."""
        url = f"{self._url(repository)}/pulls/{pull.number}"
        merged = None if pull.merged_at is None else stamp(pull.merged_at)
        return {
            "url": url,
            "id": pull.id,
            "node_id": _node("PullRequest", pull.id),
            "html_url": f"{WEB}/{repository.full_name}/pull/{pull.number}",
            "number": pull.number,
            "state": "open" if merged is None else "closed",
            "locked": False,
            "title": pull.title,
            "user": self._user(pull.author),
            "body": None,
            "created_at": stamp(pull.created_at),
            "updated_at": merged or stamp(pull.created_at),
            "closed_at": merged,
            "merged_at": merged,
            "merge_commit_sha": pull.merge_sha,
            "assignees": [],
            "labels": [],
            "draft": False,
            "head": {"ref": f"change-{pull.number}", "sha": pull.shas[0] if pull.shas else None},
            "base": {
                "ref": repository.default_branch,
                "repo": {"id": repository.id, "full_name": repository.full_name},
            },
        }
