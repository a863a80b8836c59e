"""Measures time, CPU and memory in the same way in every tool's environment: standard library only."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path


def cpu_seconds() -> float:
    """User and system time of this process and of the children it has waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_megabytes() -> float:
    """The peak memory of this process; ru_maxrss would include its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the peak memory is read from /proc, which only Linux has")


def report(work: Callable[[], str | None]) -> None:
    """Do the work and print, as the last line, its cost and the problem that it returns, as JSON."""
    started, cpu = time.perf_counter(), cpu_seconds()
    problem = work()
    took = {
        "seconds": time.perf_counter() - started,
        "cpu": cpu_seconds() - cpu,
        "megabytes": peak_megabytes(),
        "problem": problem,
    }
    print(json.dumps(took), flush=True)
