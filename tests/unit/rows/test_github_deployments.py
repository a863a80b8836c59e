"""A deployment of GitHub's and its statuses, as one row."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from msgspec import Raw

from opsgenie_provider.rows.deployments import deployment_row, newest_event_at
from opsgenie_provider.rows.parts import Rejected
from opsgenie_provider.rows.tables import DEPLOYMENTS

DEPLOYMENT = Raw(
    json.dumps(
        {"id": 7, "environment": "production", "created_at": "2026-03-02T10:00:00Z", "sha": "a" * 40}
    ).encode()
)


def column_of(column: str, *states: tuple[int, str, str]) -> list[Any]:
    """A value of the row for each order in which GitHub might list the statuses (id, state, time of day)."""
    found = []
    for order in permutations(states):
        statuses = [
            Raw(json.dumps({"id": id_, "state": state, "created_at": f"2026-03-02T{at}Z"}).encode())
            for id_, state, at in order
        ]
        row = deployment_row(DEPLOYMENT, statuses, None, repository="acme/checkout")
        found.append(dict(zip(DEPLOYMENTS.columns, row, strict=False))[column])
    return found


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ((), "pending"),
        (((1, "in_progress", "10:00:01"), (2, "failure", "10:05:00")), "failure"),
        # Whole seconds: the id says which came later.
        (((1, "in_progress", "10:00:01"), (2, "failure", "10:00:01")), "failure"),
        (((1, "failure", "10:00:01"), (2, "in_progress", "10:00:01")), "running"),
        # What is inactive after a failure has failed all the same.
        (((1, "failure", "10:00:01"), (2, "inactive", "10:05:00")), "failure"),
        (((1, "error", "10:00:01"), (2, "inactive", "10:05:00"), (3, "inactive", "10:06:00")), "failure"),
        (((1, "in_progress", "10:00:01"), (2, "inactive", "10:05:00")), "cancelled"),
        (((1, "failure", "10:00:01"), (2, "in_progress", "10:05:00")), "running"),
        (((1, "queued", "10:00:01"), (2, "waiting", "10:05:00")), "pending"),
        # A state that nobody knows says nothing.
        (((1, "destroyed", "10:00:01"),), "pending"),
        (((1, "in_progress", "10:00:01"), (2, "destroyed", "10:05:00")), "running"),
        (((1, "failure", "10:00:01"), (2, "destroyed", "10:05:00"), (3, "inactive", "10:06:00")), "failure"),
        # Ever succeeded counts.
        (((1, "success", "10:00:01"), (2, "inactive", "10:00:01")), "success"),
        (((1, "success", "10:00:01"), (2, "failure", "11:00:00")), "success"),
    ],
)
def test_the_latest_status_counts_in_whatever_order_they_are_listed(
    states: tuple[tuple[int, str, str], ...], status: str
) -> None:
    assert set(column_of("status", *states)) == {status}


@pytest.mark.parametrize(
    ("states", "at"),
    [
        # Created at 10:00.
        ((), "10:00"),
        (((1, "queued", "10:10:00"), (2, "success", "10:15:00")), "10:00"),
        (((1, "waiting", "10:01:00"),), "10:00"),
        (((1, "waiting", "10:01:00"), (2, "queued", "10:10:00"), (3, "success", "10:15:00")), "10:10"),
        (((1, "waiting", "10:01:00"), (2, "pending", "10:09:00"), (3, "in_progress", "10:10:00")), "10:10"),
        (((1, "waiting", "10:01:00"), (2, "success", "10:15:00"), (3, "inactive", "10:20:00")), "10:15"),
        # The last wait counts.
        (
            ((1, "waiting", "10:01:00"), (2, "queued", "10:05:00"), (3, "waiting", "10:06:00"),
             (4, "queued", "10:10:00")),
            "10:10",
        ),
        # Refused.
        (((1, "waiting", "10:01:00"), (2, "failure", "10:15:00")), "10:00"),
    ],
)  # fmt: skip
def test_a_deployment_that_waited_for_an_approval_was_triggered_after_it(
    states: tuple[tuple[int, str, str], ...], at: str
) -> None:
    hour, minute = map(int, at.split(":"))
    assert set(column_of("triggered_at", *states)) == {datetime(2026, 3, 2, hour, minute, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("deployment", "status"),
    [
        ({"sha": ["?"]}, {}),
        ({"updated_at": "soon"}, {}),
        ({}, {"log_url": {"href": "?"}}),
        # A status, of which nothing else is known.
        ({}, {"state": ["failure"]}),
        ({}, {"created_at": "soon"}),
    ],
)
def test_a_part_of_an_unknown_shape_is_rejected_alone(
    deployment: dict[str, Any], status: dict[str, Any]
) -> None:
    good = {"id": 1, "state": "success", "created_at": "2026-03-02T10:05:00Z"}
    raw = Raw(json.dumps(json.loads(bytes(DEPLOYMENT)) | deployment).encode())
    # A time or a state that cannot be read belongs to another status than the success.
    damaged = {"id": 2, "state": "success", "created_at": "2026-03-02T10:04:00Z"} | status
    statuses = [Raw(json.dumps(each).encode()) for each in (good, damaged)]
    rejected: Rejected = []
    row = deployment_row(raw, statuses, None, repository="acme/checkout", rejected=rejected)
    assert (row.deployment_id, row.status) == ("7", "success")
    assert len(rejected) == 1
    assert newest_event_at(raw, statuses) == datetime(2026, 3, 2, 10, 5, tzinfo=UTC)
