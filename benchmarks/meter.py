"""What a piece of work costs, measured alike in every tool's own environment: Python's modules only."""

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
    """The most memory that this process had; ru_maxrss would begin with what its parent had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the peak of memory is read from /proc, so on Linux only")


def report(work: Callable[[], str | None]) -> None:
    """Do the work and print, as the last line, what it took and what, as it says, went wrong."""
    started, cpu = time.perf_counter(), cpu_seconds()
    problem = work()
    took = {
        "seconds": time.perf_counter() - started,
        "cpu": cpu_seconds() - cpu,
        "megabytes": peak_megabytes(),
        "problem": problem,
    }
    print(json.dumps(took), flush=True)
