"""`python -m sandbox --port 0 --port-file F --seed 7`: the demo's OpsGenie on 127.0.0.1."""

from __future__ import annotations

import argparse
from pathlib import Path

from sandbox.instants import to_nanos
from sandbox.opsgenie import create_app, load
from sandbox.opsgenie.seed import bulk
from sandbox.server import run_forever
from sandbox.world import build_world


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--port-file", type=Path, help="written with the port once connections are accepted")
    parser.add_argument("--seed", type=int, default=7, help="the same seed and end give the same data")
    parser.add_argument("--end", type=to_nanos, help="last instant of the story, ISO 8601 (default: now)")
    parser.add_argument("--days", type=int, default=100, help="length of the story")
    parser.add_argument("--latency-ms", type=float, default=0, help="added to every answer")
    parser.add_argument(
        "--bulk", type=int, metavar="N", help="N incidents for a benchmark instead of the story"
    )
    options = parser.parse_args()
    if options.bulk:
        store = bulk(options.bulk, options.days, seed=options.seed, end=options.end)
    else:
        store = load(build_world(options.seed, options.end, options.days))
    app = create_app(store)
    app.faults.configure(latency_ms=options.latency_ms)
    run_forever(app, options.port, options.port_file)


if __name__ == "__main__":
    main()
