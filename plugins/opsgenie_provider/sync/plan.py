"""Decides which incidents, or alerts, a run reads of an account."""

from __future__ import annotations

from opsgenie_provider.planning import AccountState, Plan, parse_instant, plan_reads
from opsgenie_provider.sync.run import AccountRun
from opsgenie_provider.sync.subject import Subject
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.state import begin_stream, oldest_created, stream_state
from opsgenie_provider.warehouse.timelines import forget_refusals, forget_timelines, forget_unacknowledged


def plan_account(run: AccountRun, subject: Subject) -> Plan:
    """What this run reads; another try of it reads the same.

    :raises ValueError: ``since``, ``until`` or ``history_days`` cannot be; the message says why.
    """
    if run.progress.plan is not None:
        return Plan.from_json(run.progress.plan)
    params, account = run.params, run.account
    with run.transaction() as connection:
        plan = plan_reads(
            _known(connection, account, run.reader.backend, subject),
            now=run.now,
            since=parse_instant(params.since, "since"),
            until=parse_instant(params.until, "until"),
            full_refresh=params.full_refresh,
            history_days=params.history_days,
            lists_changes=subject.sweeper is not None,
            trailing=subject.trailing,
        )
        if plan.whole_history and plan.since < plan.until:
            begin_stream(connection, account, subject.stream, plan.since)
            forget_refusals(connection, account)
            forget_unacknowledged(connection, account)
        if params.full_refresh:
            forget_timelines(connection, account)
        run.progress.planned(plan.as_json())
    return plan


def _known(connection: Connection, account: str, backend: str, subject: Subject) -> AccountState:
    return AccountState(
        watermark=stream_state(connection, account, subject.stream).watermark_at,
        oldest=oldest_created(connection, account, subject.table, backend),
        full_read_at=stream_state(connection, account, subject.full_read_stream).last_success_at,
    )
