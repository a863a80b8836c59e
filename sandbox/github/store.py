"""Repositories with deployments and pull requests, in memory, and who may read them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.instants import Clock, Nanos, When, to_nanos

#: The default token: reads every repository.
SYNC_KEY = "sandbox-github-sync-token"

#: docs.github.com/rest/deployments/statuses
STATES = ("error", "failure", "inactive", "pending", "success", "queued", "in_progress", "waiting")


@dataclass(frozen=True, slots=True)
class Token:
    """`repositories`: full names that it can read, None for all. `deployments`: whether it can read these.

    A fine-grained token may read a repository but not its deployments: a 403 that is not a rate limit.
    """

    name: str
    repositories: frozenset[str] | None = None
    deployments: bool = True


@dataclass(slots=True)
class Status:
    id: int
    state: str
    at: Nanos
    description: str = ""
    log_url: str = ""


@dataclass(slots=True)
class Deployment:
    id: int
    sha: str
    environment: str
    created_at: Nanos
    ref: str = "main"
    task: str = "deploy"
    payload: Any = field(default_factory=dict)
    description: str | None = None
    creator: str = "deploy-bot"
    statuses: list[Status] = field(default_factory=list)

    @property
    def updated_at(self) -> Nanos:
        return max([self.created_at, *(status.at for status in self.statuses)])


@dataclass(slots=True)
class Pull:
    """`merged_at` is None while it is open. `shas`: the associated commits."""

    id: int
    number: int
    title: str
    author: str
    created_at: Nanos
    shas: list[str]
    merged_at: Nanos | None = None

    @property
    def merge_sha(self) -> str | None:
        return self.shas[-1] if self.shas and self.merged_at is not None else None


@dataclass(slots=True)
class Repository:
    id: int
    owner: str
    name: str
    created_at: Nanos
    private: bool = True
    default_branch: str = "main"
    deployments: list[Deployment] = field(default_factory=list)
    pulls: list[Pull] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    def knows(self, sha: str) -> bool:
        return any(deployment.sha == sha for deployment in self.deployments) or any(
            sha in pull.shas for pull in self.pulls
        )


@dataclass
class Store:
    """`link_base` overrides the host in Link headers and in URLs of bodies.

    `secondary_status`: the status of a secondary rate limit; 403 and 429 are both documented. `retry_after`:
    the seconds in that header, 0 to omit it.
    """

    clock: Clock = field(default_factory=Clock)
    link_base: str = ""
    secondary_status: int = 403
    retry_after: int = 60
    tokens: dict[str, Token] = field(default_factory=lambda: {SYNC_KEY: Token("sync")})
    repositories: dict[str, Repository] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._last_id = 1_000_000
        self._by_id: dict[int, Deployment] = {}
        self._old_names: dict[str, Repository] = {}

    def find(self, owner: str, name: str) -> Repository | None:
        """Names are not case sensitive (docs.github.com)."""
        return self.repositories.get(f"{owner}/{name}".lower())

    def moved(self, owner: str, name: str) -> Repository | None:
        """The repository that had this name before."""
        return self._old_names.get(f"{owner}/{name}".lower())

    def deployment(self, id_: int) -> Deployment | None:
        return self._by_id.get(id_)

    def add_repository(
        self, full_name: str, created_at: When = "2020-01-01T00:00:00Z", **fields: Any
    ) -> Repository:
        owner, _, name = full_name.partition("/")
        with self._lock:
            made = Repository(self._new_id(), owner, name, to_nanos(created_at), **fields)
            self.repositories[full_name.lower()] = made
            return made

    def rename_repository(self, full_name: str, new_name: str) -> Repository:
        """Also to another owner: a transfer. The old name redirects until another repository has it."""
        with self._lock:
            made = self.repositories.pop(full_name.lower())
            made.owner, _, made.name = new_name.partition("/")
            self.repositories[new_name.lower()] = made
            self._old_names[full_name.lower()] = made
            return made

    def remove_deployment(self, deployment: int) -> Deployment:
        """Does what the API's DELETE does, which the stand-in does not offer."""
        with self._lock:
            gone = self._by_id.pop(deployment)
            for repository in self.repositories.values():
                if gone in repository.deployments:
                    repository.deployments.remove(gone)
            return gone

    def add_deployment(
        self,
        repository: str,
        sha: str,
        environment: str = "production",
        created_at: When | None = None,
        states: Iterable[tuple[str, When]] = (),
        **fields: Any,
    ) -> Deployment:
        """`states`: (state, instant), in the order in which they were reported."""
        with self._lock:
            id_ = fields.pop("id", None) or self._new_id()
            made = Deployment(id_, sha, environment, self._at(created_at), **fields)
            self._by_id[made.id] = made
            for state, at in states:
                self.add_status(made.id, state, at)
            self.repositories[repository.lower()].deployments.append(made)
            return made

    def add_status(
        self, deployment: int, state: str, at: When | None = None, description: str = ""
    ) -> Status:
        if state not in STATES:
            raise ValueError(f"unknown state {state!r}: one of {', '.join(STATES)}")
        with self._lock:
            made = Status(self._new_id(), state, self._at(at), description)
            self._by_id[deployment].statuses.append(made)
            return made

    def add_pull(
        self,
        repository: str,
        number: int,
        shas: Iterable[str],
        merged_at: When | None = None,
        *,
        title: str = "A change",
        author: str = "octocat",
        created_at: When | None = None,
    ) -> Pull:
        with self._lock:
            merged = None if merged_at is None else to_nanos(merged_at)
            made_at = merged if created_at is None and merged is not None else self._at(created_at)
            made = Pull(self._new_id(), number, title, author, made_at, list(shas), merged)
            self.repositories[repository.lower()].pulls.append(made)
            return made

    def _at(self, when: When | None) -> Nanos:
        return self.clock() if when is None else to_nanos(when)

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id
