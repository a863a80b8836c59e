"""The tasks of ``opsgenie_sync``: the warehouse made ready, and accounts brought into it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from opsgenie_provider.operators.outcomes import before_reading, push_outcome
from opsgenie_provider.operators.provider import ProviderOperator
from opsgenie_provider.operators.warehouse import PrepareWarehouseOperator

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from opsgenie_provider.hooks.jsm import JsmHook
    from opsgenie_provider.hooks.opsgenie import OpsgenieHook
    from opsgenie_provider.rows.alerts import AlertRules
    from opsgenie_provider.sync.account import Outcome
    from opsgenie_provider.sync.reader import Reader

log = logging.getLogger(__name__)


class SyncAccountsOperator(PrepareWarehouseOperator):
    """Makes the warehouse ready and reads the account of the settings: one process, for starting one takes
    as long as an hour's read. Several accounts are left to tasks of their own, which run side by side.

    :returns: arguments for ``SyncAccountOperator``, one dict for each account that is left.
    """

    ui_color = "#dbe7ff"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"multiple_outputs": False, **kwargs})

    def perform(self, context: Context) -> Any:
        with before_reading(context):
            accounts = _arguments(super().perform(context))
        if len(accounts) > 1:
            # Nothing was read yet: the event of the asset is the last task's.
            self.outlets = []
            return accounts
        push_outcome(context, read_account(context, **accounts[0]))
        return []


def _arguments(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of the task of each account."""
    return [
        {
            "account": account,
            "postgres_conn_id": settings["postgres_conn_id"],
            "max_requests_per_minute": settings["max_requests_per_minute"],
            "alerts": {
                "priorities": settings["alert_priorities"],
                "service_from": settings["alert_service_from"],
            }
            if account in settings["alert_accounts"]
            else None,
        }
        for account in settings["accounts"]
    ]


class SyncAccountOperator(ProviderOperator):
    """Reads an account with the params of the run, in one process with threads, one client and one limiter.

    Another try of the task leaves out what the run has done already. A part that fails does not keep the
    others from being read; the task then fails and names each of them.

    :param account: the account's connection.
    :param postgres_conn_id: the warehouse.
    :param max_requests_per_minute: a limit of your own, for all requests of the account.
    :param alerts: which alerts are the account's incidents, as ``AlertRules`` has it; None: incidents are.
    :returns: a ``sync.account.Outcome``; where parts failed, the XCom ``OUTCOME`` has it.
    """

    template_fields: Sequence[str] = ("account", "postgres_conn_id", "max_requests_per_minute", "alerts")
    ui_color = "#dbe7ff"

    def __init__(
        self,
        *,
        account: str = "opsgenie_default",
        postgres_conn_id: str = "postgres_default",
        max_requests_per_minute: int | None = None,
        alerts: dict[str, list[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.account = account
        self.postgres_conn_id = postgres_conn_id
        self.max_requests_per_minute = max_requests_per_minute
        self.alerts = alerts

    def perform(self, context: Context) -> Any:
        return read_account(
            context, self.account, self.postgres_conn_id, self.max_requests_per_minute, self.alerts
        )


def read_account(
    context: Context,
    account: str,
    postgres_conn_id: str,
    max_requests_per_minute: int | None = None,
    alerts: Mapping[str, list[str]] | None = None,
) -> Outcome:
    """What ``SyncAccountOperator`` does."""
    from concurrent.futures import ThreadPoolExecutor

    from opsgenie_provider.api.concurrency import THREADS
    from opsgenie_provider.hooks.warehouse import open_warehouse
    from opsgenie_provider.rows.alerts import AlertRules
    from opsgenie_provider.sync.account import PartsFailedError, sync_account
    from opsgenie_provider.sync.run import Params

    given = context.get("params", {})
    params = Params(**{name: given[name] for name in Params._fields if name in given})
    rules = AlertRules(**alerts) if alerts else None
    with ThreadPoolExecutor(THREADS, thread_name_prefix="account") as executor:
        try:
            return sync_account(
                account,
                _reader(account, max_requests_per_minute, executor, rules),
                open_warehouse(postgres_conn_id),
                params,
                executor,
                alerts=rules,
                run_id=context.get("run_id", ""),
            )
        except PartsFailedError as error:
            push_outcome(context, error.outcome)
            raise
        finally:
            # What nobody waits for any more need not be asked.
            executor.shutdown(wait=False, cancel_futures=True)


def _reader(
    account: str, limit: int | None, executor: ThreadPoolExecutor, alerts: AlertRules | None
) -> Reader:
    """The reader of the service that the account's connection is of; the other's is not imported."""
    from opsgenie_provider.hooks.base import connection_type

    hook: JsmHook | OpsgenieHook
    if connection_type(account) == "jsm_api":
        from opsgenie_provider.hooks.jsm import JsmHook
        from opsgenie_provider.sync.jsm import JsmReader

        hook = JsmHook(jsm_conn_id=account, max_requests_per_minute=limit)
        client, settings = hook.client, hook.airflow_connection()
        credential = f"{settings.login} {settings.password}"
        log.info("%s at %s.", account, hook.base_url)
        return JsmReader(client, account=account, credential=credential, executor=executor, alerts=alerts)
    from opsgenie_provider.hooks.opsgenie import OpsgenieHook
    from opsgenie_provider.sync.opsgenie import OpsgenieReader

    hook = OpsgenieHook(opsgenie_conn_id=account, max_requests_per_minute=limit)
    opsgenie, key = hook.client, hook.airflow_connection().password or ""
    log.info("%s at %s.", account, hook.base_url)
    return OpsgenieReader(opsgenie, account=account, key=key, executor=executor, alerts=alerts)
