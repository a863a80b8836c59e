"""What is said about the end of OpsGenie."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from opsgenie_provider.end_of_life import OPSGENIE_ENDS, StoredHistory, notice

SINCE = datetime(2026, 8, 28, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "when"),
    [(130, "ends on 2027-04-05 (in 130 days)"), (0, "ended on 2027-04-05"), (-1, "ended on 2027-04-05")],
)
def test_how_long_there_is_and_what_is_stored(days: int, when: str) -> None:
    said = notice(StoredHistory("acme", 1234, SINCE, 0, None, SINCE), OPSGENIE_ENDS - timedelta(days=days))
    assert when in said
    assert "1,234 incidents since 2026-08-28 and who was on call since 2026-08-28." in said
    assert '{"full_refresh": true, "history_days": 5500}' in said
    assert "docs/jsm.md" in said


def test_an_account_of_alerts_has_no_incidents() -> None:
    said = notice(StoredHistory("acme", 0, None, 1234, SINCE, None), OPSGENIE_ENDS)
    assert "account: 1,234 alerts since 2026-08-28." in said
    assert "incidents" not in said


def test_nothing_is_stored_yet() -> None:
    assert "account: nothing yet." in notice(StoredHistory("acme", 0, None, 0, None, None), OPSGENIE_ENDS)
