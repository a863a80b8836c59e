"""Reads an account as the task of ``opsgenie_sync`` does, without the DAG around it: a tenth of the time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from opsgenie_provider.api.concurrency import THREADS
from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.opsgenie import OpsgenieClient
from opsgenie_provider.rows.alerts import AlertRules
from opsgenie_provider.settings import Settings
from opsgenie_provider.sync.account import Outcome, sync_account
from opsgenie_provider.sync.opsgenie import OpsgenieReader
from opsgenie_provider.sync.run import Params
from opsgenie_provider.warehouse.connection import Warehouse
from sandbox.instants import to_datetime
from sandbox.opsgenie.store import SYNC_KEY
from tests.support.accounts import Account
from tests.support.clocks import set_clocks

_FIELDS = Settings.model_fields
DEFAULT_RULES = AlertRules(_FIELDS["alert_priorities"].default, _FIELDS["alert_service_from"].default)


class AccountReads:
    """Reads one account whenever it is called; the package's clock is the stand-in's."""

    def __init__(
        self, account: Account, warehouse: Warehouse, patch: Callable[[Any, str, Any], None]
    ) -> None:
        self._account = account
        self._warehouse = warehouse
        set_clocks(patch, lambda: to_datetime(account.store.clock()))

    def __call__(self, alerts: AlertRules | None = None, **params: Any) -> Outcome:
        """Read the account: its incidents, or these alerts.

        :raises PartsFailedError: naming each part that failed.
        """
        name = self._account.name
        with ThreadPoolExecutor(THREADS) as executor, requests.Session() as session:
            client = OpsgenieClient(session, self._account.url, SYNC_KEY, limiter=RateLimiter())
            reader = OpsgenieReader(client, account=name, key=SYNC_KEY, executor=executor, alerts=alerts)
            return sync_account(name, reader, self._warehouse, Params(**params), executor, alerts=alerts)


@pytest.fixture
def read_account(
    account: Account, postgres: str, warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> AccountReads:
    """Reads ``account`` into ``warehouse``."""
    from tests.support.postgres import warehouse_of

    return AccountReads(account, warehouse_of(postgres, warehouse.connection["schema"]), monkeypatch.setattr)
