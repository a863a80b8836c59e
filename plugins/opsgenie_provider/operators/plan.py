"""Decides what a run reads of each account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.operators.base import fetched
from opsgenie_provider.operators.incidents import OpsgenieIncidentsToPostgresOperator
from opsgenie_provider.planning import Known, parse_instant, plan_reads
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.state import begin_stream, stream_state
from opsgenie_provider.warehouse.timelines import forget_refusals, forget_timelines

STREAM = OpsgenieIncidentsToPostgresOperator.stream
FULL_READ = f"{STREAM}_full_read"


def plan_accounts(
    accesses: Any,
    postgres_conn_id: str,
    *,
    since: str | None = None,
    until: str | None = None,
    full_refresh: bool = False,
    history_days: int = 90,
) -> list[dict[str, Any]]:
    """The windows of every account whose key is valid.

    :param accesses: the outputs of ``OpsgenieValidateKeyOperator``, each an ``Access``.
    :returns: arguments for ``OpsgenieIncidentsToPostgresOperator``, one dict a window.
    :raises ValueError: ``since``, ``until`` or ``history_days`` cannot be; the message says why.
    """
    now = datetime.now(UTC)
    bounds = {"since": parse_instant(since, "since"), "until": parse_instant(until, "until")}
    windows: list[dict[str, Any]] = []
    with warehouse(postgres_conn_id).connection() as connection:
        keys = fetched(accesses)
        for access in keys:
            account = access["account"]
            plan = plan_reads(
                _known(connection, account),
                now=now,
                **bounds,
                full_refresh=full_refresh,
                history_days=history_days,
                accounts=len(keys),
            )
            if plan.whole_history:
                begin_stream(connection, account, STREAM, plan.windows[0][0])
                forget_refusals(connection, account)
            if full_refresh:
                forget_timelines(connection, account)
            windows += [
                {
                    "access": access,
                    "since": first.isoformat(),
                    "until": last.isoformat(),
                    "changed_from": plan.changed_from and plan.changed_from.isoformat(),
                    "changed_since": plan.changed_since and plan.changed_since.isoformat(),
                    "part_of": len(plan.windows) if plan.whole_history else None,
                }
                for first, last in plan.windows
            ]
    return windows


def _known(connection: Connection, account: str) -> Known:
    row = connection.execute(
        "select min(created_at) from staging.opsgenie_incidents where account = %s", (account,)
    ).fetchone()
    return Known(
        watermark=stream_state(connection, account, STREAM).watermark_at,
        oldest=row[0] if row else None,
        full_read_at=stream_state(connection, account, FULL_READ).last_success_at,
    )
