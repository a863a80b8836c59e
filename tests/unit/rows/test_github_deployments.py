"""A deployment of GitHub's and its statuses, as one row."""

from __future__ import annotations

import json
from itertools import permutations

import pytest
from msgspec import Raw

from opsgenie_provider.rows.deployments import deployment_row
from opsgenie_provider.rows.tables import DEPLOYMENTS

DEPLOYMENT = Raw(
    json.dumps(
        {"id": 7, "environment": "production", "created_at": "2026-03-02T10:00:00Z", "sha": "a" * 40}
    ).encode()
)


def status_of(*states: tuple[int, str, str]) -> list[str | None]:
    """The row's status for each order in which GitHub might list the statuses (id, state, time of day)."""
    found = []
    for order in permutations(states):
        statuses = [
            Raw(json.dumps({"id": id_, "state": state, "created_at": f"2026-03-02T{at}Z"}).encode())
            for id_, state, at in order
        ]
        row = deployment_row(DEPLOYMENT, statuses, None, repository="acme/checkout")
        found.append(dict(zip(DEPLOYMENTS.columns, row, strict=False))["status"])
    return found


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ((), "pending"),
        (((1, "in_progress", "10:00:01"), (2, "failure", "10:05:00")), "failure"),
        # Whole seconds: the id tells which came later.
        (((1, "in_progress", "10:00:01"), (2, "failure", "10:00:01")), "failure"),
        (((1, "failure", "10:00:01"), (2, "in_progress", "10:00:01")), "running"),
        # Ever succeeded counts.
        (((1, "success", "10:00:01"), (2, "inactive", "10:00:01")), "success"),
        (((1, "success", "10:00:01"), (2, "failure", "11:00:00")), "success"),
    ],
)
def test_the_latest_status_counts_in_whatever_order_they_are_listed(
    states: tuple[tuple[int, str, str], ...], status: str
) -> None:
    assert set(status_of(*states)) == {status}
