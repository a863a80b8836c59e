"""How a refresh goes about it: what it notices, what it undoes, and whom it does not stand in the way of."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from dora_checkout import HOUR, NOON, Checkout
from dora_world import SQL_DIRECTORY, Rules, stored
from psycopg import sql

from opsgenie_provider.warehouse.connection import Connection, Warehouse
from opsgenie_provider.dora.checks import DataCheckError
from opsgenie_provider.dora.refresh import refresh

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
    summary = refresh(connection, SQL_DIRECTORY, Rules().settings())
    assert (summary.full, summary.reason) == (True, "first run")
    assert "The warehouse is empty" in summary.lines()[-1]
    assert all(rows == {} for rows in stored(connection).values())
    assert refresh(connection, SQL_DIRECTORY, Rules().settings()).full is False


def test_without_incidents_or_deployments_it_says_so(world: Checkout) -> None:
    world.deployment("d", NOON)
    assert "There are no incidents" in world.refresh().lines()[-1]
    assert world.one("select * from dora.match_quality") == ("checkout", None, None, None, 0, 0, None, None, None)
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


def test_a_failed_check_leaves_the_last_good_tables(
    world: Checkout, connection: Connection, tmp_path: Path
) -> None:
    world.incident()
    world.refresh()
    before = stored(connection)
    broken = tmp_path / "sql"
    shutil.copytree(SQL_DIRECTORY, broken)
    (broken / "checks" / "no_deployments.sql").write_text(
        "select deployment_id from dora.deployment_outcomes\n"
    )
    world.deployment("d", NOON)
    connection.commit()
    with pytest.raises(
        DataCheckError, match=r"'no_deployments' failed with 1 row.*'deployment_id': 'd'"
    ) as caught:
        refresh(connection, broken, Rules().settings())
    assert (caught.value.check, caught.value.rows, caught.value.examples) == (
        "no_deployments",
        1,
        [{"deployment_id": "d"}],
    )
    assert stored(connection) == before
    # The touched deployment is still queued, for a run that may succeed.
    assert world.refresh().touched_deployments == 1
    assert world.attribution()[0] == "matched"


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("update new_attribution set candidate_count = 0", "offset_within_window"),
        ("update new_attribution set deployment_id = 'none'", "matched_deployments_eligible"),
        ("delete from new_attribution", "incidents_accounted_for"),
        ("update new_attribution set deployment_id = 'far', offset_seconds = 10800", "no_closer_deployment"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["full", "what was touched"])
def test_each_check_finds_its_damage(
    world: Checkout, connection: Connection, tmp_path: Path, damage: str, check: str, first: bool
) -> None:
    if not first:
        world.refresh()
    world.incident()
    world.deployment("near", NOON)
    world.deployment("far", NOON - 3 * HOUR)
    connection.commit()
    damaged = tmp_path / "sql"
    shutil.copytree(SQL_DIRECTORY, damaged)
    file = damaged / "transform" / "40_incident_attribution.sql"
    text = file.read_text()
    file.write_text(text.replace("analyze new_attribution;", f"{damage};\nanalyze new_attribution;"))
    with pytest.raises(DataCheckError) as caught:
        refresh(connection, damaged, Rules().settings())
    assert caught.value.check == check


def test_a_window_of_days_is_as_long_where_the_clock_changes(world: Checkout, connection: Connection) -> None:
    """The checks of the DAG, and users, have sessions in the server's time zone."""
    # In New York, summer time began between the two.
    world.incident()
    world.deployment("d", NOON - 96 * HOUR)
    world.refresh(Rules(before=96 * HOUR, after=96 * HOUR))
    assert world.attribution() == ("matched", "d", 96, 1)
    connection.execute("set time zone 'America/New_York'")
    for file in sorted((SQL_DIRECTORY / "checks").glob("*.sql")):
        assert connection.execute(file.read_text()).fetchall() == [], file.name


def test_writers_do_not_wait_and_what_they_write_is_next(
    world: Checkout, warehouse: Warehouse, tmp_path: Path
) -> None:
    """A writer that commits while a refresh runs: seen as a whole by the next one."""
    world.incident()
    world.refresh()
    slow = tmp_path / "sql"
    shutil.copytree(SQL_DIRECTORY, slow)
    (slow / "transform" / "15_wait.sql").write_text(
        "select pg_advisory_lock(42); select pg_advisory_unlock(42);"
    )
    with warehouse.connection() as refreshing, warehouse.connection(autocommit=True) as writer:
        writer.execute("select pg_advisory_lock(42)")
        run = Thread(target=refresh, args=(refreshing, slow, Rules().settings()))
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
