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

# Changes before an hourly sync, as shares of all incidents: edits anywhere in the history, and new incidents.
EDITED, NEW = 0.02, 0.01
PHASES = ("first", "hourly")
# Tools round nanoseconds in different ways.
ROUNDING = timedelta(milliseconds=1)


class Cell(NamedTuple):
    """A case that is measured: number of incidents, and how slow or strict the API is.

    :param latency_ms: milliseconds per request; 20 under a limit.
    :param limit: (requests per minute, requests per second), or None.
    """

    incidents: int
    latency_ms: int
    limit: tuple[int, int] | None = None

    @property
    def api(self) -> str:
        return f"{self.limit[1]}/s, {self.limit[0]}/min" if self.limit else f"{self.latency_ms} ms"


def cell(text: str) -> Cell:
    """`5000:20` is 5,000 incidents at 20 ms per request; `5000:limit` is at most 10 requests per second."""
    incidents, _, latency = text.partition(":")
    if latency == "limit":
        return Cell(int(incidents), LATENCY_UNDER_LIMIT_MS, (600, 10))
    return Cell(int(incidents), int(latency))


@dataclass(frozen=True)
class Sample:
    """The measurement of a sync.

    :param rows: rows that the tool stored.
    :param missing: incidents of the API that the table lacks.
    :param stale: incidents that the table has in an older version.
    """

    took: Took
    requests: int
    refused: int
    rows: int
    missing: int
    stale: int


class Comparison:
    """Runs the syncs of a cell and collects their measurements."""

    def __init__(self, conninfo: str, measured_cell: Cell, tools: list[Tool]) -> None:
        self._conninfo = conninfo
        self._cell = measured_cell
        self._tools = [tool for tool in tools if tool.limited or measured_cell.limit is None]
        self._random = random.Random(7)
        self._failed: set[str] = set()
        self.samples: dict[tuple[str, str], list[Sample]] = {}

    def run(self, repeats: int) -> list[dict[str, Any]]:
        cell = self._cell
        with api(cell.incidents, cell.latency_ms, cell.limit) as service:
            for repeat in range(repeats):
                # The time of a failed sync is meaningless: once is enough to see what it misses.
                tools = [tool for tool in self._tools if tool.name not in self._failed]
                if not tools:
                    break
                turn = repeat % len(tools)
                self._repeat(service, [*tools[turn:], *tools[:turn]])
                print(f"  {cell.incidents} incidents, {cell.api}: {repeat + 1} of {repeats}", flush=True)
        return [row for phase in PHASES for row in self._rows(phase)]

    def _repeat(self, service: Api, tools: list[Tool]) -> None:
        """A first sync by each tool, then a change of the data, then an hourly sync by each."""
        with emptied(self._conninfo) as directory:
            started = time.time()
            expected = service.incidents()
            for tool in tools:
                run = Run(service.url, self._conninfo, directory, started, False)
                self._sync(service, tool, run, expected)
            ids = self._random.sample(sorted(expected), round(EDITED * len(expected)))
            edited = {id_: expected[id_] for id_ in ids}
            added = service.change(ids, round(NEW * len(expected)))
            expected = service.incidents()
            for tool in tools:
                if tool.hourly:
                    run = Run(service.url, self._conninfo, directory, started, True)
                    self._sync(service, tool, run, expected)
            # The next repeat must begin like this one; our sync would read the last hour's edits again.
            service.undo(edited, added)

    def _sync(self, service: Api, tool: Tool, run: Run, expected: dict[str, datetime]) -> None:
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
            missing=len(expected.keys() - stored.keys()),
            stale=sum(1 for id_, at in expected.items() if id_ in stored and at - stored[id_] > ROUNDING),
        )
        self.samples.setdefault((PHASES[run.hourly], tool.name), []).append(sample)

    def _rows(self, phase: str) -> list[dict[str, Any]]:
        """A row per tool: medians, and ratios to ours where that was measured, too."""
        ours = self.samples.get((phase, "ours"))
        rows = []
        for tool in self._tools:
            if samples := self.samples.get((phase, tool.name)):
                head = {"sync": phase, "incidents": self._cell.incidents, "API": self._cell.api}
                rows.append(head | {"tool": tool.name} | self._figures(samples, ours))
        return rows

    def _figures(self, samples: list[Sample], ours: list[Sample] | None) -> dict[str, Any]:
        seconds, cpu = _seconds(samples), _cpu(samples)
        answered = median(sample.requests - sample.refused for sample in samples)
        allowed = answered / self._cell.limit[1] if self._cell.limit else None
        if any(sample.took.problem for sample in [*samples, *(ours or ())]):
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
            # The maximum of all repeats, because a median could hide a loss.
            "missing": max(sample.missing for sample in samples),
            "stale": max(sample.stale for sample in samples),
            "wall/ours": round(seconds / _seconds(ours), 2) if ours else None,
            "CPU/ours": round(cpu / _cpu(ours), 2) if ours else None,
            "wall/allowed": round(seconds / allowed, 2) if allowed else None,
        }

    def problems(self) -> list[str]:
        """The problems of all syncs, each once."""
        cell = self._cell
        return sorted(
            {
                f"{name}, {phase} sync of {cell.incidents} at {cell.api}: {sample.took.problem}"
                for (phase, name), samples in self.samples.items()
                for sample in samples
                if sample.took.problem
            }
        )


def _seconds(samples: list[Sample]) -> float:
    return median(sample.took.seconds for sample in samples)


def _cpu(samples: list[Sample]) -> float:
    return median(sample.took.cpu for sample in samples)
