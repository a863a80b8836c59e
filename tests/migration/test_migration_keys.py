"""Keys of the wrong kind are found out before anything is written."""

from __future__ import annotations

import pytest

from opsgenie_provider.api.errors import AuthenticationError, PlanError
from opsgenie_provider.hooks.base import ConnectionSettingsError
from sandbox.opsgenie.store import CONFIG, DELETE, IMPORT_KEY, READ, SYNC_KEY, WRITE, Key
from sandbox.pagerduty.store import READ_KEY
from tests.migration.migration import Migration

OTHER = "00000000-0000-4000-8000-00000000000f"
ENOUGH = Key("enough", frozenset({READ, WRITE, DELETE, CONFIG}))


def unwritten(migration: Migration) -> bool:
    """Nothing exists in OpsGenie, and no request that could have written was accepted."""
    accepted = migration.target_app.log.counts["status:202"]
    return not migration.target.incidents.all() and not migration.target.pages and not accepted


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (Key("reader", frozenset({READ, CONFIG})), "may not write"),
        (Key("blind", frozenset({WRITE, CONFIG})), "needs Read"),
        (Key("a team's", team="T1"), "belongs to a team"),
        (Key("a team's", frozenset({READ, WRITE}), team="T1"), "belongs to a team"),
    ],
)
def test_an_import_key_that_lacks_something(migration: Migration, key: Key, reason: str) -> None:
    migration.target.keys = {IMPORT_KEY: key}
    with pytest.raises(ConnectionSettingsError, match=reason):
        migration()
    assert unwritten(migration)


def test_the_sync_s_key_as_import_key(migration: Migration) -> None:
    migration.connect(import_key=SYNC_KEY)
    with pytest.raises(ConnectionSettingsError, match="may not write"):
        migration()
    assert unwritten(migration)


def test_keys_of_the_other_service(migration: Migration) -> None:
    migration.connect(import_key=READ_KEY)
    with pytest.raises(ConnectionSettingsError, match="no OpsGenie API key"):
        migration()
    migration.connect(read_key=IMPORT_KEY)
    with pytest.raises(AuthenticationError, match="region"):
        migration()
    assert unwritten(migration)


def test_no_import_key_at_all(migration: Migration) -> None:
    migration.connect(import_key=None)
    with pytest.raises(ConnectionSettingsError, match="AIRFLOW_CONN_OPSGENIE_IMPORT"):
        migration()


def test_an_unknown_import_key_and_a_plan_without_incidents(migration: Migration) -> None:
    migration.target.keys = {OTHER: ENOUGH}
    with pytest.raises(AuthenticationError):
        migration()
    migration.target.keys = {IMPORT_KEY: ENOUGH}
    migration.target.plan = "Essentials"
    with pytest.raises(PlanError):
        migration()
    assert unwritten(migration)


def test_without_configuration_access_it_works_as_well(migration: Migration) -> None:
    migration.target.keys = {IMPORT_KEY: Key("narrow", frozenset({READ, WRITE}))}
    migration(limit=3)
    assert migration.states()["done"] == 3


def test_an_undo_without_the_right_to_delete_says_so(migration: Migration) -> None:
    migration.target.keys = {IMPORT_KEY: Key("narrow", frozenset({READ, WRITE}))}
    migration(limit=2)
    with pytest.raises(ConnectionSettingsError, match="Delete"):
        migration(undo=True)
    assert len(migration.target.incidents) == 2
    migration.target.keys = {IMPORT_KEY: ENOUGH}
    migration(undo=True)
    assert migration.target.incidents.all() == []
