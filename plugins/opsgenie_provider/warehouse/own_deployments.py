"""Imports deployments from a table or view of the user's own in the warehouse.

The relation is read through a temporary view with the columns of ``staging.deployments``. All problems
are reported together, and nothing is imported until they are fixed.

Imported rows are identified by ``synced_from``, not by their source: the settings may name another
relation today, and another source may have the relation's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import LiteralString

import psycopg
from psycopg import sql

from opsgenie_provider.rows.tables import DEPLOYMENTS
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.staged import merge

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
# As the table has it: bytes of what is in an index.
_MAX_BYTES = {"deployment_id": 1000, "service": 500, "repository": 500}
_VIEW = sql.Identifier("pg_temp", "own_deployments")
# Imported rows have no payload.
_IMPORTED = replace(
    DEPLOYMENTS, values=(*(name for name in DEPLOYMENTS.values if name != "raw"), "synced_from")
)
_MAX_EXAMPLES = 5
# Whether a relation is staging.deployments, or a view of it, or of such a view.
_READS_DEPLOYMENTS = """
with recursive readers as (
    select 'staging.deployments'::regclass::oid as reader
    union
    select rule.ev_class
    from readers
    inner join pg_depend as depends
        on depends.refclassid = 'pg_class'::regclass and depends.refobjid = readers.reader
    inner join pg_rewrite as rule on depends.classid = 'pg_rewrite'::regclass and depends.objid = rule.oid
)

select 1 from readers where reader = %(relation)s::regclass
"""


class OwnDeploymentsError(ValueError):
    """The relation of ``deployments_relation`` cannot be imported; the message has all problems."""

    def __init__(self, relation: str, violations: list[str]) -> None:
        self.violations = violations
        super().__init__(
            f"deployments_relation {relation!r} cannot be imported: {'; '.join(violations)}. Correct the "
            "relation, or deployments_columns in the settings."
        )


def import_relation(connection: Connection, relation: str, columns: Mapping[str, str]) -> int:
    """Make the imported deployments equal to the rows of ``relation``; returns how many rows changed.

    Their source is the relation's name or, where other deployments have that source, its name with its
    schema.

    :param relation: "table" or "schema.table", of a table or view.
    :param columns: column of ``staging.deployments`` -> column of the relation, where the names differ.
    :raises OwnDeploymentsError: the relation violates a requirement; it has all violations. Or PostgreSQL
        does not read it, for want of a right, say, or as a view divides by zero.
    """
    try:
        return _import_relation(connection, relation, columns)
    except (psycopg.DataError, psycopg.ProgrammingError) as error:
        reason = error.diag.message_primary or str(error)
        raise OwnDeploymentsError(relation, [f"PostgreSQL does not read it ({reason})"]) from error


def _import_relation(connection: Connection, relation: str, columns: Mapping[str, str]) -> int:
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
    changed = _replace_imported(connection, _source(connection, relation))
    connection.execute(sql.SQL("drop view {}").format(_VIEW))
    return changed


def remove_imported(connection: Connection) -> int:
    """Remove the imported deployments, once the settings name no relation; returns how many there were."""
    return connection.execute("delete from staging.deployments where synced_from = 'relation'").rowcount


def _source(connection: Connection, relation: str) -> str:
    """The source of the relation's deployments: its name, or its name with its schema.

    :raises OwnDeploymentsError: other deployments have either of them as their source.
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
        [f"other deployments have the source {candidates[-1]!r}; rename the relation, or add a view of it"],
    )


def _check_columns(connection: Connection, relation: str, columns: Mapping[str, str]) -> dict[str, str]:
    """Column of ``staging.deployments`` -> column of the relation, for the columns that it has."""
    found = connection.execute(
        "select to_regclass(%(name)s), has_table_privilege(to_regclass(%(name)s), 'select')",
        {"name": _identifier(relation).as_string(connection)},
    ).fetchone()
    oid, readable = found or (None, None)
    if oid is None:
        raise OwnDeploymentsError(relation, ["there is no such table or view"])
    if not readable:
        raise OwnDeploymentsError(relation, ["the warehouse's role may not select from it"])
    if connection.execute(_READS_DEPLOYMENTS, {"relation": oid}).fetchone():
        raise OwnDeploymentsError(
            relation,
            ["it reads staging.deployments, whose rows count without it: each would be there twice"],
        )
    types: dict[str, str] = dict(
        connection.execute(
            "select attname, typname from pg_attribute join pg_type on pg_type.oid = atttypid "
            "where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            (oid,),
        ).fetchall()
    )
    violations = [
        f"{name!r} is not a column of deployments" for name in columns if name not in REQUIRED + OPTIONAL
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
    for name, most in _MAX_BYTES.items():
        query = sql.SQL("select count(*) from {} where octet_length({}) > %s").format(
            _VIEW, sql.Identifier(name)
        )
        if (row := connection.execute(query, (most,)).fetchone()) and row[0]:
            violations.append(f"{name} has more than {most} bytes in {row[0]} rows")
    unknown = connection.execute(
        sql.SQL("select status, count(*) from {} where status <> all(%s) group by 1 order by 2 desc").format(
            _VIEW
        ),
        (list(STATUSES),),
    ).fetchall()
    if unknown:
        examples = ", ".join(f"{status!r} ({count} rows)" for status, count in unknown[:_MAX_EXAMPLES])
        violations.append(f"status is one of {', '.join(STATUSES)}, not {examples}")
    duplicates = connection.execute(
        sql.SQL("select deployment_id from {} group by 1 having count(*) > 1 limit %s").format(_VIEW),
        (_MAX_EXAMPLES,),
    ).fetchall()
    if duplicates:
        examples = ", ".join(repr(deployment_id) for (deployment_id,) in duplicates)
        violations.append(f"deployment_id is not unique: {examples}")
    if violations:
        raise OwnDeploymentsError(relation, violations)


def _replace_imported(connection: Connection, source: str) -> int:
    """Make the imported deployments equal to the view; returns how many rows changed."""
    # An override refers to the deployment, so it follows when the relation, and so the source, is renamed.
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
        ).format(view=_VIEW),
        (source,),
    ).rowcount
    relation = sql.SQL(
        "(select {source} as source, own.*, 'relation' as synced_from from {view} as own) as own"
    )
    return deleted + sum(
        merge(connection, _IMPORTED, relation.format(source=sql.Literal(source), view=_VIEW))
    )


def _identifier(relation: str) -> sql.Identifier:
    return sql.Identifier(*relation.split(".", 1))


def _as_column(target: str, source: str | None) -> sql.Composed:
    """A column with its name and type in ``staging.deployments``; null where the relation lacks it."""
    kind = sql.SQL(_KINDS.get(target, "text"))
    value = sql.SQL("null") if source is None else sql.Identifier(source)
    return sql.SQL("{}::{} as {}").format(value, kind, sql.Identifier(target))
