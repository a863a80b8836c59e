"""CPU time of processes with all that they start, read from /proc; standard library only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# In /proc/PID/stat, after the name: of the process, then of the children that it has waited for.
_UTIME, _STIME, _CSTIME = 11, 12, 14


def cpu_of(pid: int) -> float:
    """User and system seconds of a process and all its descendants, those that have ended included."""
    return sum(_seconds(each, _CSTIME) for each in family(pid))


def own_cpu_of(pid: int) -> float:
    """User and system seconds of a process alone."""
    return _seconds(pid, _STIME)


def family(pid: int) -> Iterator[int]:
    """The process and its living descendants."""
    yield pid
    for child in _children(pid):
        yield from family(child)


def _children(pid: int) -> list[int]:
    found = []
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            found += [int(child) for child in (thread / "children").read_text().split()]
        except OSError:
            # The thread ended meanwhile.
            continue
    return found


def _seconds(pid: int, last: int) -> float:
    try:
        # The name may contain blanks and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        # It ended meanwhile: its parent has its time.
        return 0
    return sum(map(int, fields[_UTIME : last + 1])) / _TICKS
