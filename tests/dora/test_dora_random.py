"""Random edits in random order and batches: incremental equals the model, and equals full, row for row."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsgenie_provider.dora.refresh import refresh
from opsgenie_provider.warehouse.connection import Connection, Warehouse
from tests.dora.dora_compare import differences
from tests.dora.dora_edits import Editor
from tests.dora.dora_model import Model
from tests.dora.dora_world import Rules, World, delete_all, stored


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(random=st.randoms(use_true_random=True))
def test_incremental_equals_model_and_full(warehouse: Warehouse, random: Random) -> None:
    with warehouse.connection() as connection:
        delete_all(connection)
        world = World(connection)
        editor = Editor(world, random)
        rules = editor.rules()
        for size in [random.randint(1, 200), *(random.randint(1, 8) for _ in range(random.randint(2, 9)))]:
            for _ in range(size):
                editor.edit()
            connection.commit()
            if random.random() < 0.05:
                rules = editor.rules()
            summary = refresh(connection, rules.settings())
            incremental = stored(connection)
            assert differences(incremental, Model(world, rules).tables()) == []
            assert summary.rows == {table: len(incremental[table]) for table in summary.rows}
            statuses = (match_status for match_status, *_ in incremental["incident_attribution"].values())
            assert summary.match_status == Counter(statuses)
        refresh(connection, rules.settings(), full=True)
        assert stored(connection) == incremental


def test_many_rows_equal_the_model(connection: Connection) -> None:
    """More keys than the random worlds have, in one load and then in batches of changes."""
    world = World(connection)
    editor = Editor(
        world,
        Random(3),
        incidents=[f"i{number}" for number in range(300)],
        deployments=[f"d{number}" for number in range(100)],
    )
    statuses: set[str] = set()
    for size in (3_000, 40, 40, 40):
        for _ in range(size):
            editor.edit()
        connection.commit()
        summary = refresh(connection, Rules().settings())
        assert differences(stored(connection), Model(world, Rules()).tables()) == []
        statuses |= set(summary.match_status)
    assert summary.rows["incidents"] > 150
    assert statuses == {
        "matched", "no_deployment_in_window", "service_unmapped", "no_service", "overridden",
    }  # fmt: skip
