"""Each floor of the package imports only from floors below its own, in the order that CONTRIBUTING.md "
"gives."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins/opsgenie_provider"
# Plain Python, for use without Airflow.
WITHOUT_AIRFLOW = {"api", "rows", "warehouse", "sync", "migration", "dora"}


def floors() -> dict[str, int]:
    """Each module or package with the number of its floor, from the top floor, 0, down."""
    table = (
        (ROOT / "CONTRIBUTING.md")
        .read_text(encoding="utf-8")
        .partition("| floor | what lives there |\n|---|---|\n")
    )
    rows = [line.split("|")[1] for line in table[2].partition("\n\n")[0].splitlines()]
    return {name: floor for floor, row in enumerate(rows) for name in re.findall(r"`(\w+)(?:/|\.py)`", row)}


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it, by their dotted names."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def files() -> Iterator[tuple[str, Path]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if place != "__init__":
            yield place, file


def test_every_module_has_a_floor() -> None:
    assert {place for place, _ in files()} == floors().keys()


@pytest.mark.parametrize("place", floors())
def test_imports_lead_down(place: str) -> None:
    floor = floors()
    upward = {
        f"{file.relative_to(PACKAGE)} imports {name}"
        for where, file in files()
        if where == place
        for name in imports(file)
        if (target := name.split(".")[:2])[0] == PACKAGE.name
        and target[1] not in {place, "__version__"}
        and floor[target[1]] <= floor[place]
    }
    assert upward == set()


@pytest.mark.parametrize("place", sorted(WITHOUT_AIRFLOW))
def test_the_work_needs_no_airflow(place: str) -> None:
    found = {
        str(file.relative_to(PACKAGE))
        for where, file in files()
        if where == place and any(name.split(".")[0] == "airflow" for name in imports(file))
    }
    assert found == set()


def test_what_tests_share_does_not_depend_on_one_directory_of_tests() -> None:
    shared = {
        f"{file.name} imports {name}"
        for file in (ROOT / "tests/support").glob("*.py")
        for name in imports(file)
        if name.startswith("tests.") and not name.startswith("tests.support.")
    }
    assert shared == set()
