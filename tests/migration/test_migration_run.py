"""Whole migrations over real HTTP into a real PostgreSQL."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from opsgenie_provider.migration.options import Options
from opsgenie_provider.operators.migration_base import MigrationFailedError
from sandbox.instants import DAY, HOUR, MINUTE, to_datetime
from sandbox.opsgenie import Store
from sandbox.opsgenie.bodies import Checks
from sandbox.opsgenie.model import Incident
from tests.migration.migration import Migration, requests_of
from tests.support.postgres import Warehouse
from tests.support.sync import outcomes


def test_a_run_moves_each_incident_once_and_a_rerun_none(migration: Migration) -> None:
    run = migration.by_airflow()

    migration.assert_complete()
    migration.only_get()
    moved = len(migration.movable())
    assert {"incidents": moved} in run.outputs
    assert f"**{moved} incidents** will be created" in run.text
    assert "merged into another incident" in run.text
    logs = len(list(requests_of(migration.source_app, "/log_entries")))
    assert logs < len(migration.source.incidents) / 2

    migration.target_app.log.clear()
    migration.source_app.log.clear()
    again = migration()
    assert [outcome["rows_changed"] for outcome in outcomes(again, "pagerduty_incidents")] == [0]
    assert not list(requests_of(migration.source_app, "/notes"))
    # But for the question whether the key may write.
    assert migration.target_app.log.counts["method:POST"] == 1
    migration.assert_complete()


def test_a_dry_run_plans_and_leaves_opsgenie_alone(migration: Migration) -> None:
    migration.connect(import_key=None)
    run = migration(dry_run=True)
    assert "dry run" in run.text
    assert migration.target_app.log.counts["total"] == 0
    assert migration.states().keys() == {"planned", "skipped"}
    assert migration.states()["planned"] == len(migration.movable())


def test_the_default_is_a_dry_run_that_asks() -> None:
    options = Options.from_params({})
    assert options.dry_run
    assert options.require_approval
    assert options.import_notes
    assert not options.include_open


@pytest.mark.parametrize("params", [{"since": "soon"}, {"since": "2026-02-01", "until": "2026-01-01"}])
def test_wrong_params_are_reported(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"since"):
        Options.from_params(params)


def test_a_limit_takes_the_oldest_and_the_next_run_goes_on(migration: Migration) -> None:
    migration(limit=5)
    assert migration.states()["done"] == 5
    oldest = sorted(migration.movable().values(), key=lambda incident: (incident.created_at, incident.id))[:5]
    assert migration.imported().keys() == {item.id for item in oldest}
    assert migration.warehouse.value("select bool_and(matches) from migration.parity")
    migration(limit=5)
    assert migration.states()["done"] == 10
    migration()
    migration.assert_complete()


def test_since_and_until_are_kept_to_the_second(migration: Migration) -> None:
    chosen = sorted(migration.movable().values(), key=lambda incident: incident.created_at)[10:20]
    since, until = (to_datetime(item.created_at).isoformat() for item in (chosen[0], chosen[-1]))
    migration(since=since, until=until)
    assert migration.imported().keys() == {item.id for item in chosen[:-1]}
    migration()
    migration.assert_complete()


def test_open_incidents_come_when_asked_and_are_resolved_later(migration: Migration) -> None:
    migration(include_open=True)
    migration.assert_complete(include_open=True)
    was_open = [
        incident
        for incident in migration.movable(include_open=True).values()
        if incident.status != "resolved"
    ]
    assert was_open

    incident = was_open[0]
    later = max(incident.updated_at, incident.created_at) + HOUR
    user = next(iter(migration.source.users))
    migration.source.incidents.add_note(incident.id, "Found it.", later, user=user)
    migration.source.incidents.acknowledge(incident.id, later)
    migration.source.incidents.resolve(incident.id, later + MINUTE)
    migration(include_open=True)

    migration.assert_complete(include_open=True)
    assert migration.imported()[incident.id].status == "resolved"


@pytest.mark.usefixtures("first_run")
def test_what_was_reopened_and_resolved_again_is_corrected(migration: Migration) -> None:
    incident = next(iter(migration.movable().values()))
    again = (incident.resolved_at or 0) + DAY
    migration.source.incidents.reopen(incident.id, again)
    migration.source.incidents.resolve(incident.id, again + HOUR)
    migration()
    migration.assert_complete()
    assert migration.imported()[incident.id].details["pagerduty_resolved_at"]


def test_without_notes_none_is_read_or_written(migration: Migration) -> None:
    migration(import_notes=False)
    assert not list(requests_of(migration.source_app, "/notes"))
    assert all(not incident.notes for incident in migration.imported().values())
    assert migration.states()["done"] == len(migration.movable())


def test_undo_deletes_what_the_ledger_created_and_nothing_else(migration: Migration) -> None:
    stranger = migration.target.incidents.add("Not of the migration", tags=["pagerduty-import", "pd:PXYZ"])
    migration(limit=8)
    run = migration(undo=True, dry_run=True)
    assert "**8 incidents**" in run.text
    assert len(migration.target.incidents) == 9

    migration(undo=True)

    assert migration.target.incidents.all() == [stranger]
    assert migration.states().keys() == {"skipped"}
    migration.target.incidents.delete(stranger.id)
    migration()
    migration.assert_complete()


@pytest.mark.usefixtures("first_run")
def test_a_lost_ledger_makes_no_doubles(migration: Migration) -> None:
    migration.warehouse.rows("delete from migration.ledger returning 1")
    migration()
    migration.assert_complete()


@pytest.mark.usefixtures("first_run")
def test_a_difference_is_found_and_named(migration: Migration) -> None:
    incident, other = list(migration.imported().values())[:2]
    migration.target.incidents.edit(incident.id, details={**incident.details, "seconds_to_recover": "1"})
    migration.target.incidents.delete(other.id)
    with pytest.raises(MigrationFailedError) as failure:
        migration()
    for mentioned in (incident, other):
        assert mentioned.details["pagerduty_id"] in str(failure.value)
    assert migration.warehouse.value("select count(*) from migration.parity where not matches") >= 1


@pytest.mark.usefixtures("first_run")
def test_a_double_in_opsgenie_is_found(migration: Migration) -> None:
    incident = next(iter(migration.imported().values()))
    migration.target.incidents.add(incident.message, tags=incident.tags, details=incident.details)
    with pytest.raises(MigrationFailedError, match="exists in OpsGenie as"):
        migration()


def test_priorities_follow_the_account_and_what_a_user_says(migration: Migration) -> None:
    migration(dry_run=True)
    names = [item.name for item in migration.source.priorities.values()]
    mapped = dict(
        (row["pagerduty_priority"], row["priority"])
        for row in migration.warehouse.rows("select * from dora.pagerduty_priorities")
    )
    assert [mapped[name] for name in names] == ["P1", "P2", "P3", "P4", "P5"]
    ids = {
        incident.id: incident.priority_id
        for incident in migration.movable().values()
        if "priority" not in incident.nulls
    }
    # One that the story has an incident of, and that is not P5 anyway.
    first = next(id_ for id_ in list(migration.source.priorities)[:-1] if id_ in ids.values())
    migration.warehouse.rows(
        "update dora.pagerduty_priorities set priority = 'P5' where pagerduty_priority = %s returning 1",
        migration.source.priorities[first].name,
    )
    migration()
    imported = migration.imported()
    assert {imported[id_].priority for id_, priority in ids.items() if priority == first} == {"P5"}


@pytest.mark.usefixtures("first_run")
def test_the_ledger_keeps_all_that_pagerduty_said(migration: Migration) -> None:
    incident = max(migration.movable().values(), key=lambda each: len(each.title))
    row = migration.row(incident.id)
    assert row["payload"]["source"]["incident"]["title"] == incident.title
    assert len(row["payload"]["source"]["log"]) == sum(entry.type != "notify" for entry in incident.entries)
    imported = migration.imported()[incident.id]
    assert imported.description.startswith(incident.title)
    assert len(imported.message) <= 130


def test_a_target_that_already_has_incidents_keeps_them(
    migration: Migration, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Store = migration.target
    before = [
        store.incidents.add(f"Own {n}", to_datetime(store.clock()) - timedelta(days=n)) for n in range(5)
    ]
    migration()
    migration.assert_complete()
    assert all(store.incidents.get(item.id) is item and item.status == "open" for item in before)


@contextmanager
def index_keeps(migration: Migration, *deleted: Incident) -> Iterator[None]:
    """Searches list incidents that were deleted a moment ago, before all others."""
    select = migration.target.incidents.select

    def stale(query: str = "", *arguments: Any, **named: Any) -> list[Incident]:
        tests = [item for item in deleted if f'"pd:{item.details["pagerduty_id"]}"' in query]
        listed = list(deleted) if "pagerduty-import" in query else tests
        return listed + select(query, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migration.target.incidents, "select", stale)
        yield


@pytest.mark.usefixtures("first_run")
def test_an_import_right_after_an_undo_creates_again_what_the_index_still_lists(migration: Migration) -> None:
    deleted = list(migration.imported().values())
    migration(undo=True)
    assert migration.target.incidents.all() == []

    with index_keeps(migration, *deleted):
        migration()

    migration.assert_complete()


def test_an_incident_that_was_deleted_before_it_was_complete_is_created_again(migration: Migration) -> None:
    """Whichever step finds it out: the resolution, the details or a note."""
    migration(limit=6)
    migration.warehouse.execute("update migration.ledger set state = 'created' where state = 'done'")
    half = list(migration.imported().values())
    revised, noted = half[0], next(incident for incident in half[1:] if incident.notes)
    migration.warehouse.execute(
        "update migration.ledger set payload = payload || '{\"revise\": true}' where pagerduty_id = %s",
        revised.details["pagerduty_id"],
    )
    migration.warehouse.execute(
        "update migration.ledger set state = 'resolved', notes_done = 0, note_sent = false "
        "where pagerduty_id = %s",
        noted.details["pagerduty_id"],
    )
    for incident in half:
        migration.target.incidents.delete(incident.id)
    with index_keeps(migration, *half):
        migration()
    migration.assert_complete()


@pytest.mark.usefixtures("first_run")
def test_a_verification_asks_for_what_the_index_does_not_show_as_it_should_be(migration: Migration) -> None:
    late, *_ = migration.imported().values()
    deleted = copy.deepcopy(late)
    deleted.id = "deleted"
    select = migration.target.incidents.select

    def stale(*arguments: Any, **named: Any) -> list[Incident]:
        return [deleted, *(item for item in select(*arguments, **named) if item is not late)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migration.target.incidents, "select", stale)
        migration()
    migration.assert_complete()


class TestRefused:
    """Incidents that OpsGenie refuses for good."""

    @pytest.fixture
    def refused(self, migration: Migration) -> Iterator[set[str]]:
        """The five oldest."""
        oldest = sorted(
            migration.movable().values(), key=lambda incident: (incident.created_at, incident.id)
        )[:5]
        ids = {item.id for item in oldest}
        create = Checks.details

        def details(self: Checks) -> dict[str, str]:
            found = create(self)
            if found.get("pagerduty_id") in ids:
                self.errors["details"] = "Details are not accepted."
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Checks, "details", details)
            yield ids

    def test_a_limit_gets_past_them(self, migration: Migration, refused: set[str]) -> None:
        # The first runs find out; each begins with incidents that nothing is known of.
        for _ in range(2):
            with pytest.raises(MigrationFailedError, match="not accepted"):
                migration(limit=3)
        migration(limit=3)
        assert len(migration.imported()) >= 3
        before = len(migration.imported())
        migration(limit=3)
        assert len(migration.imported()) == before + 3
        assert not refused & migration.imported().keys()
        assert "OpsGenie refused it before" in migration.row(min(refused))["reason"]

    def test_they_stop_no_run(self, migration: Migration, refused: set[str]) -> None:
        """The rest is imported, what was begun is finished, and the verification names them."""
        for _ in range(3):
            with suppress(MigrationFailedError):
                migration()
        begun = min(migration.imported())
        migration.warehouse.execute(
            "update migration.ledger set state = 'created' where pagerduty_id = %s", begun
        )
        with pytest.raises(MigrationFailedError, match="5 incidents and") as failure:
            migration()
        assert all(id_ in str(failure.value) for id_ in refused)
        migration.assert_complete(but=frozenset(refused))
        refused.clear()
        migration()
        migration.assert_complete()
