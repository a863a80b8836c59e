"""Deployments in the warehouse: what is known of a repository's, and batches of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from opsgenie_provider.rows.deployments import SOURCE, PullRequest
from opsgenie_provider.rows.tables import DEPLOYMENTS, Row
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.staged import Staged


class StoredDeployment(NamedTuple):
    """What was read of a deployment before."""

    status: str
    updated_at: str | None
    environment: str
    service: str


def stored_deployments(
    connection: Connection, repository: str, since: datetime
) -> dict[str, StoredDeployment]:
    """The deployments of a repository that were read from GitHub and triggered from ``since`` on.

    What only the webhook told of is not among them: its pull request and other statuses are due.
    """
    rows = connection.execute(
        "select deployment_id, status, raw ->> 'updated_at', environment, service from staging.deployments "
        # The webhook's payload holds the deployment within.
        "where source = %s and repository = %s and triggered_at >= %s and not raw ? 'deployment'",
        (SOURCE, repository, since),
    )
    return {deployment_id: StoredDeployment(*rest) for deployment_id, *rest in rows}


def stored_pulls(connection: Connection, repository: str, shas: Iterable[str]) -> dict[str, PullRequest]:
    """The pull requests that are known already, by commit."""
    rows = connection.execute(
        "select distinct on (commit_sha) commit_sha, pr_number, pr_url, pr_title from staging.deployments "
        "where source = %s and repository = %s and commit_sha = any(%s) and pr_number is not null "
        "order by commit_sha, triggered_at desc",
        (SOURCE, repository, list(shas)),
    )
    return {sha: PullRequest(*pull) for sha, *pull in rows}


def load_deployments(connection: Connection, rows: Iterable[Row]) -> int:
    """Merge deployments; returns how many rows changed."""
    staged = Staged(connection, DEPLOYMENTS)
    staged.copy({DEPLOYMENTS.key_of(row): row for row in rows}.values())
    return sum(staged.merge())
