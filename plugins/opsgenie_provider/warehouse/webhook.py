"""Stores events of deployments in staging, each webhook delivery once."""

from __future__ import annotations

from typing import Literal

from psycopg import sql

from opsgenie_provider.rows.deployment_events import Event, MergedDeployment, merge_event
from opsgenie_provider.rows.deployments import Deployment
from opsgenie_provider.rows.fields import known_instant
from opsgenie_provider.rows.tables import DEPLOYMENTS
from opsgenie_provider.warehouse.connection import Connection

Result = Literal["stored", "unchanged", "duplicate"]

_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, DEPLOYMENTS.columns))
_PLACEHOLDERS = sql.SQL(", ").join([sql.Placeholder()] * len(DEPLOYMENTS.columns))
_KNOWN = sql.SQL(
    "select {columns}::text, event_at, raw ->> 'updated_at' from staging.deployments "
    "where source = %s and deployment_id = %s for update"
).format(columns=_COLUMNS)  # the cast to text applies to raw, the last column
_INSERT = sql.SQL(
    "insert into staging.deployments ({columns}, event_at) values ({values}, %s) on conflict do nothing"
).format(columns=_COLUMNS, values=_PLACEHOLDERS)
_UPDATE = sql.SQL(
    "update staging.deployments set ({columns}, event_at, synced_at) = row({values}, %s, now()) "
    "where source = %s and deployment_id = %s"
).format(columns=_COLUMNS, values=_PLACEHOLDERS)


def record(connection: Connection, event: Event, *, sender: str, delivery_id: str) -> Result:
    """Store an event, in the caller's transaction.

    :param sender: the system whose ``delivery_id`` it is.
    :returns: "duplicate" for a delivery that was stored before, "unchanged" where the row already has the
        event's values or newer ones.
    """
    # Senders time out after about ten seconds, so a locked row is not waited for any longer than this.
    connection.execute("set local lock_timeout = '3s'")
    connection.execute("set local statement_timeout = '5s'")
    if not _claim(connection, event.deployment, sender, delivery_id):
        return "duplicate"
    changed = _apply(connection, event)
    _prune(connection)
    return "stored" if changed else "unchanged"


def former_names(connection: Connection, repository: str) -> list[str]:
    """The names from which GitHub redirected the sync to this repository, in lower case."""
    rows = connection.execute(
        "select repository from staging.github_renames where lower(renamed_to) = lower(%s)", (repository,)
    )
    return [name for (name,) in rows]


def _claim(connection: Connection, deployment: Deployment, sender: str, delivery_id: str) -> bool:
    """Whether the delivery is new; waits for a concurrent transaction with the same delivery."""
    claimed = connection.execute(
        "insert into staging.webhook_deliveries (sender, delivery_id, source, deployment_id) "
        "values (%s, %s, %s, %s) on conflict do nothing",
        (sender, delivery_id, deployment.source, deployment.deployment_id),
    )
    return claimed.rowcount == 1


def _apply(connection: Connection, event: Event) -> bool:
    key = (event.deployment.source, event.deployment.deployment_id)
    while (known := _known(connection, key)) is None:
        # Another transaction may insert it in between.
        if connection.execute(_INSERT, (*event.deployment, event.at)).rowcount == 1:
            return True
    both = merge_event(known, event)
    changed = both.deployment.differs(known.deployment)
    if changed:
        connection.execute(_UPDATE, (*both.deployment, both.at, *key))
    elif both.at != known.at:
        connection.execute(
            "update staging.deployments set event_at = %s where source = %s and deployment_id = %s",
            (both.at, *key),
        )
    return changed


def _known(connection: Connection, key: tuple[object, ...]) -> MergedDeployment | None:
    row = connection.execute(_KNOWN, key).fetchone()
    if row is None:
        return None
    *columns, event_at, updated_at = row
    # Only the sync stores payloads with updated_at: everything until then has been read.
    read_at = known_instant(updated_at)
    times = [at for at in (event_at, read_at) if at is not None]
    return MergedDeployment(Deployment(*columns), max(times, default=None), read_at)


def _prune(connection: Connection) -> None:
    """Delete up to 100 old deliveries, without those that another transaction is deleting."""
    connection.execute(
        "delete from staging.webhook_deliveries where (sender, delivery_id) in ("
        "select sender, delivery_id from staging.webhook_deliveries "
        "where received_at < now() - interval '30 days' order by received_at limit 100 "
        "for update skip locked)"
    )
