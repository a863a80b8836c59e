"""What the tasks of a migration share: the choices of its run, its connections, its failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypedDict

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from opsgenie_provider.api.opsgenie_writes import OpsgenieWriter
from opsgenie_provider.hooks.opsgenie_import import OpsgenieImportHook
from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.migration.ledger import Ledger
from opsgenie_provider.planning import parse_instant
from opsgenie_provider.warehouse.connection import Warehouse


class MigrationFailedError(AirflowFailException):
    """Something that another try of the task cannot mend; the message names what can."""


class Options(TypedDict):
    """The choices of a run; plain JSON, for XCom."""

    since: str | None
    until: str | None
    dry_run: bool
    require_approval: bool
    import_notes: bool
    include_open: bool
    limit: int | None
    undo: bool


def options_of(params: Mapping[str, Any]) -> Options:
    """The DAG's params, checked.

    :raises ValueError: since or until is not a time, or they are the wrong way round.
    """
    since, until = (parse_instant(params.get(name), name) for name in ("since", "until"))
    if since and until and since >= until:
        raise ValueError(f"since ({since.isoformat()}) is not before until ({until.isoformat()}). Swap them.")
    return Options(
        since=since.isoformat() if since else None,
        until=until.isoformat() if until else None,
        dry_run=bool(params.get("dry_run", True)),
        require_approval=bool(params.get("require_approval", True)),
        import_notes=bool(params.get("import_notes", True)),
        include_open=bool(params.get("include_open", False)),
        limit=params.get("limit"),
        undo=bool(params.get("undo", False)),
    )


class MigrationOperator(BaseOperator):
    """Base of the tasks that work on the ledger.

    :param options: the choices of the run.
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

    @cached_property
    def warehouse(self) -> Warehouse:
        return warehouse(self.postgres_conn_id)

    @cached_property
    def writer(self) -> OpsgenieWriter:
        """The client of the import key; not so much as made before something is to be written."""
        return self.import_hook.client

    @cached_property
    def import_hook(self) -> OpsgenieImportHook:
        return OpsgenieImportHook(
            opsgenie_conn_id=self.import_conn_id,
            limits={
                domain: [(int(count), period) for count, period in windows]
                for domain, windows in (self.limits or {}).items()
            },
            max_requests_per_minute=self.max_requests_per_minute,
        )

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The account's ledger, held by this task alone."""
        with self.warehouse.lock(f"{self.account}:migration") as connection:
            # What the ledger says must outlast a crash of the server, or a write is sent twice; a
            # warehouse may be set up to be less careful.
            connection.execute(
                "select set_config('synchronous_commit', 'on', false) "
                "where current_setting('synchronous_commit') = 'off'"
            )
            yield Ledger(connection, self.account)
