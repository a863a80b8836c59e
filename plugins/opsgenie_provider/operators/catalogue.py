"""Whole lists of an account into staging: services, teams, users, escalation policies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from airflow.sdk import Context

from opsgenie_provider import absence
from opsgenie_provider.api.errors import PlanError
from opsgenie_provider.api.listing import Listing
from opsgenie_provider.api.opsgenie import OpsgenieClient
from opsgenie_provider.operators.base import OpsgenieToPostgresOperator, Outcome
from opsgenie_provider.rows import configuration as rows
from opsgenie_provider.rows.tables import (
    ESCALATION_RULES,
    ESCALATIONS,
    ROTATIONS,
    SCHEDULES,
    SERVICES,
    TEAMS,
    USERS,
    Row,
    Table,
)
from opsgenie_provider.warehouse.snapshots import Snapshot
from opsgenie_provider.warehouse.state import keep_rejected, record_success


class Kind(NamedTuple):
    """A list of the service, and the tables that its objects fill."""

    read: Callable[[OpsgenieClient], Listing]
    tables: Sequence[tuple[Table, Callable[..., list[Row]]]]


KINDS = {
    "services": Kind(OpsgenieClient.services, [(SERVICES, rows.service_rows)]),
    "teams": Kind(OpsgenieClient.teams, [(TEAMS, rows.team_rows)]),
    "users": Kind(OpsgenieClient.users, [(USERS, rows.user_rows)]),
    "schedules": Kind(
        OpsgenieClient.schedules, [(SCHEDULES, rows.schedule_rows), (ROTATIONS, rows.rotation_rows)]
    ),
    "escalations": Kind(
        OpsgenieClient.escalations,
        [(ESCALATIONS, rows.escalation_rows), (ESCALATION_RULES, rows.escalation_rule_rows)],
    ),
}


class OpsgenieCatalogueToPostgresOperator(OpsgenieToPostgresOperator):
    """Reads whole lists; what the account no longer has leaves its table.

    A list that the key may not read is skipped, and said so. Nothing leaves a table while the key
    sees only a part of the account, or after a list that changed while it was read.

    :param kinds: of ``KINDS``; each is one transaction.
    """

    template_fields: Sequence[str] = (*OpsgenieToPostgresOperator.template_fields, "kinds")
    stream = "catalogue"

    def __init__(self, *, kinds: Sequence[str] = ("services", "teams", "users"), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kinds = kinds

    def execute(self, context: Context) -> Outcome:
        changed = rejected = 0
        skipped = []
        with self.turn(" ".join(self.kinds)):
            for kind in self.kinds:
                try:
                    listing = KINDS[kind].read(self.client)
                except (*absence.NOT_SEEN, PlanError) as error:
                    self.log.warning("%s: %s skipped. %s", self.account, kind, error)
                    skipped.append(kind)
                    continue
                counts = self.load(kind, listing)
                changed += counts[0]
                rejected += counts[1]
        outcome = self.outcome(rows_changed=changed, rejected=rejected)
        if skipped:
            outcome["skipped"] = f"The key may not read {', '.join(skipped)}."
        return outcome

    def load(self, kind: str, listing: Listing) -> tuple[int, int]:
        """Merge a list; returns how many rows changed and how many payloads could not be read."""
        stream = f"opsgenie_{kind}"
        with self.warehouse.connection() as connection:
            tables = [
                (table, partial(to_rows, account=self.account)) for table, to_rows in KINDS[kind].tables
            ]
            snapshot = Snapshot(connection, self.account, tables)
            snapshot.add(listing.items)
            changed = snapshot.merge(
                prune=absence.is_fact(reach=self.access["reach"], complete=listing.complete)
            )
            keep_rejected(connection, self.account, stream, snapshot.rejected)
            record_success(connection, self.account, stream, rows_changed=changed)
        return changed, len(snapshot.rejected)
