"""A refresh: what it notices, what it takes back, and that it blocks nobody."""

from __future__ import annotations

import random
import string
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from psycopg import sql

from opsgenie_provider.dora import refresh as dora_refresh
from opsgenie_provider.dora.checks import DataCheckError
from opsgenie_provider.dora.refresh import refresh
from opsgenie_provider.warehouse.connection import Connection, Warehouse
from tests.dora.dora_checkout import HOUR, NOON, Checkout
from tests.dora.dora_world import Rules, stored
from tests.support import ROOT

QUEUES = "touched_incidents touched_services touched_deployments full_refresh"


def queued(connection: Connection) -> int:
    rows = 0
    for name in QUEUES.split():
        row = connection.execute(
            sql.SQL("select count(*) from {}").format(sql.Identifier("dora", f"{name}_queue"))
        ).fetchone()
        assert row is not None
        rows += row[0]
    connection.commit()
    return rows


def test_an_empty_warehouse_says_so(connection: Connection) -> None:
    summary = refresh(connection, Rules().settings())
    assert (summary.full, summary.reason) == (True, "first run")
    assert "The warehouse is empty" in summary.lines()[-1]
    assert all(rows == {} for rows in stored(connection).values())
    assert refresh(connection, Rules().settings()).full is False


def test_without_incidents_or_deployments_it_says_so(world: Checkout) -> None:
    world.deployment("d", NOON)
    assert "There are no incidents" in world.refresh().lines()[-1]
    assert world.one("select * from dora.match_quality") == (
        "checkout",
        None,
        None,
        None,
        0,
        0,
        None,
        None,
        None,
    )
    world.drop("staging.deployments", "github", "d")
    world.incident()
    assert any("no eligible deployments" in line for line in world.refresh().lines())
    assert world.one("select change_failure_rate from dora.overall_metrics where grain = 'day'") == (None,)


def test_a_write_that_changes_nothing_touches_nothing(world: Checkout, connection: Connection) -> None:
    world.incident(details={"a": "b"})
    world.deployment("d", NOON)
    world.refresh()
    assert queued(connection) == 0
    connection.execute('update staging.deployments set service = service, raw = \'{"read": "again"}\'')
    connection.execute("update staging.opsgenie_incidents set synced_at = now(), description = 'longer'")
    connection.execute("delete from staging.deployments where source = 'none'")
    assert queued(connection) == 0
    connection.execute("update staging.deployments set source = 'renamed'")
    connection.commit()
    assert queued(connection) == 2
    world.tables["staging.deployments"] = {
        ("renamed", "d"): row | {"source": "renamed"}  # noqa: B035  # there is one
        for row in world.rows("staging.deployments")
    }
    assert world.refresh().touched_deployments == 2


def test_a_truncated_table_asks_for_everything(world: Checkout) -> None:
    world.incident()
    world.deployment("d", NOON)
    world.refresh()
    world.clear("staging.opsgenie_incident_services")
    summary = world.refresh()
    assert summary.reason == "staging.opsgenie_incident_services was truncated"
    assert world.attribution(service="")[0] == "no_service"


def test_full_mends_what_someone_broke(world: Checkout, connection: Connection) -> None:
    world.incident(status="resolved", resolved_at=NOON + HOUR)
    world.deployment("d", NOON)
    world.refresh()
    before = stored(connection)
    for statement in (
        "update dora.incidents set title = 'wrong'",
        "delete from dora.metrics where grain = 'week'",
        "update dora.metrics set deployments = 9 where service = ''",
        "insert into dora.match_quality values ('stray', 1, 1, 1, 0, 0)",
        "insert into dora.deployment_outcomes (deployment_source, deployment_id, service, environment, triggered_at, "
        "is_change_failure, incident_count) values ('stray', '1', 'stray', 'production', now(), false, 0)",
        "insert into dora.incident_attribution (source, account, incident_id, service, match_status, candidate_count, "
        "opened_at, status) values ('opsgenie', 'us', 'stray', '', 'no_service', 0, now(), 'open')",
        "delete from dora.eligible_deployments",
    ):
        connection.execute(statement)  # type: ignore[arg-type]
    connection.commit()
    assert world.refresh(full=True).reason == "asked for"
    assert stored(connection) == before


def test_a_large_first_load_leaves_the_indexes_as_they_were(
    world: Checkout, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def indexes() -> list[tuple[object, ...]]:
        rows = connection.execute(
            "select tablename, indexname, indexdef, contype from pg_indexes left join pg_constraint "
            "on conname = indexname and connamespace = schemaname::regnamespace and contype in ('p', 'u') "
            "where schemaname = 'dora' order by indexname"
        ).fetchall()
        connection.commit()
        return rows

    before = indexes()
    monkeypatch.setattr(dora_refresh, "MANY_ROWS", 1)
    world.deployment("d", NOON)
    world.incident()
    # Compares the rows with the model's.
    assert world.refresh().full
    assert indexes() == before
    # These rows are no longer the first.
    world.incident("j")
    assert world.refresh(full=True).full
    assert indexes() == before


def test_a_failed_check_leaves_the_last_good_tables(
    world: Checkout, connection: Connection, own_sql: Path
) -> None:
    world.incident()
    world.refresh()
    before = stored(connection)
    check = own_sql / "checks" / "metrics_add_up.sql"
    right = check.read_text()
    check.write_text("select deployment_id from dora.deployment_outcomes\n")
    world.deployment("d", NOON)
    connection.commit()
    with pytest.raises(
        DataCheckError, match=r"'metrics_add_up' failed with 1 row.*'deployment_id': 'd'"
    ) as caught:
        refresh(connection, Rules().settings())
    assert (caught.value.check, caught.value.rows, caught.value.examples) == (
        "metrics_add_up",
        1,
        [{"deployment_id": "d"}],
    )
    assert stored(connection) == before
    assert world.one("select checks, finished_at from dora.refreshes order by refresh_id desc limit 1") == (
        {"metrics_add_up": 1},
        None,
    )
    # The touched deployment is still queued, for a run that may succeed.
    check.write_text(right)
    assert world.refresh().touched_deployments == 1
    assert world.attribution()[0] == "matched"


def columns(connection: Connection, table: str) -> list[str]:
    rows = connection.execute(
        "select column_name from information_schema.columns where table_schema = 'dora' and table_name = %s",
        (table,),
    ).fetchall()
    connection.commit()
    return [name for (name,) in rows]


@pytest.mark.parametrize(
    ("table", "column", "value", "check"),
    [
        ("incident_attribution", "candidate_count", "0::bigint", "offset_within_window"),
        ("incident_attribution", "incident_id", "'other'", "incidents_accounted_for"),
        ("incident_attribution", "deployment_id", "'far'", "no_closer_deployment"),
        ("deployment_outcomes", "is_change_failure", "false", "matched_deployments_eligible"),
        ("metrics", "change_failure_rate", "2::double precision", "change_failure_rate_in_bounds"),
        ("metrics", "deployments", "9::bigint", "metrics_add_up"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["full", "what was touched"])
def test_each_check_finds_its_damage(
    world: Checkout,
    connection: Connection,
    own_sql: Path,
    table: str,
    column: str,
    value: str,
    check: str,
    first: bool,
) -> None:
    if not first:
        world.refresh()
    world.incident()
    world.deployment("near", NOON)
    world.deployment("far", NOON - 3 * HOUR)
    connection.commit()
    file = own_sql / "transform" / f"{table}.sql"
    names = ", ".join(f"{value} as {name}" if name == column else name for name in columns(connection, table))
    file.write_text(f"select {names} from (\n{file.read_text()}\n) as right_rows")
    with pytest.raises(DataCheckError) as caught:
        refresh(connection, Rules().settings())
    assert caught.value.check == check
    assert last_refresh(world) == (first, None, str(caught.value))


def last_refresh(world: Checkout) -> tuple[object, ...]:
    return world.one(
        "select is_full, finished_at, error from dora.refreshes order by refresh_id desc limit 1"
    )


def test_why_a_refresh_failed_is_stored(world: Checkout, connection: Connection, own_sql: Path) -> None:
    (own_sql / "transform" / "incidents.sql").write_text("select 1 / 0")
    connection.commit()
    with pytest.raises(psycopg.errors.DivisionByZero):
        refresh(connection, Rules().settings())
    assert last_refresh(world) == (True, None, "division by zero")


TRANSFORMS = sorted((ROOT / "include/sql/transform").glob("*.sql"))
# The columns of tables that the SELECTs of dora read, directly and through views.
READ_COLUMNS = """
with recursive read (relation, attribute) as (
    select refobjid, refobjsubid
    from pg_depend inner join pg_rewrite on pg_rewrite.oid = objid
    where classid = 'pg_rewrite'::regclass and refobjsubid > 0 and ev_class = any(%s::regclass[])
    union
    select pg_depend.refobjid, pg_depend.refobjsubid
    from read
    inner join pg_rewrite on ev_class = relation
    inner join pg_depend on classid = 'pg_rewrite'::regclass and objid = pg_rewrite.oid and refobjsubid > 0
)
select distinct relation::regclass::text, attname
from read
inner join pg_class on pg_class.oid = relation and relkind = 'r' and relpersistence = 'p'
inner join pg_attribute on attrelid = relation and attnum = attribute
"""
WATCHED_COLUMNS = """
select tgrelid::regclass::text, trim(name)
from pg_trigger
cross join unnest(string_to_array(split_part(encode(tgargs, 'escape'), '\\000', 2), ',')) as name
where tgname = 'dora_update'
"""


def test_a_change_of_each_column_that_a_transform_reads_is_noticed(connection: Connection) -> None:
    for name in ("begin", "touched"):
        connection.execute((ROOT / "include/sql/scope" / f"{name}.sql").read_text())
    views = []
    for file in TRANSFORMS:
        views.append(f"pg_temp.{file.stem}_select")
        connection.execute(f"create temporary view {file.stem}_select as {file.read_text()}")
    not_watched = {
        *((f"dora.{file.stem}", None) for file in TRANSFORMS),
        ("dora.refreshes", None),
        # Of the view dora.effective_overrides, what only the page reads.
        ("dora.attribution_overrides", "reason"),
        ("dora.attribution_overrides", "decided_by"),
    }
    read = {
        (table, column)
        for table, column in connection.execute(READ_COLUMNS, (views,))
        if not {(table, None), (table, column)} & not_watched
    }
    assert ("staging.opsgenie_incidents", "closed_at") in read
    assert read - set(connection.execute(WATCHED_COLUMNS)) == set()


def test_a_window_of_days_is_as_long_where_the_clock_changes(world: Checkout, connection: Connection) -> None:
    """Users have sessions in the server's time zone."""
    # In New York, summer time began between the two.
    world.incident()
    world.deployment("d", NOON - 96 * HOUR)
    world.refresh(Rules(before=96 * HOUR, after=96 * HOUR))
    assert world.attribution() == ("matched", "d", 96, 1)
    connection.execute("set time zone 'America/New_York'")
    assert world.one(
        "select opened_at - effective_window_before = triggered_at from dora.current_refresh, dora.incident_history"
    ) == (True,)


def test_writers_do_not_wait_and_what_they_write_is_next(
    world: Checkout, warehouse: Warehouse, own_sql: Path
) -> None:
    """A writer that commits while a refresh runs: seen as a whole by the next one."""
    world.incident()
    world.refresh()
    file = own_sql / "scope" / "begin.sql"
    file.write_text(f"select pg_advisory_lock(42); select pg_advisory_unlock(42);\n{file.read_text()}")
    with warehouse.connection() as refreshing, warehouse.connection(autocommit=True) as writer:
        writer.execute("select pg_advisory_lock(42)")
        run = Thread(target=refresh, args=(refreshing, Rules().settings()))
        run.start()
        while writer.execute("select count(*) from pg_locks where not granted").fetchone() != (1,):
            pass
        world.deployment("d", NOON)
        assert world.connection is not None
        world.connection.commit()
        writer.execute("select pg_advisory_unlock(42)")
        run.join()
    assert world.attribution()[0] == "service_unmapped"
    assert world.refresh().touched_deployments == 1
    assert world.attribution() == ("matched", "d", 0, 1)


def test_a_role_that_may_only_write_deployments_can(world: Checkout, connection: Connection) -> None:
    role = f"writer_{connection.info.dbname}"
    connection.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
    try:
        for grant in ("usage on schema staging", "insert, select, update, delete on staging.deployments"):
            connection.execute(sql.SQL("grant {} to {}").format(sql.SQL(grant), sql.Identifier(role)))  # type: ignore[arg-type]
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        world.deployment("d", NOON)
        # The trigger's function is not theirs to run on a table of their own.
        connection.execute("create temporary table mine (a int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute(
                "create trigger t after insert on mine referencing new table as new_rows "
                "for each statement execute function dora.note_touched('drop schema dora cascade', 'a')"
            )
        connection.execute("reset role")
        assert world.refresh().touched_deployments == 1
    finally:
        connection.rollback()
        connection.execute("reset role")
        connection.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(role)))
        connection.commit()


def test_the_longest_texts_that_are_taken_fit_into_every_index(world: Checkout) -> None:
    """Else one row of a user's, or one detail of an incident, would fail every refresh after it."""

    def text(size: int) -> str:
        # Random, for PostgreSQL compresses what repeats; and its lower case is half as long again.
        return "".join(random.choices("\u023a\u023e", k=size // 4)) + "".join(
            random.choices(string.ascii_letters + string.digits, k=size - size // 4 * 2)
        )

    longest = {"source": text(500), "deployment_id": text(1000), "service": text(500)}
    world.incident(details={"pagerduty_account": "pd", "pagerduty_id": text(5000)})
    world.incident("copy", details={"pagerduty_account": "pd", "pagerduty_id": text(500)})
    world.deployment(longest["deployment_id"], NOON, source=longest["source"], service=longest["service"])
    world.put("dora.service_map", account="us", service_id="svc", service=longest["service"])
    override = {"source": "opsgenie", "account": "us", "incident_id": "i", "service": longest["service"]}
    world.put(
        "dora.attribution_overrides",
        **override,
        deployment_source=longest["source"],
        deployment_id=longest["deployment_id"],
    )
    world.refresh()

    assert world.connection is not None
    for table, column in (
        ("staging.deployments", "source"),
        ("staging.deployments", "deployment_id"),
        ("staging.deployments", "service"),
        ("staging.deployments", "repository"),
        ("dora.service_map", "service"),
        ("dora.attribution_overrides", "deployment_source"),
        ("dora.attribution_overrides", "deployment_id"),
    ):
        with pytest.raises(psycopg.errors.CheckViolation), world.connection.transaction():
            world.connection.execute(f"update {table} set {column} = %s", (text(1001),))
