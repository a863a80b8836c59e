"""What the log says while a task reads: never a total that nobody knows."""

from __future__ import annotations

import logging

import pytest

from opsgenie_provider.progress import Progress
from opsgenie_provider.sync.run import counts_text


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (0, "500 incidents so far."),
        (400, "500 incidents so far."),
        (500, "500 of 500 incidents, about 0 s left."),
    ],
)
def test_progress_names_a_total_only_where_it_holds(
    total: int, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    Progress(logging.getLogger("test"), "incidents", total=total, every=0).advance(500)
    assert caplog.messages == [expected]


def test_counts_are_words() -> None:
    assert counts_text({"rows_changed": 3, "deferred": 12}) == "3 rows changed, 12 deferred to the next run"
