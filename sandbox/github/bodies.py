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
    """`api`: the base of all URLs, so that who follows one stays with the stand-in."""

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

    def repository(self, one: Repository) -> Json:
        return {
            "id": one.id,
            "node_id": _node("Repository", one.id),
            "name": one.name,
            "full_name": one.full_name,
            "private": one.private,
            "owner": {**self._user(one.owner), "type": "Organization"},
            "html_url": f"{WEB}/{one.full_name}",
            "description": None,
            "fork": False,
            "url": self._url(one),
            "deployments_url": f"{self._url(one)}/deployments",
            "created_at": stamp(one.created_at),
            "updated_at": stamp(one.created_at),
            "pushed_at": stamp(max([one.created_at, *(each.created_at for each in one.deployments)])),
            "default_branch": one.default_branch,
            "archived": False,
            "disabled": False,
            "visibility": "private" if one.private else "public",
            "permissions": {"admin": False, "push": False, "pull": True},
        }

    def deployment(self, one: Deployment, of: Repository) -> Json:
        """production_environment is false unless the environment is exactly "production" (its documentation).

        There is no status in it, and no pull request.
        """
        url = f"{self._url(of)}/deployments/{one.id}"
        return {
            "url": url,
            "id": one.id,
            "node_id": _node("Deployment", one.id),
            "sha": one.sha,
            "ref": one.ref,
            "task": one.task,
            "payload": one.payload,
            "original_environment": one.environment,
            "environment": one.environment,
            "description": one.description,
            "creator": self._user(one.creator),
            "created_at": stamp(one.created_at),
            "updated_at": stamp(one.updated_at),
            "statuses_url": f"{url}/statuses",
            "repository_url": self._url(of),
            "transient_environment": False,
            "production_environment": one.environment == "production",
        }

    def status(self, one: Status, deployment: Deployment, of: Repository) -> Json:
        url = f"{self._url(of)}/deployments/{deployment.id}"
        return {
            "url": f"{url}/statuses/{one.id}",
            "id": one.id,
            "node_id": _node("DeploymentStatus", one.id),
            "state": one.state,
            "creator": self._user(deployment.creator),
            "description": one.description,
            "environment": deployment.environment,
            "target_url": one.log_url,
            "created_at": stamp(one.at),
            "updated_at": stamp(one.at),
            "deployment_url": url,
            "repository_url": self._url(of),
            "environment_url": "",
            "log_url": one.log_url,
        }

    def pull(self, one: Pull, of: Repository) -> Json:
        """The short form that lists have: whether it was merged shows in merged_at."""
        url = f"{self._url(of)}/pulls/{one.number}"
        merged = None if one.merged_at is None else stamp(one.merged_at)
        return {
            "url": url,
            "id": one.id,
            "node_id": _node("PullRequest", one.id),
            "html_url": f"{WEB}/{of.full_name}/pull/{one.number}",
            "number": one.number,
            "state": "open" if merged is None else "closed",
            "locked": False,
            "title": one.title,
            "user": self._user(one.author),
            "body": None,
            "created_at": stamp(one.created_at),
            "updated_at": merged or stamp(one.created_at),
            "closed_at": merged,
            "merged_at": merged,
            "merge_commit_sha": one.merge_sha,
            "assignees": [],
            "labels": [],
            "draft": False,
            "head": {"ref": f"change-{one.number}", "sha": one.shas[0] if one.shas else None},
            "base": {"ref": of.default_branch, "repo": {"id": of.id, "full_name": of.full_name}},
        }
