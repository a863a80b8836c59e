"""Reads the deployments of several repositories side by side; plain Python, no task.

A repository that fails stops none of the others. Only what would fail for each of them in the same way ends
the read at once: a token that is refused or used up, a GitHub or a warehouse that does not answer.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

import psycopg

from opsgenie_provider.api.concurrency import THREADS
from opsgenie_provider.api.errors import (
    ApiConnectionError,
    AuthenticationError,
    RateLimitError,
    ServerError,
)
from opsgenie_provider.api.github import GithubClient
from opsgenie_provider.settings import Repository
from opsgenie_provider.sync.repository import RepositorySync
from opsgenie_provider.warehouse.connection import Warehouse, WarehouseUnavailableError
from opsgenie_provider.warehouse.deployments import stream_of

log = logging.getLogger(__name__)

# How many repositories are read at once, each over a connection to the warehouse of its own.
CONCURRENT_REPOSITORIES = 4
# A task costs seconds of its own, whatever it does: few tasks, each of this size or more.
_REPOSITORIES_PER_TASK = 50
_MOST_TASKS = 4
# Of a token, all tasks together: GitHub allows 900 points a minute, and a GET costs one (rate limits for the
# REST API, secondary limits).
_REQUESTS_PER_MINUTE = 840

# They say nothing about the one repository that met them.
_RUN_FATAL_ERRORS = (AuthenticationError, RateLimitError, WarehouseUnavailableError, psycopg.OperationalError)
_OUTAGE_ERRORS = (ApiConnectionError, ServerError)
# After this many repositories in a row without an answer, GitHub is taken to be down.
_MOST_WITHOUT_ANSWER = 2 * CONCURRENT_REPOSITORIES
_NOT_READ = (
    f"not read: GitHub did not answer for {_MOST_WITHOUT_ANSWER} repositories in a row. The next try of the "
    "task reads it."
)


@dataclass
class Report:
    """What a read did: how many rows changed and payloads were rejected, and the errors by repository."""

    rows_changed: int = 0
    rejected: int = 0
    failed: dict[str, Exception] = field(default_factory=dict)


def split_between_tasks(repositories: Sequence[Repository]) -> list[tuple[list[Repository], int]]:
    """The repositories of each task, and how many requests it may send in a minute.

    Neighbours go to different tasks: those of one team, whose sizes are alike, may be next to each other.
    """
    count = min(_MOST_TASKS, math.ceil(len(repositories) / _REPOSITORIES_PER_TASK))
    return [
        (list(islice(repositories, first, None, count)), _REQUESTS_PER_MINUTE // count)
        for first in range(count)
    ]


def read_repositories(
    warehouse: Warehouse,
    client: GithubClient,
    entries: Sequence[Repository],
    *,
    account: str,
    now: datetime,
    others: Sequence[Repository] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> Report:
    """Bring the deployments of the repositories up to date, as ``RepositorySync.read`` says.

    :param others: the entries of the settings that other tasks read.
    :raises AuthenticationError: the token is refused; nothing more was asked.
    :raises RateLimitError: the token's requests are used up; what was read until then is stored.
    """
    report = Report()
    listed = [*entries, *others]
    stop = threading.Event()
    without_answer = 0
    with (
        ThreadPoolExecutor(THREADS, thread_name_prefix="github") as requests,
        ThreadPoolExecutor(CONCURRENT_REPOSITORIES, thread_name_prefix="repository") as readers,
    ):

        def read(entry: Repository) -> tuple[int, int]:
            if stop.is_set():
                raise CancelledError
            stream = stream_of(entry)
            with warehouse.lock(stream) as connection:
                sync = RepositorySync(
                    connection, client, requests, entry, account=account, now=now, others=listed
                )
                return sync.read(since, until)

        reads = {readers.submit(read, entry): entry for entry in entries}
        try:
            for done in as_completed(reads):
                name = stream_of(reads[done])
                try:
                    changed, rejected = done.result()
                except CancelledError:
                    report.failed.setdefault(name, ApiConnectionError(_NOT_READ))
                except _RUN_FATAL_ERRORS:
                    raise
                except Exception as error:
                    log.warning("%s failed: %s", name, error)
                    report.failed[name] = error
                    without_answer = without_answer + 1 if isinstance(error, _OUTAGE_ERRORS) else 0
                    if without_answer >= _MOST_WITHOUT_ANSWER:
                        stop.set()
                else:
                    without_answer = 0
                    log.info("%s: %d rows changed.", name, changed)
                    report.rows_changed += changed
                    report.rejected += rejected
        finally:
            stop.set()
    return report
