"""Users into staging, of a service that looks them up by their ids: those that the account has to do with."""

from __future__ import annotations

import logging

from opsgenie_provider.api.errors import UNREADABLE_ERRORS, PlanError
from opsgenie_provider.sync.catalogue import skip, store_list
from opsgenie_provider.sync.run import AccountRun, Result
from opsgenie_provider.warehouse.people import referenced_users

log = logging.getLogger(__name__)
USERS = "users"


def sync_referenced_users(run: AccountRun, result: Result) -> None:
    """Read the users in schedules, escalation policies, on-call periods and incidents.

    They are taken from what is stored, so that it does not matter which try of a run stored it; and looked
    up by every try, for an earlier one may have stored only a part of what they are met in.
    """
    result.counts.update(rows_changed=0, rejected=0)
    stream = f"{run.reader.backend}_{USERS}"
    try:
        listing = run.reader.users(referenced_users(run.connection, run.account, run.reader.backend, stream))
    except (*UNREADABLE_ERRORS, PlanError) as error:
        skip(run, result, USERS, error)
        return
    store_list(run, result, USERS, listing)
