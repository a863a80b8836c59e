"""First and hourly syncs of the same incidents from the same API by every tool, in turns; one table."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from benchmarks.sync import LATENCY_UNDER_LIMIT_MS, Api, Took, api, measured
from benchmarks.tools import Run, Tool, emptied

# What an hour brings, in the comparison: edits anywhere in the history, and new incidents.
EDITED, NEW = 0.02, 0.01
PHASES = ("first", "hourly")
# What is left of nanoseconds differs from tool to tool.
ROUNDING = timedelta(milliseconds=1)


class Cell(NamedTuple):
    """So many incidents, so many milliseconds a request; or under a limit, at 20 ms.

    :param limit: (requests a minute, requests a second).
    """

    incidents: int
    latency_ms: int
    limit: tuple[int, int] | None = None

    @property
    def api(self) -> str:
        return f"{self.limit[1]}/s, {self.limit[0]}/min" if self.limit else f"{self.latency_ms} ms"


def cell(text: str) -> Cell:
    """`5000:20` is 5,000 incidents at 20 ms a request; `5000:limit` is under 10 requests a second."""
    incidents, _, latency = text.partition(":")
    if latency == "limit":
        return Cell(int(incidents), LATENCY_UNDER_LIMIT_MS, (600, 10))
    return Cell(int(incidents), int(latency))


@dataclass(frozen=True)
class Sample:
    """One sync.

    :param missing: incidents that the API has and the table has not.
    :param stale: those that the table has in an older version.
    """

    took: Took
    requests: int
    refused: int
    rows: int
    missing: int
    stale: int


class Comparison:
    """The syncs of one cell, and what they took."""

    def __init__(self, conninfo: str, where: Cell, tools: list[Tool]) -> None:
        self._conninfo = conninfo
        self._where = where
        self._tools = [tool for tool in tools if tool.limited or where.limit is None]
        self._random = random.Random(7)
        self._failed: set[str] = set()
        self.samples: dict[tuple[str, str], list[Sample]] = {}

    def run(self, repeats: int) -> list[dict[str, Any]]:
        where = self._where
        with api(where.incidents, where.latency_ms, where.limit) as service:
            for repeat in range(repeats):
                # A sync that fails has no time worth a median: once shows what it loses.
                tools = [tool for tool in self._tools if tool.name not in self._failed]
                if not tools:
                    break
                turn = repeat % len(tools)
                self._repeat(service, [*tools[turn:], *tools[:turn]])
                print(f"  {where.incidents} incidents, {where.api}: {repeat + 1} of {repeats}", flush=True)
        return [row for phase in PHASES for row in self._rows(phase)]

    def _repeat(self, service: Api, tools: list[Tool]) -> None:
        """A first sync by each tool, then a change of the data, then an hourly sync by each."""
        with emptied(self._conninfo) as directory:
            started = time.time()
            there = service.incidents()
            for tool in tools:
                self._sync(service, tool, Run(service.url, self._conninfo, directory, started, False), there)
            ids = self._random.sample(sorted(there), round(EDITED * len(there)))
            edited = {id_: there[id_] for id_ in ids}
            made = service.change(ids, round(NEW * len(there)))
            there = service.incidents()
            for tool in tools:
                if tool.hourly:
                    run = Run(service.url, self._conninfo, directory, started, True)
                    self._sync(service, tool, run, there)
            # The next repeat begins as this one did: ours would read an hour of its edits again.
            service.undo(edited, made)

    def _sync(self, service: Api, tool: Tool, run: Run, there: dict[str, datetime]) -> None:
        service.ready()
        took = measured(tool.command(run), tool.env(run))
        if took.problem:
            self._failed.add(tool.name)
        requests, refused = service.counts()
        landed = tool.landed(self._conninfo)
        stored = dict(landed)
        sample = Sample(
            took=took,
            requests=requests,
            refused=refused,
            rows=len(landed),
            missing=len(there.keys() - stored.keys()),
            stale=sum(1 for id_, at in there.items() if id_ in stored and at - stored[id_] > ROUNDING),
        )
        self.samples.setdefault((PHASES[run.hourly], tool.name), []).append(sample)

    def _rows(self, phase: str) -> list[dict[str, Any]]:
        """A row a tool: medians, and ratios to ours where that was measured, too."""
        ours = self.samples.get((phase, "ours"))
        rows = []
        for tool in self._tools:
            if samples := self.samples.get((phase, tool.name)):
                head = {"sync": phase, "incidents": self._where.incidents, "API": self._where.api}
                rows.append(head | {"tool": tool.name} | self._figures(samples, ours))
        return rows

    def _figures(self, samples: list[Sample], ours: list[Sample] | None) -> dict[str, Any]:
        seconds, cpu = _seconds(samples), _cpu(samples)
        answered = median(sample.requests - sample.refused for sample in samples)
        allowed = answered / self._where.limit[1] if self._where.limit else None
        if any(sample.took.problem for sample in samples):
            ours = None
        return {
            "runs": len(samples),
            "requests": round(median(sample.requests for sample in samples)),
            "429s": round(median(sample.refused for sample in samples)),
            "wall s": round(seconds, 2),
            "CPU s": round(cpu, 2),
            "start s": round(median(sample.took.start for sample in samples), 1),
            "peak MB": round(median(sample.took.megabytes for sample in samples)),
            "rows": round(median(sample.rows for sample in samples)),
            # The worst of all repeats: nothing lost may hide behind a median.
            "missing": max(sample.missing for sample in samples),
            "stale": max(sample.stale for sample in samples),
            "wall/ours": round(seconds / _seconds(ours), 2) if ours else None,
            "CPU/ours": round(cpu / _cpu(ours), 2) if ours else None,
            "wall/allowed": round(seconds / allowed, 2) if allowed else None,
        }

    def problems(self) -> list[str]:
        """What went wrong, once each."""
        where = self._where
        return sorted(
            {
                f"{name}, {phase} sync of {where.incidents} at {where.api}: {sample.took.problem}"
                for (phase, name), samples in self.samples.items()
                for sample in samples
                if sample.took.problem
            }
        )


def _seconds(samples: list[Sample]) -> float:
    return median(sample.took.seconds for sample in samples)


def _cpu(samples: list[Sample]) -> float:
    return median(sample.took.cpu for sample in samples)
