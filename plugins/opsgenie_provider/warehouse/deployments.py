"""GitHub's deployments in the warehouse: reads what is stored of a repository, and merges batches."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import LiteralString, NamedTuple

from msgspec import Raw
from psycopg import sql

from opsgenie_provider.rows.deployments import SOURCE, Deployment, PullRequest
from opsgenie_provider.rows.fields import known_instant
from opsgenie_provider.rows.tables import DEPLOYMENTS
from opsgenie_provider.settings import Repository
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.staged import Staged
from opsgenie_provider.warehouse.state import stream_state

STREAM = "deployments"
# Characters of a stream's name, which is part of an index and contains the names of its environments.
_MAX_STREAM_LENGTH = 500
_READ = replace(DEPLOYMENTS, values=(*DEPLOYMENTS.values, "event_at", "synced_from"))
# Rows that users wrote themselves with the source github are left alone.
_OF_GITHUB = sql.SQL("(source = 'github' and (synced_from = 'github' or raw ? 'deployment'))")
# Whether the stored outcome takes precedence over the read one: the webhook may have stored a newer event,
# and a success always stays.
_STAYS: LiteralString = (
    "target.synced_from is distinct from 'relation' and excluded.status <> 'success' "
    "and (target.status = 'success' or target.event_at > excluded.event_at)"
)
_OUTCOME = ("status", "triggered_at", "finished_at", "url", "raw")


class StoredDeployment(NamedTuple):
    """The stored values that show whether a deployment must be read again."""

    status: str
    updated_at: datetime | None
    environment: str


class UnfinishedDeployment(NamedTuple):
    """A stored deployment that has not ended, or is known only from the webhook."""

    deployment_id: str
    raw: Raw
    environment: str
    pull: PullRequest | None


def stream_of(entry: Repository) -> str:
    """The stream of an entry of the settings; with other environments it is another stream."""
    stream = f"{STREAM} {entry.repository}"
    if entry.environments:
        names = ", ".join(sorted({name.lower() for name in entry.environments}))
        stream = f"{stream}: {names}"
    if len(stream) > _MAX_STREAM_LENGTH:
        digest = hashlib.sha256(stream.encode()).hexdigest()
        return f"{stream[: _MAX_STREAM_LENGTH - len(digest) - 1]} {digest}"
    return stream


def oldest_deployment(connection: Connection, repository: str) -> datetime | None:
    """When the first deployment of a repository among those read from GitHub was triggered."""
    row = connection.execute(
        "select min(triggered_at) from staging.deployments "
        "where source = %s and synced_from = 'github' and lower(repository) = lower(%s)",
        (SOURCE, repository),
    ).fetchone()
    return row[0] if row else None


def stored_deployments(
    connection: Connection, repository: str, since: datetime
) -> dict[str, StoredDeployment]:
    """The deployments of a repository that were read from GitHub and triggered from ``since`` on, by id.

    Deployments known only from the webhook are left out: their pull request and other statuses are missing.
    """
    rows = connection.execute(
        "select deployment_id, status, raw ->> 'updated_at', environment from staging.deployments "
        # The webhook's payload has the key "deployment".
        "where source = %s and lower(repository) = lower(%s) and triggered_at >= %s "
        "and not raw ? 'deployment' and synced_from is distinct from 'relation'",
        (SOURCE, repository, since),
    )
    return {
        deployment_id: StoredDeployment(status, known_instant(updated_at), environment)
        for deployment_id, status, updated_at, environment in rows
    }


def unfinished_deployments(
    connection: Connection, repository: str, asked: Collection[str]
) -> list[UnfinishedDeployment]:
    """The deployments of a repository, without those ``asked`` for, that have not ended or are known only
    from the webhook."""
    rows = connection.execute(
        sql.SQL(
            "select deployment_id, coalesce(raw -> 'deployment', raw)::text, environment, pr_number, pr_url, "
            "pr_title "
            "from staging.deployments where {} and lower(repository) = lower(%s) "
            "and (status in ('pending', 'running') or raw ? 'deployment') and deployment_id <> all(%s) "
            "order by deployment_id"
        ).format(_OF_GITHUB),
        (repository, list(asked)),
    )
    return [
        UnfinishedDeployment(
            id_, Raw(raw.encode()), environment, None if number is None else PullRequest(number, *rest)
        )
        for id_, raw, environment, number, *rest in rows
    ]


def stored_pulls(connection: Connection, repository: str, shas: Iterable[str]) -> dict[str, PullRequest]:
    """The stored pull requests of these commits, by commit."""
    rows = connection.execute(
        "select distinct on (commit_sha) commit_sha, pr_number, pr_url, pr_title from staging.deployments "
        "where source = %s and lower(repository) = lower(%s) and commit_sha = any(%s) "
        "and pr_number is not null order by commit_sha, triggered_at desc",
        (SOURCE, repository, list(shas)),
    )
    return {sha: PullRequest(*pull) for sha, *pull in rows}


def commit_without_pull(connection: Connection, repository: str) -> str | None:
    """The commit of some deployment that is stored without a pull request."""
    row = connection.execute(
        sql.SQL(
            "select commit_sha from staging.deployments where {} and lower(repository) = lower(%s) "
            "and commit_sha is not null and pr_number is null order by triggered_at desc limit 1"
        ).format(_OF_GITHUB),
        (repository,),
    ).fetchone()
    return row[0] if row else None


def refused_pulls_since(connection: Connection, account: str, entry: Repository) -> datetime | None:
    """From when on deployments are stored without the pull requests that the token may not read."""
    return stream_state(connection, account, _pulls_stream(entry)).watermark_at


def note_refused_pulls(connection: Connection, account: str, entry: Repository, since: datetime) -> None:
    """Note that deployments from ``since`` on lack the pull requests that the token may not read."""
    connection.execute(
        "insert into staging.sync_state (account, stream, watermark_at) values (%s, %s, %s) "
        "on conflict (account, stream) do update "
        "set watermark_at = least(sync_state.watermark_at, excluded.watermark_at)",
        (account, _pulls_stream(entry), since),
    )


def forget_refused_pulls(connection: Connection, account: str, entry: Repository) -> None:
    """Note that no deployment lacks a pull request that the token may not read."""
    connection.execute(
        "delete from staging.sync_state where account = %s and stream = %s", (account, _pulls_stream(entry))
    )


def _pulls_stream(entry: Repository) -> str:
    return f"pull requests of {stream_of(entry)}"


def load_deployments(connection: Connection, rows: Iterable[tuple[Deployment, datetime]]) -> int:
    """Merge deployments, each with the time of its newest event; returns how many rows changed."""
    staged = Staged(connection, _READ)
    staged.copy({_READ.key_of(row): (*row, event_at, "github") for row, event_at in rows}.values())
    assigned: dict[str, LiteralString] = {
        name: f"case when {_STAYS} then target.{name} else excluded.{name} end" for name in _OUTCOME
    }
    assigned["event_at"] = "greatest(target.event_at, excluded.event_at)"
    return sum(staged.merge(assigned=assigned))


def apply_entry(connection: Connection, entry: Repository) -> int:
    """Set the service of an entry of the settings for its stored deployments; returns how many changed."""
    return hand_over(connection, entry, entry)


def hand_over(connection: Connection, entry: Repository, to: Repository) -> int:
    """Give an entry's stored deployments to an entry that reads the same; returns how many changed."""
    found = connection.execute(
        sql.SQL(
            "select distinct environment from staging.deployments where {} and lower(repository) = lower(%s)"
        ).format(_OF_GITHUB),
        (entry.repository,),
    )
    return _describe(
        connection, entry.repository, [name for (name,) in found if entry.counts(name) and to.counts(name)],
        service=to.service_name, repository_name=to.repository,
    )  # fmt: skip


def apply_repositories(connection: Connection, account: str, entries: Sequence[Repository]) -> int:
    """Make GitHub's stored deployments equal to those that a first run with these settings would store.

    Deployments that are still to be read are left to the next read of each entry. Deployments of a
    repository that is no longer listed are deleted, unless the webhook reported them.

    :param account: the id of GitHub's connection.
    :returns: how many rows of ``staging.deployments`` changed or were deleted.
    """
    changed = _follow_renames(connection, entries)
    connection.execute(
        "delete from staging.sync_state where account = %s and starts_with(stream, %s) and stream <> all(%s)",
        (account, f"{STREAM} ", [stream_of(entry) for entry in entries]),
    )
    entries_of: dict[str, list[Repository]] = {}
    for each in entries:
        entries_of.setdefault(each.repository.lower(), []).append(each)
    places = connection.execute(
        sql.SQL(
            "select distinct repository, environment, service from staging.deployments "
            "where {} and repository is not null"
        ).format(_OF_GITHUB)
    ).fetchall()
    for repository, environment, stored_service in places:
        of_repository = entries_of.get(repository.lower(), [])
        entry = next((entry for entry in of_repository if entry.counts(environment)), None)
        if entry is None:
            # The webhook's deployments of a repository that is not listed stay.
            changed += connection.execute(
                sql.SQL(
                    "delete from staging.deployments where {} and repository = %s and environment = %s "
                    "and (%s or not raw ? 'deployment')"
                ).format(_OF_GITHUB),
                (repository, environment, bool(of_repository)),
            ).rowcount
        service = entry.service_name if entry else repository.split("/")[-1]
        repository_name = entry.repository if entry else repository
        # Hundreds of repositories are mostly as they were.
        if (stored_service, repository) != (service, repository_name):
            changed += _describe(
                connection, repository, [environment], service=service, repository_name=repository_name
            )
    return changed


def store_rename(connection: Connection, repository: str, renamed_to: str) -> None:
    """Store the new name of a repository, to be applied once the settings have it."""
    connection.execute(
        "insert into staging.github_renames (repository, renamed_to) values (lower(%s), %s) "
        "on conflict (repository) do update set renamed_to = excluded.renamed_to "
        "where github_renames.renamed_to <> excluded.renamed_to",
        (repository, renamed_to),
    )


def forget_rename(connection: Connection, repository: str) -> None:
    """Note that GitHub has a repository under this name again."""
    connection.execute("delete from staging.github_renames where repository = lower(%s)", (repository,))


def renames(connection: Connection) -> dict[str, str]:
    """The stored new names of repositories, by the old ones in lower case."""
    return dict(connection.execute("select repository, renamed_to from staging.github_renames").fetchall())


def _follow_renames(connection: Connection, entries: Sequence[Repository]) -> int:
    changed = 0
    for old, new in renames(connection).items():
        if any(entry.is_named(old) for entry in entries):
            continue
        if any(entry.is_named(new) for entry in entries):
            changed += connection.execute(
                sql.SQL(
                    "update staging.deployments set repository = %s where {} and lower(repository) = %s"
                ).format(_OF_GITHUB),
                (new, old),
            ).rowcount
    return changed


def _describe(
    connection: Connection,
    repository: str,
    environments: Sequence[str],
    *,
    service: str,
    repository_name: str,
) -> int:
    """Set service and repository name for the deployments of a repository in some environments."""
    return connection.execute(
        sql.SQL(
            "update staging.deployments set service = %s, repository = %s, synced_at = now() "
            "where {} and lower(repository) = lower(%s) and environment = any(%s) "
            "and (service, repository) is distinct from (%s, %s)"
        ).format(_OF_GITHUB),
        (service, repository_name, repository, list(environments), service, repository_name),
    ).rowcount
