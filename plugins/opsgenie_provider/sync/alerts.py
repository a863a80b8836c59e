"""Alerts that stand for incidents, into staging, and what only reading them one by one says of them."""

from __future__ import annotations

import logging
import time
from functools import partial

from msgspec import Raw

from opsgenie_provider.api.concurrency import in_parallel
from opsgenie_provider.api.errors import UNREADABLE_ERRORS, ApiError
from opsgenie_provider.planning import ALERT_TRAILING, Plan
from opsgenie_provider.progress import Progress
from opsgenie_provider.rows.alerts import AlertRules
from opsgenie_provider.sync.failures import OBJECT_ERRORS, Failures
from opsgenie_provider.sync.run import AccountRun, Result
from opsgenie_provider.sync.subject import Subject
from opsgenie_provider.sync.timelines import BATCH, BUDGET
from opsgenie_provider.warehouse.alerts import AlertBatch, due_alerts, mark_unreadable
from opsgenie_provider.warehouse.state import keep_rejected, record_success

log = logging.getLogger(__name__)


def alert_subject(run: AccountRun, rules: AlertRules) -> Subject:
    """The alerts of an account that are its incidents."""
    reader = run.reader

    def batch(plan: Plan) -> AlertBatch:
        return _batch(run, rules, force_details=run.params.full_refresh and plan.whole_history)

    return Subject(
        name="alerts",
        stream=_stream(run),
        table="opsgenie_alerts",
        begin_windows=reader.begin_alert_windows,
        begin_changes=reader.begin_alert_changes,
        read_single=reader.alert,
        hidden_from_key=lambda gone: set(),
        batch=batch,
        trailing=ALERT_TRAILING,
    )


def sync_details(run: AccountRun, result: Result, rules: AlertRules) -> None:
    """Read new and changed alerts by their ids, where their service takes what lists do not have.

    The newest come first; each 200 are one transaction. What does not fit into the time is left to the
    next run.

    :raises ApiError: an alert could not be read; the others are stored.
    """
    end = time.monotonic() + BUDGET.total_seconds()
    counts = result.counts
    counts.update(details=0, rows_changed=0, rejected=0, refused=0, deferred=0)
    due = due_alerts(run.connection, run.account, run.reader.backend)
    progress = Progress(log, "alerts", total=len(due))
    failures = Failures()
    for start in range(0, len(due), BATCH):
        if time.monotonic() > end:
            counts["deferred"] = len(due) - start
            log.warning(
                "%s: the details of %d alerts are deferred to the next run.", run.account, counts["deferred"]
            )
            break
        counts.update(_load(run, rules, due[start : start + BATCH], progress, failures))
    if counts["refused"]:
        log.warning(
            "%s: this key may not read the details of %d listed alerts (403 or 404). What is stored of them "
            "is kept; their services may stay unknown.",
            run.account,
            counts["refused"],
        )
    failures.raise_first()
    record_success(
        run.connection, run.account, f"{_stream(run)}_details", rows_changed=counts["rows_changed"]
    )


def _stream(run: AccountRun) -> str:
    return f"{run.reader.backend}_alerts"


def _batch(run: AccountRun, rules: AlertRules, *, force_details: bool = False) -> AlertBatch:
    reach = run.key.access.reach
    to_rows = partial(run.reader.alert_rows, key_reach=reach)
    return AlertBatch(
        run.connection, run.account, run.reader.backend, reach, to_rows, rules, force_details=force_details
    )


def _load(
    run: AccountRun, rules: AlertRules, due: list[str], progress: Progress, failures: Failures
) -> dict[str, int]:
    def read(alert_id: str) -> tuple[str, Raw | ApiError | None]:
        """An alert; None where this key does not see it: that says nothing about whether it is deleted."""
        try:
            return alert_id, run.reader.alert(alert_id)
        except UNREADABLE_ERRORS:
            return alert_id, None
        except OBJECT_ERRORS as error:
            return alert_id, error

    found: list[Raw] = []
    refused: list[str] = []
    answered: set[str] = set()
    for alert_id, raw in failures.answered(progress.each(in_parallel(run.executor, read, due))):
        answered.add(alert_id)
        if raw is None:
            refused.append(alert_id)
        else:
            found.append(raw)
    with run.transaction() as connection, _batch(run, rules) as batch:
        batch.add(found, single=True)
        changed = batch.merge()
        keep_rejected(connection, run.account, _stream(run), batch.rejected.items())
        # One that cannot be read any more is not asked for again, either, before it is listed again.
        mark_unreadable(connection, run.account, sorted(answered - batch.ids))
        run.progress.stored(changed)
    return {
        "details": len(found),
        "rows_changed": changed,
        "rejected": len(batch.rejected),
        "refused": len(refused),
    }
