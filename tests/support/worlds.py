"""Worlds that end now and are the same on every day but for that."""

from __future__ import annotations

import copyreg
import threading

from sandbox.instants import SECOND, Clock, When, to_nanos
from sandbox.world import World, build_world

# Any would do; on the day's own weekday, hour and date hangs how many deployments and outages there are.
_MADE_UP_AT = to_nanos("2026-03-11T20:30:00Z")
# A copied account has locks of its own.
copyreg.pickle(type(threading.RLock()), lambda lock: (threading.RLock, ()))  # type: ignore[arg-type]


def world_until(end: When | None = None, *, seed: int, days: int = 100) -> World:
    """The ``days`` before ``end`` (default: now), of which everything but the date is the seed's."""
    finish = Clock()() if end is None else to_nanos(end)
    # Whole seconds: the fractions of one are the story's.
    moved_by = (finish - _MADE_UP_AT) // SECOND * SECOND
    return build_world(seed, finish, days, moved_by=moved_by)
