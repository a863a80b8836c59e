"""A PagerDuty account's history into staging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Context

from opsgenie_provider.operators.provider import ProviderOperator

if TYPE_CHECKING:
    from opsgenie_provider.operators.outcomes import Outcome


class PagerdutyToPostgresOperator(ProviderOperator):
    """Reads the incidents created in [since, until), then the details of those that are new or changed.

    :param pagerduty_conn_id: the account; only GET is sent.
    :param since: ISO 8601; None: from the account's first incident on.
    :param until: ISO 8601; None: up to now.
    :param with_notes: read notes, too.
    """

    template_fields: Sequence[str] = (
        "pagerduty_conn_id",
        "postgres_conn_id",
        "since",
        "until",
        "with_notes",
    )
    ui_color = "#dbe7ff"

    def __init__(
        self,
        *,
        pagerduty_conn_id: str = "pagerduty_default",
        postgres_conn_id: str = "postgres_default",
        since: str | None = None,
        until: str | None = None,
        with_notes: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pagerduty_conn_id = pagerduty_conn_id
        self.postgres_conn_id = postgres_conn_id
        self.since = since
        self.until = until
        self.with_notes = with_notes

    def perform(self, context: Context) -> Outcome:
        from opsgenie_provider.hooks.pagerduty import PagerdutyHook
        from opsgenie_provider.hooks.warehouse import open_warehouse
        from opsgenie_provider.sync.pagerduty import PagerdutySync
        from opsgenie_provider.sync.run import counts_text

        client = PagerdutyHook(pagerduty_conn_id=self.pagerduty_conn_id).client
        reader = PagerdutySync(
            client,
            open_warehouse(self.postgres_conn_id),
            account=self.pagerduty_conn_id,
            since=self.since,
            until=self.until,
            with_notes=self.with_notes,
            log=self.log,
        )
        counts = {**reader.read(), "requests": client.transport.requests_sent}
        self.log.info("%s: %s.", self.pagerduty_conn_id, counts_text(counts))
        return cast("Outcome", {"account": self.pagerduty_conn_id, "stream": reader.stream, **counts})
