"""What the parts of an account's sync share."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from opsgenie_provider.api.errors import PlanError, UnknownShapeError
from opsgenie_provider.api.listing import Listing
from opsgenie_provider.rows.alerts import AlertRules
from opsgenie_provider.sync.key import Key
from opsgenie_provider.sync.reader import Reader
from opsgenie_provider.warehouse.connection import Connection
from opsgenie_provider.warehouse.progress import RunProgress
from opsgenie_provider.warehouse.state import keep_rejected

log = logging.getLogger(__name__)


class Params(NamedTuple):
    """The params of a run, as ``dags.opsgenie_sync`` describes them."""

    since: str | None = None
    until: str | None = None
    full_refresh: bool = False
    history_days: int = 90


@dataclass
class Result:
    """What a part has done so far: counts by name, and what the key may not read, in words."""

    counts: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)


def counts_text(counts: Mapping[str, int]) -> str:
    """Counts as words for the log: "3 rows changed, 12 deferred to the next run"."""
    words = {"deferred": "deferred to the next run"}
    return ", ".join(f"{count} {words.get(what, what.replace('_', ' '))}" for what, count in counts.items())


@dataclass
class AccountRun:
    """An account while it is read.

    :param connection: in autocommit; it holds the account's lock.
    :param executor: runs requests beside the work on the warehouse.
    :param now: when this try began, by our clock.
    :param alerts: which alerts are the incidents; None: incidents are.
    :param listings: the lists that were asked for at the start, by name.
    """

    account: str
    reader: Reader
    params: Params
    connection: Connection
    executor: ThreadPoolExecutor
    key: Key
    progress: RunProgress
    now: datetime
    alerts: AlertRules | None = None
    listings: dict[str, Future[Listing]] = field(default_factory=dict)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction of the one connection."""
        with self.connection.transaction():
            yield self.connection

    def is_done(self, step: str) -> bool:
        """Whether an earlier try of this run did a step."""
        if step in self.progress.steps_done:
            log.info("%s: %s was read by an earlier try of this run.", self.account, step)
            return True
        return False

    def keep_unknown_shape(self, stream: str, error: Exception) -> None:
        """Keep an answer of an undocumented shape: it is never taken for an empty list."""
        if isinstance(error, UnknownShapeError):
            rejected = [(error.payload, str(error))]
            keep_rejected(self.connection, self.account, f"{self.reader.backend}_{stream}", rejected)

    def begin_listing(self, name: str) -> None:
        """Ask for a list that is not read yet."""
        if name not in self.progress.steps_done:
            self.listings[name] = self.executor.submit(self.reader.listing, name)

    def expected_refusals(self) -> int:
        """How many requests for lists were refused for the account's plan, which says nothing about the key:
        a plan without incidents has no services, either.
        """
        if self.alerts is None:
            return 0
        errors = (listing.exception() for listing in self.listings.values())
        # A list that is read by way of another fails with that one's error.
        return len({id(error) for error in errors if isinstance(error, PlanError)})

    def listing(self, name: str) -> Listing:
        """A list of the account."""
        return self.listings[name].result() if name in self.listings else self.reader.listing(name)
