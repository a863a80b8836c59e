"""Runs requests in threads, a bounded number ahead of whoever uses their answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Requests of a task that are sent at the same time.
THREADS = 8
# Requests submitted before their answers are needed, so that they go on while the warehouse is busy.
LOOK_AHEAD = 8 * THREADS


def prefetched(executor: ThreadPoolExecutor, items: Iterator[Item]) -> Iterator[Item]:
    """The items of an iterator, each asked for while the one before it is in use; the first one at once."""
    end = object()
    first: Future[Item | object] = executor.submit(next, items, end)

    def rest(coming: Future[Item | object]) -> Iterator[Item]:
        while (item := coming.result()) is not end:
            coming = executor.submit(next, items, end)
            yield item  # type: ignore[misc]  # it is not ``end``

    return rest(first)


def in_parallel(
    executor: ThreadPoolExecutor,
    work: Callable[[Item], Result],
    items: Iterable[Item],
    begun: Iterable[Future[Result]] = (),
) -> Iterator[Result]:
    """``executor.map`` in the order of ``items``, at most ``LOOK_AHEAD`` calls ahead of its reader.

    Memory stays flat however many items there are. An error of ``work`` is raised at its item; calls
    that have not started by then are cancelled.

    :param begun: calls under way already, whose results come first.
    """
    pending: deque[Future[Result]] = deque(begun)
    try:
        for item in items:
            pending.append(executor.submit(work, item))
            if len(pending) >= LOOK_AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
