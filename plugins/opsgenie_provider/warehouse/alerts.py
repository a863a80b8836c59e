"""Merges batches of alerts, finds the service that each names, and which are still to be read by id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from msgspec import Raw
from psycopg import sql

from opsgenie_provider.rows.alerts import AlertRows, AlertRules
from opsgenie_provider.rows.fields import MAX_KEY_BYTES
from opsgenie_provider.rows.tables import ALERTS
from opsgenie_provider.warehouse.batches import Batch
from opsgenie_provider.warehouse.connection import Connection

ENTITY, TAG, DETAILS = "entity", "tag:", "details."

# The relation that is merged: the batch as the staging table is to have it.
#
# A list lacks fields that reading an alert by its id has, so a listed alert keeps them as they were last
# read, and is read by its id where its service takes one of them: ``needs_details``. It is due as long as
# ``details_of`` is another version than it has. Another version is due, but names the service that it named.
_MERGED = sql.SQL("""
(
    with listed as (
        select
            staged.*,
            staged.details_of is not null as is_single,
            coalesce(staged.updated_at, staged.created_at) as version,
            staged.details_of is null and {needs_details} as is_lacking
        from {batch} as staged
    ),

    known as (
        select
            listed.*,
            -- Read by its id it lacks nothing, and that says nothing about lists.
            case when listed.is_single then coalesce(stored.needs_details, false) else listed.is_lacking end
                as is_to_be_read,
            stored.deleted_at as known_deleted_at,
            -- An older version where everything is read again.
            case when {force_details} then 'epoch' else stored.details_of end as known_details_of,
            stored.description as known_description,
            stored.entity as known_entity,
            stored.details as known_details,
            stored.raw as known_raw,
            not listed.is_single
            and stored.details_of is not null
            and stored.backend = listed.backend
            and (listed.is_lacking or stored.details_of = listed.version) as is_known
        from listed
        left join {target} as stored using (account, alert_id)
        where listed.priority = any({priorities}) or stored.alert_id is not null
    ),

    whole as (
        select
            known.*,
            case when is_known and not raw ? 'description' then known_description else description end
                as whole_description,
            case when is_known and not raw ? 'entity' then known_entity else entity end as whole_entity,
            case when is_known and not raw ?| {details_keys} then known_details else details end
                as whole_details,
            case when is_known then known_details_of else details_of end as whole_details_of,
            case
                when is_known then (
                    select coalesce(jsonb_object_agg(field.key, field.value), '{{}}')
                    from jsonb_each(known_raw) as field
                    where field.key = any({single_fields})
                ) || raw
                else raw
            end as whole_raw
        from known
    )

    select {columns} from (
        select
            account, alert_id, tiny_id, alias, message, status, priority, source, owner, tags, alert_count,
            created_at, updated_at, last_occurred_at, acknowledged_at, closed_at, web_url, backend, key_reach,
            whole_description as description,
            whole_entity as entity,
            whole_details as details,
            case when not is_lacking or whole_details_of is not null then {service} end as service,
            case when priority = any({priorities}) then null else coalesce(known_deleted_at, now()) end
                as deleted_at,
            is_to_be_read as needs_details,
            whole_details_of as details_of,
            whole_raw as raw
        from whole
    ) as completed
) as merged_alerts
""")
_DETAILS_KEYS = ["details", "extraProperties"]
_SINGLE_FIELDS = ["actions", "description", "entity", *_DETAILS_KEYS]


class AlertBatch(Batch):
    """A batch of alerts.

    :param to_rows: makes the row of a payload, and is told whether that was read by its id.
    :param force_details: read the details of all alerts again, not only of new and changed ones.
    """

    def __init__(
        self,
        connection: Connection,
        account: str,
        backend: str,
        key_reach: str,
        to_rows: Callable[..., AlertRows],
        rules: AlertRules,
        *,
        force_details: bool = False,
    ) -> None:
        super().__init__(connection, account, backend, key_reach, (ALERTS,))
        self._to_rows = to_rows
        self._rules = rules
        self._force_details = force_details

    def to_rows(self, raw: Raw, *, single: bool) -> AlertRows:
        return self._to_rows(raw, single=single)

    def left_status(self, statuses: Iterable[str], *, before: datetime) -> list[str]:
        """Every alert that is not closed counts as open, however the service calls that."""
        stored = self._connection.execute(
            "select distinct status from staging.opsgenie_alerts "
            "where account = %s and deleted_at is null and status <> 'closed'",
            (self._account,),
        )
        unfinished = [status for (status,) in stored]
        return super().left_status(unfinished if "open" in statuses else statuses, before=before)

    def merge(self) -> int:
        self._send_all()
        (staged,) = self._staged
        source = _MERGED.format(
            **self._names,
            columns=sql.SQL(", ").join(map(sql.Identifier, ALERTS.columns)),
            needs_details=_needs_details(self._rules.service_from),
            service=_service(self._rules.service_from),
            force_details=sql.Literal(self._force_details),
            priorities=sql.Literal(self._rules.priorities),
            details_keys=sql.Literal(_DETAILS_KEYS),
            single_fields=sql.Literal(_SINGLE_FIELDS),
        )
        return sum(staged.merge(source))


def _needs_details(sources: Iterable[str]) -> sql.Composable:
    """Whether a listed alert lacks a field in which its service may be named, before one that names it."""
    columns = {name: sql.Identifier("staged", name) for name in (ENTITY, "details", "tags")}
    cases: list[sql.Composable] = []
    for source in sources:
        if source == ENTITY:
            cases += [sql.SQL("when not staged.raw ? 'entity' then true")]
        elif source.startswith(DETAILS):
            keys = sql.Literal(_DETAILS_KEYS)
            cases += [sql.SQL("when not staged.raw ?| {} then true").format(keys)]
        cases += [sql.SQL("when {} is not null then false").format(_named(source, columns))]
    if not cases:
        return sql.SQL("false")
    return sql.SQL("(case {} else false end)").format(sql.SQL(" ").join(cases))


def _service(sources: Iterable[str]) -> sql.Composable:
    """The service that an alert names: the first source that says one."""
    columns = {
        ENTITY: sql.Identifier("whole_entity"),
        "details": sql.Identifier("whole_details"),
        "tags": sql.Identifier("tags"),
    }
    named = [_named(source, columns) for source in sources]
    return sql.SQL("coalesce({})").format(sql.SQL(", ").join(named)) if named else sql.NULL


def _named(source: str, columns: Mapping[str, sql.Composable]) -> sql.Composable:
    """What one of the settings' sources says; null where it says nothing."""
    if source == ENTITY:
        text = columns[ENTITY]
    elif source.startswith(DETAILS):
        key = sql.Literal(source.removeprefix(DETAILS))
        text = sql.SQL("{} ->> {}").format(columns["details"], key)
    else:
        start = source.removeprefix(TAG)
        text = sql.SQL(
            "(select substr(tag, {after}) from unnest({tags}) as tag where starts_with(tag, {start}) "
            'order by tag collate "C" limit 1)'
        ).format(after=sql.Literal(len(start) + 1), start=sql.Literal(start), tags=columns["tags"])
    return sql.SQL(
        "(select said from (select {text} as said) as source "
        "where dora.service_key(said) is not null and octet_length(said) <= {most})"
    ).format(text=text, most=sql.Literal(MAX_KEY_BYTES))


def mark_excluded(connection: Connection, account: str, *, included: Iterable[str]) -> int:
    """Mark alerts of other priorities than these as deleted; returns how many.

    A widened choice finds them again with the next read of the whole history.
    """
    return connection.execute(
        "update staging.opsgenie_alerts set deleted_at = now(), synced_at = now() "
        "where account = %s and deleted_at is null and (priority = any(%s)) is not true",
        (account, list(included)),
    ).rowcount


def due_alerts(connection: Connection, account: str, backend: str) -> list[str]:
    """Ids of the alerts that are to be read by their ids, the newest first."""
    rows = connection.execute(
        "select alert_id from staging.opsgenie_alerts "
        "where account = %s and backend = %s and deleted_at is null and needs_details "
        "and details_of is distinct from coalesce(updated_at, created_at) "
        "order by created_at desc, alert_id",
        (account, backend),
    )
    return [alert_id for (alert_id,) in rows]


def mark_unreadable(connection: Connection, account: str, alert_ids: list[str]) -> None:
    """Unreadable alerts are read by their ids again only after they are listed again."""
    connection.execute(
        "update staging.opsgenie_alerts set needs_details = false, synced_at = now() "
        "where account = %s and alert_id = any(%s)",
        (account, alert_ids),
    )
