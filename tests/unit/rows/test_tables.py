"""Rows are made by column name: a column that is misspelt or forgotten is an error, never a NULL."""

from __future__ import annotations

import pytest

from opsgenie_provider.rows.tables import TEAMS


def test_a_row_has_its_values_in_the_order_of_the_columns() -> None:
    row = TEAMS.row(raw="{}", backend="jsm", name="Core", team_id="t1", account="acme")
    assert dict(zip(TEAMS.columns, row, strict=True)) == {
        "account": "acme", "team_id": "t1", "name": "Core", "backend": "jsm", "raw": "{}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "differing"),
    [
        ({"backend": "jsm", "raw": "{}"}, "name"),
        ({"backend": "jsm", "raw": "{}", "name": "Core", "nmae": "Core"}, "nmae"),
    ],
)
def test_a_row_has_every_column_and_no_other(values: dict[str, str], differing: str) -> None:
    with pytest.raises(TypeError, match=f"opsgenie_teams .* differ: {differing}$"):
        TEAMS.row(account="acme", team_id="t1", **values)
