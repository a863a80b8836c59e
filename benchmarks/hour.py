"""The whole run: from the full hour to fresh metrics, in a real Airflow, beside a DAG of one task with dlt.

    python -m benchmarks.hour --latencies 0 20 100 --repeats 3 --idle-minutes 30
    python -m benchmarks.hour --accounts 20 --repositories 300 --latencies 20 --repeats 1 --without-dlt

Scheduler, LocalExecutor, API server and DAG processor are Airflow's own, the services are the stand-ins.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from benchmarks import idle
from benchmarks.airflow import DLT, OURS, SYNCS, Cost, Stack, in_temporary_directory
from benchmarks.environments import NoEnvironmentError, python_of
from benchmarks.sync import Api
from sandbox.company import OWNER
from sandbox.connections import repositories as company_repositories
from sandbox.summary import print_table

# What happens in an hour.
EDITED, OPENED, DEPLOYED = 5, 2, 4
# Deployments of a repository that is added to the company's own, spread over the past.
_DEPLOYMENTS, _APART = 5, timedelta(days=11)
AIMS = {"wall/dlt": 2.0, "CPU/dlt": 3.0}


def main() -> None:
    smoke = os.environ.get("SIZE") == "smoke"
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hour",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    latencies, repeats, minutes = ([20], 1, 0.5) if smoke else ([0, 20, 100], 3, 30.0)
    parser.add_argument(
        "--latencies", nargs="*", type=int, default=latencies, help="milliseconds of a request"
    )
    parser.add_argument("--repeats", type=int, default=repeats, help="hours, of which the median is shown")
    parser.add_argument("--accounts", type=int, default=1)
    parser.add_argument("--repositories", type=int, default=len(company_repositories()))
    parser.add_argument(
        "--idle-minutes", type=float, default=minutes, help="of the DAG processor; 0: not measured"
    )
    parser.add_argument("--without-dlt", action="store_true")
    options = parser.parse_args()
    # Through the context managers, which stop what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    entries = _entries(options.repositories)
    with_dlt = not options.without_dlt and _has_dlt()
    dags = (*OURS, DLT) if with_dlt else OURS
    if options.latencies:
        with in_temporary_directory(accounts=options.accounts, repositories=entries, dags=dags) as stack:
            run(stack, entries, options.latencies, options.repeats, with_dlt=with_dlt)
    if options.idle_minutes:
        print_table(*idle.table(options.idle_minutes))


def _has_dlt() -> bool:
    try:
        python_of("dlt")
    except NoEnvironmentError as error:
        print(f"dlt is left out: its environment cannot be created here ({error})", flush=True)
        return False
    return True


def _entries(count: int) -> list[dict[str, str]]:
    """The company's repositories, and more of them where these are not enough."""
    more = [{"repository": f"{OWNER}/service-{number}"} for number in range(count)]
    return (company_repositories() + more)[:count]


def run(
    stack: Stack, entries: Sequence[dict[str, str]], latencies: Sequence[int], repeats: int, *, with_dlt: bool
) -> None:
    """First syncs, then hours at each latency, ours and dlt's in turns; prints what they took."""
    _add_repositories(stack.stand_ins["github"], [entry["repository"] for entry in entries])
    began = time.time()
    stack.wait_until_read(OURS)
    costs = {("first", 0, "ours"): [stack.run(SYNCS)]}
    print(f"  first, ours: {costs['first', 0, 'ours'][0]}", flush=True)
    if with_dlt:
        stack.wait_until_read([DLT])
        first = {"first": True, "since": began - 100 * 86_400}
        costs["first", 0, "dlt"] = [stack.run([DLT], first)]
    costs["webhook", 0, "ours"] = [stack.deliver(entries[0].get("service", "")) for _ in range(repeats)]
    for latency in latencies:
        for api in stack.stand_ins.values():
            api.control("POST", "faults", {"latency_ms": 0})
        for repeat in range(repeats):
            _let_an_hour_pass(stack, entries, latency)
            turns = ["ours", "dlt"] if with_dlt else ["ours"]
            for tool in turns if repeat % 2 == 0 else reversed(turns):
                conf = {"first": False, "since": began} if tool == "dlt" else None
                cost = stack.run([DLT] if tool == "dlt" else SYNCS, conf)
                costs.setdefault(("hour", latency, tool), []).append(cost)
                print(f"  {latency} ms, {tool}: {cost}", flush=True)
    rows = [_figures(key, found, costs.get((*key[:2], "dlt"))) for key, found in costs.items()]
    title = f"From the trigger to fresh tables, medians; load of the machine now {os.getloadavg()[1]:.1f}"
    print_table(title, list(rows[0]), [list(row.values()) for row in rows])
    print("  Aims for an hour: " + ", ".join(f"{name} at most {aim:g}" for name, aim in AIMS.items()))
    parsed = stack.parse_seconds()
    print_table(
        "Reading a DAG file, the last time", ["DAG", "s"], [[n, round(s, 2)] for n, s in parsed.items()]
    )


def _figures(key: tuple[str, int, str], costs: list[Cost], dlt: list[Cost] | None) -> dict[str, Any]:
    def middle(of: list[Cost], what: str) -> float:
        return median(getattr(cost, what) for cost in of)

    run_of, latency, tool = key
    seconds, cpu = middle(costs, "seconds"), middle(costs, "all_cpu")
    return {
        "run": run_of,
        "API": f"{latency} ms",
        "tool": tool,
        "wall s": round(seconds, 1),
        "CPU s": round(cpu, 1),
        **{name: round(median(cost.cpu[name] for cost in costs), 1) for name in costs[0].cpu},
        "processes": round(middle(costs, "processes")),
        "wall/dlt": round(seconds / middle(dlt, "seconds"), 2) if dlt else None,
        "CPU/dlt": round(cpu / middle(dlt, "all_cpu"), 2) if dlt else None,
    }


def _add_repositories(github: Api, names: Sequence[str]) -> None:
    """Add those that the demo lacks, each with some deployments."""
    known = {entry["repository"] for entry in company_repositories()}
    for name in names:
        if name not in known:
            github.control("POST", "changes", {"action": "add_repository", "full_name": name})
            for number in range(1, _DEPLOYMENTS + 1):
                _deploy(github, name, datetime.now(UTC) - number * _APART)


def _deploy(github: Api, repository: str, at: datetime) -> None:
    sha = f"{random.getrandbits(160):040x}"
    deployment = {
        "action": "add_deployment", "repository": repository, "sha": sha, "environment": "production",
        "created_at": at.isoformat(), "states": [["success", at.isoformat()]],
    }  # fmt: skip
    github.control("POST", "changes", deployment)


def _let_an_hour_pass(stack: Stack, entries: Sequence[dict[str, str]], latency_ms: int) -> None:
    opsgenie, github = stack.stand_ins["opsgenie"], stack.stand_ins["github"]
    known = sorted(opsgenie.incidents())
    opsgenie.change(random.sample(known, EDITED), OPENED)
    for entry in random.sample(entries, min(DEPLOYED, len(entries))):
        _deploy(github, entry["repository"], datetime.now(UTC))
    for api in stack.stand_ins.values():
        api.control("POST", "faults", {"latency_ms": latency_ms})


if __name__ == "__main__":
    main()
