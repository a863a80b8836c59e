"""What the tasks of a migration share: its options, its connections, its failures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opsgenie_provider.compat import AirflowFailException
from opsgenie_provider.migration.options import Options
from opsgenie_provider.operators.provider import ProviderOperator

if TYPE_CHECKING:
    from opsgenie_provider.api.opsgenie_writes import OpsgenieWriter
    from opsgenie_provider.hooks.opsgenie_import import OpsgenieImportHook
    from opsgenie_provider.migration.ledger import Ledger
    from opsgenie_provider.warehouse.connection import Warehouse


class MigrationFailedError(AirflowFailException):
    """A failure that another try of the task cannot fix; the message names what can."""


class MigrationOperator(ProviderOperator):
    """Base of the tasks that work on the ledger.

    :param options: the choices of the run, as ``Options.as_json``.
    :param pagerduty_conn_id: the PagerDuty account that is moved; names the ledger's rows.
    :param import_conn_id: the OpsGenie key that may write.
    :param limits: the account's rate limits, as the validation of the keys found them.
    """

    template_fields: Sequence[str] = (
        "options",
        "pagerduty_conn_id",
        "import_conn_id",
        "postgres_conn_id",
        "max_requests_per_minute",
        "limits",
    )
    ui_color = "#fde2e4"

    def __init__(
        self,
        *,
        options: Any,
        pagerduty_conn_id: str = "pagerduty_default",
        import_conn_id: str = "opsgenie_import",
        postgres_conn_id: str = "postgres_default",
        max_requests_per_minute: int | None = None,
        limits: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.options = options
        self.pagerduty_conn_id = pagerduty_conn_id
        self.import_conn_id = import_conn_id
        self.postgres_conn_id = postgres_conn_id
        self.max_requests_per_minute = max_requests_per_minute
        self.limits = limits

    @property
    def account(self) -> str:
        return self.pagerduty_conn_id

    @property
    def chosen(self) -> Options:
        """The options, once they are rendered."""
        return Options(**self.options)

    @cached_property
    def warehouse(self) -> Warehouse:
        from opsgenie_provider.hooks.warehouse import open_warehouse

        return open_warehouse(self.postgres_conn_id)

    @cached_property
    def writer(self) -> OpsgenieWriter:
        """The client of the import key; made only where something is to be written."""
        return self.import_hook.client

    @cached_property
    def import_hook(self) -> OpsgenieImportHook:
        from opsgenie_provider.api.limits import limits_from_json
        from opsgenie_provider.hooks.opsgenie_import import OpsgenieImportHook

        return OpsgenieImportHook(
            opsgenie_conn_id=self.import_conn_id,
            limits=limits_from_json(self.limits or {}),
            max_requests_per_minute=self.max_requests_per_minute,
        )

    def ledger(self) -> AbstractContextManager[Ledger]:
        """The account's ledger, locked by this task."""
        from opsgenie_provider.migration.ledger import locked_ledger

        return locked_ledger(self.warehouse, self.account)
