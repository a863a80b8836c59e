"""Whole lists of an account into staging: services, teams, users, escalation policies, schedules."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import psycopg

from opsgenie_provider.api.errors import UNREADABLE_ERRORS, PlanError
from opsgenie_provider.api.listing import Listing
from opsgenie_provider.sync.run import AccountRun, Result
from opsgenie_provider.warehouse.snapshots import Snapshot
from opsgenie_provider.warehouse.state import keep_rejected, record_success

log = logging.getLogger(__name__)


def sync_lists(run: AccountRun, result: Result, names: Sequence[str]) -> None:
    """Read lists; what the account no longer has leaves its table. Each list is one transaction.

    A list that fails does not keep the others from being read.

    :raises Exception: what went wrong with the first list that failed, at the end; the others' are logged.
    """
    result.counts.update(rows_changed=0, rejected=0)
    failure: Exception | None = None
    for name in names:
        if run.is_done(name):
            continue
        try:
            sync_list(run, result, name)
        except psycopg.OperationalError:
            raise
        except Exception as error:
            run.keep_unknown_shape(name, error)
            if failure:
                log.error("%s: %s failed. %s", run.account, name, error)
            failure = failure or error
    if failure:
        raise failure


def sync_list(run: AccountRun, result: Result, name: str) -> Listing | None:
    """Read one list and store it; None, and said so, where the key may not read it."""
    try:
        listing = run.listing(name)
    except (*UNREADABLE_ERRORS, PlanError) as error:
        skip(run, result, name, error)
        return None
    store_list(run, result, name, listing)
    return listing


def skip(run: AccountRun, result: Result, name: str, error: Exception) -> None:
    """Note that the key may not read something."""
    log.warning("%s: %s skipped. %s", run.account, name, error)
    result.skipped.append(name)


def store_list(run: AccountRun, result: Result, name: str, listing: Listing) -> None:
    """Merge a list, and note that it is done.

    Nothing leaves a table while the key sees only a part of the account, or after a list that changed
    while it was read.
    """
    stream = f"{run.reader.backend}_{name}"
    with run.transaction() as connection:
        tables = [(table, partial(rows, account=run.account)) for table, rows in run.reader.lists[name]]
        snapshot = Snapshot(connection, run.account, tables, backend=run.reader.backend)
        snapshot.add(listing.items)
        changed = snapshot.merge(may_prune=lambda: run.key.absence_is_fact(complete=listing.complete))
        keep_rejected(connection, run.account, stream, snapshot.rejected)
        record_success(connection, run.account, stream, rows_changed=changed)
        run.progress.step_done(name, changed)
    result.counts.update(rows_changed=changed, rejected=len(snapshot.rejected))
