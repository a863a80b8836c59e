"""Takes over deployments that the warehouse already has, in a table or view of the user's own.

The relation is read through a temporary view with the columns of ``staging.deployments``. What is
wrong with it is all said at once, and nothing is taken over until it is fixed.

What was taken over is known by ``synced_from``, not by its source: the relation of the settings may be
another one today, and another source may have its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import LiteralString

from psycopg import sql

from opsgenie_provider.rows.tables import DEPLOYMENTS
from opsgenie_provider.warehouse.connection import Connection

REQUIRED = ("deployment_id", "service", "environment", "status", "triggered_at")
OPTIONAL = ("finished_at", "commit_sha", "repository", "pr_number", "pr_url", "pr_title", "url")
STATUSES = ("pending", "running", "success", "failure", "cancelled")
_TYPES = {
    "triggered_at": {"timestamptz"},
    "finished_at": {"timestamptz"},
    "pr_number": {"int2", "int4", "int8"},
}
_KINDS: dict[str, LiteralString] = {
    "triggered_at": "timestamptz", "finished_at": "timestamptz", "pr_number": "bigint",
}  # fmt: skip
_VIEW = sql.Identifier("pg_temp", "own_deployments")
_LISTED = 5


class OwnDeploymentsError(ValueError):
    """The relation of ``deployments_relation`` cannot be taken over; says all that is wrong with it."""

    def __init__(self, relation: str, violations: list[str]) -> None:
        self.violations = violations
        super().__init__(
            f"deployments_relation {relation!r} cannot be read: {'; '.join(violations)}. Correct it, "
            "or deployments_columns in the settings."
        )


def take_over(connection: Connection, relation: str, columns: Mapping[str, str]) -> int:
    """Make the rows of ``relation`` all that were ever taken over; returns how many changed.

    Their source is the relation's name or, where other deployments have that source, its name with its
    schema.

    :param relation: "table" or "schema.table", of a table or view.
    :param columns: column of ``staging.deployments`` -> column of the relation, where the names differ.
    :raises OwnDeploymentsError: naming every violation of what a deployment must have.
    """
    used = _check_columns(connection, relation, columns)
    connection.execute(
        sql.SQL("create temporary view own_deployments as select {columns} from {relation}").format(
            columns=sql.SQL(", ").join(
                _as_column(target, used.get(target)) for target in REQUIRED + OPTIONAL
            ),
            relation=_identifier(relation),
        )
    )
    _check_rows(connection, relation)
    source = _source(connection, relation)
    changed = _merge(connection, source, [name for name in DEPLOYMENTS.values if name != "raw"])
    connection.execute(sql.SQL("drop view {}").format(_VIEW))
    return changed


def forget(connection: Connection) -> int:
    """Remove what was taken over, for the settings name no relation; returns how many rows there were."""
    return connection.execute("delete from staging.deployments where synced_from = 'relation'").rowcount


def _source(connection: Connection, relation: str) -> str:
    """What the relation's deployments have as their source.

    :raises OwnDeploymentsError: that is the source of other deployments.
    """
    name = _identifier(relation).as_string(connection)
    row = connection.execute(
        "select nspname || '.' || relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace "
        "where pg_class.oid = to_regclass(%s)",
        (name,),
    ).fetchone()
    candidates = [relation, *(row or ())]
    taken = {
        source
        for (source,) in connection.execute(
            "select distinct source from staging.deployments "
            "where source = any(%s) and synced_from is distinct from 'relation'",
            (candidates,),
        )
    }
    for source in candidates:
        if source not in taken:
            return str(source)
    raise OwnDeploymentsError(
        relation,
        [f"other deployments have the source {candidates[-1]!r}; give it another name, by a view say"],
    )


def _check_columns(connection: Connection, relation: str, columns: Mapping[str, str]) -> dict[str, str]:
    """Column of staging.deployments -> column of the relation, for those that it has."""
    found = connection.execute(
        "select to_regclass(%(name)s), has_table_privilege(to_regclass(%(name)s), 'select')",
        {"name": _identifier(relation).as_string(connection)},
    ).fetchone()
    oid, readable = found or (None, None)
    if oid is None:
        raise OwnDeploymentsError(relation, ["there is no such table or view"])
    if not readable:
        raise OwnDeploymentsError(relation, ["the warehouse's role may not select from it"])
    types: dict[str, str] = dict(
        connection.execute(
            "select attname, typname from pg_attribute join pg_type on pg_type.oid = atttypid "
            "where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            (oid,),
        ).fetchall()
    )
    violations = [
        f"{name!r} is no column of deployments" for name in columns if name not in REQUIRED + OPTIONAL
    ]
    used = {}
    for target in REQUIRED + OPTIONAL:
        source = columns.get(target, target)
        if source in types:
            used[target] = source
            wanted = _TYPES.get(target)
            if wanted and types[source] not in wanted:
                violations.append(
                    f"{source} is {types[source]}, {target} must be {' or '.join(sorted(wanted))}"
                )
        elif target in REQUIRED or target in columns:
            violations.append(f"it has no column {source} for {target}")
    if violations:
        raise OwnDeploymentsError(relation, violations)
    return used


def _check_rows(connection: Connection, relation: str) -> None:
    violations = []
    for name in REQUIRED:
        query = sql.SQL("select count(*) from {} where {} is null").format(_VIEW, sql.Identifier(name))
        if (row := connection.execute(query).fetchone()) and row[0]:
            violations.append(f"{name} is null in {row[0]} rows")
    for name in ("triggered_at", "finished_at"):
        query = sql.SQL(
            "select count(*) from {view} where {name} < '0001-01-01 00:00:00+00' "
            "or {name} >= '10000-01-01 00:00:00+00'"
        ).format(view=_VIEW, name=sql.Identifier(name))
        if (row := connection.execute(query).fetchone()) and row[0]:
            violations.append(f"{name} lies outside of the years 1 to 9999 in {row[0]} rows")
    unknown = connection.execute(
        sql.SQL("select status, count(*) from {} where status <> all(%s) group by 1 order by 2 desc").format(
            _VIEW
        ),
        (list(STATUSES),),
    ).fetchall()
    if unknown:
        listed = ", ".join(f"{status!r} ({count} rows)" for status, count in unknown[:_LISTED])
        violations.append(f"status is one of {', '.join(STATUSES)}, not {listed}")
    twice = connection.execute(
        sql.SQL("select deployment_id from {} group by 1 having count(*) > 1 limit %s").format(_VIEW),
        (_LISTED,),
    ).fetchall()
    if twice:
        violations.append(f"deployment_id is not unique: {', '.join(repr(row[0]) for row in twice)}")
    if violations:
        raise OwnDeploymentsError(relation, violations)


def _merge(connection: Connection, source: str, values: list[str]) -> int:
    names = {
        "view": _VIEW,
        "columns": sql.SQL(", ").join(map(sql.Identifier, ["deployment_id", *values])),
        "assignments": sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in values
        ),
        "old": sql.SQL(", ").join(sql.Identifier("stored", name) for name in values),
        "new": sql.SQL(", ").join(sql.Identifier("excluded", name) for name in values),
    }
    # Who overrode an attribution meant the deployment, whatever the relation was called.
    connection.execute(
        "update dora.attribution_overrides as override set deployment_source = %(source)s "
        "from staging.deployments as stored "
        "where stored.synced_from = 'relation' and stored.source <> %(source)s "
        "and override.deployment_source = stored.source and override.deployment_id = stored.deployment_id",
        {"source": source},
    )
    deleted = connection.execute(
        sql.SQL(
            "delete from staging.deployments as stored where synced_from = 'relation' and (source <> %s "
            "or not exists (select from {view} as own where own.deployment_id = stored.deployment_id))"
        ).format(**names),
        (source,),
    ).rowcount
    merged = connection.execute(
        sql.SQL(
            "insert into staging.deployments as stored (source, {columns}, synced_at, synced_from) "
            "select %s, {columns}, now(), 'relation' from {view} "
            "on conflict (source, deployment_id) do update set {assignments}, synced_at = now() "
            "where ({old}) is distinct from ({new})"
        ).format(**names),
        (source,),
    ).rowcount
    return deleted + merged


def _identifier(relation: str) -> sql.Identifier:
    return sql.Identifier(*relation.split(".", 1))


def _as_column(target: str, source: str | None) -> sql.Composed:
    """A column under the name, and of the type, that staging.deployments has it by; null if there is none."""
    kind = sql.SQL(_KINDS.get(target, "text"))
    value = sql.SQL("null") if source is None else sql.Identifier(source)
    return sql.SQL("{}::{} as {}").format(value, kind, sql.Identifier(target))
