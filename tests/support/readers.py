"""The one place that knows which operator reads what from GitHub, PagerDuty or the user's own table.

For tests of what is read, which need no run of a whole DAG around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def read_github(
    repository: str, *, since: str | None = None, until: str | None = None, **entry: Any
) -> dict[str, Any]:
    """Read a repository's deployments into the warehouse; returns what was done."""
    return read_github_entries([{"repository": repository, **entry}], since=since, until=until)


def read_github_entries(
    entries: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]] = (), **bounds: str | None
) -> dict[str, Any]:
    """Read the deployments of entries of the settings, as one task does; other tasks read the others."""
    from opsgenie_provider.operators.deployments import DeploymentsToPostgresOperator

    operator = DeploymentsToPostgresOperator(
        task_id="github", repositories=entries, other_repositories=others, **bounds
    )
    return dict(operator.execute({}))


def read_pagerduty(**arguments: Any) -> dict[str, Any]:
    """Read PagerDuty's incidents into the warehouse; returns what was done."""
    from opsgenie_provider.operators.pagerduty import PagerdutyToPostgresOperator

    return dict(PagerdutyToPostgresOperator(task_id="extract", **arguments).execute({}))


def read_own_deployments(relation: str, columns: Mapping[str, str]) -> dict[str, Any]:
    """Take over a table or view of the user's; returns what was done."""
    from opsgenie_provider.operators.deployments import DeploymentsToPostgresOperator

    operator = DeploymentsToPostgresOperator(task_id="own", relation=relation, columns=columns)
    return dict(operator.execute({}))


def refresh_metrics(*, full: bool = False) -> dict[str, int]:
    """Compute the metrics from what is staged; returns the rows of each table."""
    from opsgenie_provider.dora.refresh import refresh
    from opsgenie_provider.hooks.warehouse import open_warehouse
    from opsgenie_provider.settings import load_settings

    with open_warehouse("postgres_default").connection() as connection:
        return refresh(connection, load_settings(), full=full).rows


def read_account(account: str, *, run_id: str = "", **params: Any) -> dict[str, Any]:
    """Read an account into a warehouse with tables; returns what was done."""
    from opsgenie_provider.operators.opsgenie import SyncAccountOperator

    operator = SyncAccountOperator(task_id="sync", account=account)
    return dict(operator.execute({"params": params, "run_id": run_id}))  # type: ignore[typeddict-item]
