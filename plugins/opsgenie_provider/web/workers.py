"""Threads of the package's own. Airflow's API and the tasks' heartbeats share 40, which are left to them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

RETRY_AFTER = "60"
QUEUE_TIMEOUT_SECONDS = 5.0
# More than these would not get a turn in that time anyway.
_QUEUED_PER_THREAD = 8
_P = ParamSpec("_P")
_T = TypeVar("_T")


class BusyError(Exception):
    """Too many requests are waiting for a thread."""


class WorkerPool:
    """A few threads, and a short queue for them."""

    def __init__(self, name: str, threads: int) -> None:
        self.threads = threads
        self._limiter: RunVar[CapacityLimiter] = RunVar(f"opsgenie_provider_{name}")

    async def run(self, work: Callable[[], _T]) -> _T:
        """Run what blocks in a thread of the pool.

        :raises BusyError: none has become free in time.
        """
        limiter = self._limiter.get(None)
        if limiter is None:
            limiter = CapacityLimiter(self.threads)
            self._limiter.set(limiter)
        if limiter.statistics().tasks_waiting >= self.threads * _QUEUED_PER_THREAD:
            raise BusyError
        try:
            # Work that has begun is waited for; only waiting in the queue ends with the time.
            with anyio.fail_after(QUEUE_TIMEOUT_SECONDS):
                return await to_thread.run_sync(work, limiter=limiter)
        except TimeoutError:
            raise BusyError from None

    def handler(self, function: Callable[_P, _T]) -> Callable[_P, Awaitable[_T]]:
        """A handler of FastAPI's that runs in the pool."""

        @functools.wraps(function)
        async def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            return await self.run(functools.partial(function, *args, **kwargs))

        # The FastAPI of Airflow 3.1 looks the names of annotations up in this module.
        run.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
        return run


# Each thread holds one connection at most: together no more than web/connection_pool.py has.
PAGES = WorkerPool("pages", 4)
DOWNLOADS = WorkerPool("downloads", 2)
WEBHOOK = WorkerPool("webhook", 4)
