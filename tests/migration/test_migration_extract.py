"""Extracts: large accounts, odd ones, and how many requests they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opsgenie_provider.api import pagerduty as api
from opsgenie_provider.api import pagerduty_windows
from opsgenie_provider.api.errors import CrowdedSecondError
from opsgenie_provider.operators.migration_keys import ValidateMigrationKeysOperator
from sandbox import pagerduty
from sandbox.instants import HOUR, to_datetime
from sandbox.pagerduty import web
from sandbox.pagerduty.bulk import bulk
from tests.migration.migration import Migration
from tests.support.postgres import Warehouse


def stored(warehouse: Warehouse) -> dict[str, tuple[Any, ...]]:
    rows = warehouse.rows("select * from staging.pagerduty_incidents")
    names = ("title", "status", "urgency", "created_at", "acknowledged_at", "resolved_at", "merged_into")
    return {row["incident_id"]: tuple(row[name] for name in names) for row in rows}


def expected(source: pagerduty.Store) -> dict[str, tuple[Any, ...]]:
    def at(instant: int | None) -> Any:
        return None if instant is None else to_datetime(instant)

    return {
        incident.id: (
            incident.title,
            incident.status,
            incident.urgency,
            at(incident.created_at),
            at(min((entry.at for entry in incident.entries if entry.type == "acknowledge"), default=None)),
            at(incident.resolved_at if incident.status == "resolved" else None),
            incident.merged_into,
        )
        for incident in source.incidents.all()
    }


@pytest.fixture
def a_tenth_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service lists 1,000 in place of 10,000, so that fewer incidents are more than that."""
    assert api.REACHABLE + api.PAGE_SIZE == web.MAX_WINDOW == 10_000
    monkeypatch.setattr(web, "MAX_WINDOW", 1_000)
    monkeypatch.setattr(pagerduty_windows, "REACHABLE", 1_000 - api.PAGE_SIZE)


@pytest.mark.usefixtures("a_tenth_is_listed")
class TestLarge:
    @pytest.fixture
    def source(self) -> pagerduty.Store:
        return bulk(2_100, days=40)

    def test_more_than_can_be_listed(self, migration: Migration, source: pagerduty.Store) -> None:
        run = migration(dry_run=True)
        assert stored(migration.warehouse) == expected(source)
        requests = migration.source_app.log.counts["total"]
        assert requests < 0.08 * len(source.incidents)
        assert f"**{len(migration.movable())} incidents**" in run.text
        migration.only_get()


@pytest.mark.usefixtures("a_tenth_is_listed")
class TestCrowded:
    @pytest.fixture
    def source(self) -> pagerduty.Store:
        return bulk(950, days=1, same_second=940)

    def test_a_second_that_cannot_be_listed_fails_loudly(self, migration: Migration) -> None:
        with pytest.raises(CrowdedSecondError, match="within one second"):
            migration(dry_run=True)
        assert stored(migration.warehouse) == {}


SETTINGS: list[Callable[[pagerduty.Store], None]] = [
    lambda store: setattr(store, "time_zone", "Asia/Kolkata"),
    lambda store: setattr(store, "until_inclusive", True),
    lambda store: setattr(store, "log_digits", 6),
    lambda store: store.abilities.remove("priorities"),
    lambda store: store.abilities.remove("teams"),
]


@pytest.mark.parametrize("change", SETTINGS)
def test_accounts_of_other_kinds(
    migration: Migration, source: pagerduty.Store, change: Callable[[pagerduty.Store], None]
) -> None:
    change(source)
    migration(dry_run=True)
    assert stored(migration.warehouse) == expected(source)


def test_notes_that_the_log_does_not_mention(migration: Migration, source: pagerduty.Store) -> None:
    for incident in source.incidents.all():
        incident.entries = [entry for entry in incident.entries if entry.type != "annotate"]
    source.incidents._entries = None
    migration(dry_run=True)
    notes = sum(len(incident.notes) for incident in source.incidents.all())
    assert migration.warehouse.value("select count(*) from staging.pagerduty_notes") == notes > 0


def test_what_changed_is_read_again(migration: Migration, source: pagerduty.Store) -> None:
    migration(dry_run=True)
    incident, other = (each for each in list(migration.movable().values())[:2])
    later = (incident.resolved_at or 0) + HOUR
    source.incidents.reopen(incident.id, later)
    late = other.updated_at + HOUR
    source.incidents.add_note(other.id, "Afterthought", late, user=next(iter(source.users)))
    migration(dry_run=True)
    assert stored(migration.warehouse) == expected(source)
    assert migration.row(incident.id)["reason"] == "not resolved (triggered)"
    assert any("Afterthought" in note for note in migration.row(other.id)["payload"]["notes"])


def test_a_rate_limit_is_kept_to(migration: Migration, source: pagerduty.Store) -> None:
    migration.source_app.limiter.configure({"rest": {2: 60}})
    migration(dry_run=True)
    assert migration.source_app.log.counts["status:429"] == 0
    assert stored(migration.warehouse) == expected(source)


@pytest.mark.usefixtures("impatient")
def test_a_429_without_headers_is_survived(migration: Migration, source: pagerduty.Store) -> None:
    source.bare_429 = True
    migration.source_app.faults.configure(probabilities={"429": 0.1}, seed=1)
    migration(dry_run=True)
    assert migration.source_app.log.counts["status:429"]
    assert stored(migration.warehouse) == expected(source)


def test_operators_have_an_account_each() -> None:
    assert (
        ValidateMigrationKeysOperator(task_id="b", options={}, pagerduty_conn_id="pd_eu").account == "pd_eu"
    )
