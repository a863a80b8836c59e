"""When OpsGenie ends, in words: for the log, the page and the migration's plan."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, NamedTuple

# The end of its API and support. support.atlassian.com/opsgenie: what happens when OpsGenie is turned off.
OPSGENIE_ENDS = date(2027, 4, 5)
# Reaches back before OpsGenie began.
_WHOLE_HISTORY_DAYS = 5500
READ_ALL = f'{{"full_refresh": true, "history_days": {_WHOLE_HISTORY_DAYS}}}'
MIGRATION_NOTICE = (
    f"OpsGenie's API ends on {OPSGENIE_ENDS}, and with it what is imported into the account. The metrics "
    "need no import: PagerDuty's history is in the warehouse and stays in them, with or without it."
)


class StoredHistory(NamedTuple):
    """What is stored of an account that is read from OpsGenie."""

    account: str
    incidents: int
    oldest_incident_at: datetime | None
    alerts: int
    oldest_alert_at: datetime | None
    on_call_since: datetime | None


def notice(stored: StoredHistory, today: date) -> str:
    """What the end of OpsGenie means for an account, and what to do before."""
    days = (OPSGENIE_ENDS - today).days
    when = f"ends on {OPSGENIE_ENDS} (in {days} days)" if days > 0 else f"ended on {OPSGENIE_ENDS}"
    parts = [
        *([f"{stored.incidents:,} incidents{_since(stored.oldest_incident_at)}"] if stored.incidents else []),
        # In place of incidents, as alert_accounts has it.
        *([f"{stored.alerts:,} alerts{_since(stored.oldest_alert_at)}"] if stored.alerts else []),
        *([f"who was on call{_since(stored.on_call_since)}"] if stored.on_call_since else []),
    ]
    stored_parts = " and ".join(parts) or "nothing yet"
    return (
        f"OpsGenie's API {when}; an account that moves to Jira Service Management is switched off 120 days "
        f"after its move. Stored of this account: {stored_parts}. To read the whole history while "
        f"that is possible, run opsgenie_sync with the params {READ_ALL}. docs/jsm.md describes the move."
    )


def _since(instant: Any) -> str:
    return f" since {instant.astimezone(UTC):%Y-%m-%d}" if instant else ""
