"""The benchmarks run, and say what they found: at a size that measures nothing."""

from __future__ import annotations

import re
import subprocess
import sys

from benchmarks.processes import cpu_of
from tests.support import ROOT


def said(*arguments: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_syncs_and_loading() -> None:
    output = said(
        "benchmarks", "--cells", "300:0", "--tools", "ours", "bare", "--repeats", "1", "--load", "200"
    )
    # sync, incidents, API, unit, tool, runs, .. rows, missing, stale ..
    found = {(line[0], line[4]): line for line in map(str.split, output.splitlines()) if "ms" in line[3:4]}
    assert set(found) == {("first", "ours"), ("first", "bare"), ("hourly", "ours")}, output
    for (sync, _), line in found.items():
        rows, missing, stale = line[12:15]
        assert (rows, missing, stale) == ("300" if sync == "first" else "303", "0", "0"), output
    assert re.search(r"^ +200 +COPY and merge, new +[\d.]+ +[\d.]+$", output, re.MULTILINE), output


def test_refresh() -> None:
    output = said("benchmarks.dora", "--rows", "1000", "--shapes", "uniform")
    assert re.search(r"^ +an hour's worth +[\d.]+s +[\d.]+s$", output, re.MULTILINE), output
    assert re.search(r"^ +10 \+ 10 changed / full, CPU +[\d.]+$", output, re.MULTILINE), output


def test_the_cpu_time_of_processes_that_ended_is_counted() -> None:
    """A task is a process that starts and ends within the measurement."""
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    run = f"subprocess.run([sys.executable, '-c', {burn!r}])"
    parent = f"import subprocess, sys; {run}; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        measured = cpu_of(child.pid)
        child.communicate("\n")
    assert measured >= 0.3
