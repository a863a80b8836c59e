"""The plan of a migration: what the import will do with each incident, and a summary that says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from airflow.sdk import Context

from opsgenie_provider.migration.ledger import Planned
from opsgenie_provider.migration.payloads import Choices, NotImportable, SourceIncident, payload_of
from opsgenie_provider.migration.plan import priority_mapping, source_incidents, summary
from opsgenie_provider.operators.migration_base import MigrationOperator
from opsgenie_provider.planning import parse_instant
from opsgenie_provider.warehouse.connection import Connection


class PlanMigrationOperator(MigrationOperator):
    """Writes one ledger row per incident, ``planned`` or ``skipped`` with the reason.

    What lies outside of the run's since, until and limit is skipped, too, and said so; it can be
    planned by another run. Rows on which something was done are left to the import.

    :returns: the summary, in Markdown.
    """

    def execute(self, context: Context) -> str:
        # Two connections: a plan reads while it writes.
        with self.ledger() as ledger, self.warehouse.connection() as connection:
            choices = Choices(
                priorities=priority_mapping(connection, self.account),
                include_open=self.options["include_open"],
                import_notes=self.options["import_notes"],
            )
            connection.commit()
            begun = {
                entry.pagerduty_id
                for entry in ledger.entries(("submitting", "submitted", "created", "resolved", "done"))
            }
            ledger.plan(self._plan(connection, choices, begun))
            connection.commit()
            text = summary(connection, self.account, dry_run=self.options["dry_run"])
        self.log.info("%s", text)
        return text

    def _plan(self, connection: Connection, choices: Choices, begun: set[str]) -> Iterator[Planned]:
        since, until = (parse_instant(self.options[name], name) for name in ("since", "until"))
        left = self.options["limit"]
        for incident in source_incidents(connection, self.account):
            payload: dict[str, Any] | None = None
            reason = _outside(incident, since, until)
            if reason is None:
                try:
                    payload = payload_of(incident, choices)
                except NotImportable as why:
                    reason = str(why)
            if payload is not None and left is not None and incident.incident_id not in begun:
                left -= 1
                if left < 0:
                    payload, reason = None, f"beyond the limit of {self.options['limit']}"
            yield Planned(
                incident.incident_id,
                incident.created_at,
                incident.resolved_at,
                incident.seconds_to_recover,
                reason,
                payload,
            )


def _outside(incident: SourceIncident, since: datetime | None, until: datetime | None) -> str | None:
    if since and incident.created_at < since:
        return f"created before {since.isoformat()}"
    if until and incident.created_at >= until:
        return f"created not before {until.isoformat()}"
    return None
