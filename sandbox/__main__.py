"""`python -m sandbox --ports-file F --seed 7`: the demo's OpsGenie, JSM, PagerDuty and GitHub on 127.0.0.1.

`alerts` is another OpsGenie account, of a plan that has alerts only.
They share the data of one generated world, `--days` long up to `--end`; PagerDuty has the months before it.
The keys are constants: `SYNC_KEY` and `IMPORT_KEY` in sandbox.opsgenie.store, `SYNC_EMAIL` and `SYNC_TOKEN`
in sandbox.jsm.store, `READ_KEY`, `FULL_KEY` and `USER_KEY` in sandbox.pagerduty.store, `SYNC_KEY` in
sandbox.github.store.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sandbox import github, jsm, opsgenie, pagerduty
from sandbox.gateway import Gateway
from sandbox.github.seed import bulk as github_bulk
from sandbox.instants import to_nanos
from sandbox.jsm.seed import bulk as jsm_bulk
from sandbox.opsgenie.seed import bulk as opsgenie_bulk
from sandbox.pagerduty.bulk import bulk as pagerduty_bulk
from sandbox.server import run_all
from sandbox.world import World, build_world, more_outages

NAMES = ("opsgenie", "alerts", "jsm", "pagerduty", "github")


def _port(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in NAMES:
        raise ValueError(text)
    return name, int(number)


def _demo_apps(world: World) -> dict[str, Callable[[], Gateway]]:
    return {
        "opsgenie": lambda: opsgenie.create_app(opsgenie.load(world)),
        "alerts": lambda: opsgenie.create_app(
            opsgenie.load_alerts(replace(world, outages=more_outages(world, 2)))
        ),
        "jsm": lambda: jsm.create_app(jsm.load(world)),
        "pagerduty": lambda: pagerduty.create_app(pagerduty.load(world)),
        "github": lambda: github.create_app(github.load(world)),
    }


def _bulk_apps(options: argparse.Namespace) -> dict[str, Callable[[], Gateway]]:
    count, days, seed, end = options.bulk, options.days, options.seed, options.end
    return {
        "opsgenie": lambda: opsgenie.create_app(opsgenie_bulk(count, days, seed=seed, end=end)),
        "jsm": lambda: jsm.create_app(jsm_bulk(count, days, seed=seed, end=end)),
        "pagerduty": lambda: pagerduty.create_app(pagerduty_bulk(count, days, seed=seed, end=end)),
        "github": lambda: github.create_app(github_bulk(count, days, end=end)),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=NAMES,
        help="start only this service (may be repeated; default: all)",
    )
    parser.add_argument(
        "--port", action="append", type=_port, default=[], metavar="NAME=N", help="default: any free port"
    )
    parser.add_argument(
        "--ports-file", type=Path, help="written with {name: URL} as JSON once all accept connections"
    )
    parser.add_argument("--seed", type=int, default=7, help="the same seed and end give the same data")
    parser.add_argument("--end", type=to_nanos, help="last instant of the data, ISO 8601 (default: now)")
    parser.add_argument("--days", type=int, default=100, help="days of data")
    parser.add_argument("--latency-ms", type=float, default=0, help="added to every answer")
    parser.add_argument(
        "--unlimited", action="store_true", help="no rate limits, but for those that OpsGenie announces"
    )
    parser.add_argument(
        "--bulk", type=int, metavar="N", help="N incidents (deployments) for a benchmark instead of the demo"
    )
    return parser.parse_args()


def main() -> None:
    options = _options()
    if options.bulk:
        builders = _bulk_apps(options)
    else:
        builders = _demo_apps(build_world(options.seed, options.end, options.days))
    apps = {name: builders[name]() for name in builders if name in (options.only or NAMES)}
    for app in apps.values():
        app.faults.configure(latency_ms=options.latency_ms)
        if options.unlimited:
            app.limiter.configure({})
    run_all(apps, dict(options.port), options.ports_file)


if __name__ == "__main__":
    main()
