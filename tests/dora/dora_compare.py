"""Tables compared row for row; a difference is described in words."""

from __future__ import annotations

import math
from typing import Any

from tests.dora.dora_model import Rows


def differences(actual: dict[str, Rows], expected: dict[str, Rows]) -> list[str]:
    """What differs, table by table; floats may differ by rounding."""
    found = []
    for table, rows in expected.items():
        for key in actual[table].keys() - rows.keys():
            found.append(f"{table} {key}: not expected: {actual[table][key]}")
        for key, row in rows.items():
            got = actual[table].get(key)
            if got is None or len(got) != len(row) or not all(map(_same, got, row)):
                found.append(f"{table} {key}: expected {row}, got {got}")
    return found


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)
