"""The tasks of ``opsgenie_sync``: the warehouse made ready, and an account brought into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from opsgenie_provider.operators.provider import ProviderOperator
from opsgenie_provider.operators.warehouse import PrepareWarehouseOperator

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from opsgenie_provider.rows.alerts import AlertRules
    from opsgenie_provider.sync.reader import Reader


class PrepareSyncOperator(PrepareWarehouseOperator):
    """What ``PrepareWarehouseOperator`` does.

    :returns: arguments for ``SyncAccountOperator``, one dict an account.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"multiple_outputs": False, **kwargs})

    def perform(self, context: Context) -> Any:
        settings = super().perform(context)
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
    :returns: a ``sync.account.Outcome``; it is pushed, too, where parts failed.
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
        from concurrent.futures import ThreadPoolExecutor

        from opsgenie_provider.api.concurrency import THREADS
        from opsgenie_provider.hooks.warehouse import warehouse
        from opsgenie_provider.rows.alerts import AlertRules
        from opsgenie_provider.sync.account import PartsFailedError, sync_account
        from opsgenie_provider.sync.run import Params

        given = context.get("params", {})
        params = Params(**{name: given[name] for name in Params._fields if name in given})
        rules = AlertRules(**self.alerts) if self.alerts else None
        with ThreadPoolExecutor(THREADS, thread_name_prefix="account") as executor:
            try:
                return sync_account(
                    self.account,
                    self._reader(executor, rules),
                    warehouse(self.postgres_conn_id),
                    params,
                    executor,
                    alerts=rules,
                    run_id=context.get("run_id", ""),
                )
            except PartsFailedError as error:
                if "ti" in context:
                    context["ti"].xcom_push(key="return_value", value=error.outcome)
                raise
            finally:
                # What nobody waits for any more need not be asked.
                executor.shutdown(wait=False, cancel_futures=True)

    def _reader(self, executor: ThreadPoolExecutor, alerts: AlertRules | None) -> Reader:
        """The reader of the service that the account's connection is of."""
        from opsgenie_provider.hooks.base import connection_type
        from opsgenie_provider.hooks.jsm import JsmHook
        from opsgenie_provider.hooks.opsgenie import OpsgenieHook
        from opsgenie_provider.sync.jsm import JsmReader
        from opsgenie_provider.sync.opsgenie import OpsgenieReader

        limit = self.max_requests_per_minute
        hook: JsmHook | OpsgenieHook
        if connection_type(self.account) == JsmHook.conn_type:
            hook = JsmHook(jsm_conn_id=self.account, max_requests_per_minute=limit)
            client, settings = hook.client, hook.settings()
            credential = f"{settings.login} {settings.password}"
            self.log.info("%s at %s.", self.account, hook.base_url)
            return JsmReader(
                client, account=self.account, credential=credential, executor=executor, alerts=alerts
            )
        hook = OpsgenieHook(opsgenie_conn_id=self.account, max_requests_per_minute=limit)
        opsgenie, key = hook.client, hook.settings().password or ""
        self.log.info("%s at %s.", self.account, hook.base_url)
        return OpsgenieReader(opsgenie, account=self.account, key=key, executor=executor, alerts=alerts)
