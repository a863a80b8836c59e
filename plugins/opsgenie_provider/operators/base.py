"""What the OpsGenie operators share: the account, its key's access, the client, the warehouse."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, TypedDict, cast

from airflow.sdk import BaseOperator

from opsgenie_provider.api.opsgenie import OpsgenieClient, Page
from opsgenie_provider.hooks.opsgenie import OpsgenieHook
from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.warehouse.connection import Connection, Warehouse


class Access(TypedDict):
    """What a key may read, as its validation found; plain JSON, for XCom.

    :param account: the id of the key's connection.
    :param reach: what the key sees of the account's incidents: "account", or a name for this key.
    :param configuration: whether it may read services, teams, schedules, escalations, timelines.
    :param limits: rate limits per domain as [requests, seconds].
    :param notes: what this key will not see, in words.
    """

    account: str
    reach: str
    configuration: bool
    limits: dict[str, list[list[float]]]
    notes: list[str]


class Outcome(TypedDict, total=False):
    """What a task did, for the run's summary; plain JSON."""

    account: str
    stream: str
    rows_changed: int
    rejected: int
    requests: int
    deleted: int
    left: int
    part_of: int | None
    skipped: str


class OpsgenieToPostgresOperator(BaseOperator):
    """Base of the operators that bring something of an account into staging.

    :param access: what ``OpsgenieValidateKeyOperator`` found.
    :param postgres_conn_id: the warehouse.
    :param max_requests_per_minute: a limit of your own, for all requests of the account.
    """

    template_fields: Sequence[str] = ("access", "postgres_conn_id", "max_requests_per_minute")
    ui_color = "#dbe7ff"
    stream: str

    def __init__(
        self,
        *,
        access: Access,
        postgres_conn_id: str = "postgres_default",
        max_requests_per_minute: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.access = access
        self.postgres_conn_id = postgres_conn_id
        self.max_requests_per_minute = max_requests_per_minute

    @property
    def account(self) -> str:
        return self.access["account"]

    @property
    def key_sight(self) -> str:
        """A name for what the key may read, its rights included: two keys with the same name see the same."""
        reach = self.access["reach"]
        return reach if self.access["configuration"] else f"{reach}, no configuration"

    @cached_property
    def client(self) -> OpsgenieClient:
        return OpsgenieHook(
            opsgenie_conn_id=self.account,
            limits={
                domain: [(int(limit), period) for limit, period in windows]
                for domain, windows in self.access["limits"].items()
            },
            max_requests_per_minute=self.max_requests_per_minute,
        ).client

    @cached_property
    def warehouse(self) -> Warehouse:
        return warehouse(self.postgres_conn_id)

    def turn(self, what: str) -> AbstractContextManager[Connection]:
        """Keeps two tasks from doing the same, or, under a limit of one's own, anything, at once."""
        return self.warehouse.lock(self.account if self.max_requests_per_minute else f"{self.account}:{what}")

    def outcome(self, **what: Any) -> Outcome:
        """What this task did, logged and handed on."""
        requests = self.client.transport.requests_sent
        counts = {"requests": requests, **what}
        words = [f"{value} {name.replace('_', ' ')}" for name, value in counts.items() if value is not None]
        self.log.info("%s: %s.", self.account, ", ".join(words))
        return cast(Outcome, {"account": self.account, "stream": self.stream, **counts})

    def skipped(self, why: str) -> Outcome:
        """The outcome of a task whose key may not read its objects."""
        self.log.warning("%s: skipped. %s", self.account, why)
        return Outcome(account=self.account, stream=self.stream, skipped=why)


class Progress:
    """Says every few seconds how far a long read is and how long it will take.

    :param total: how many there are; 0 where that is not known.
    """

    def __init__(self, log: Any, what: str, *, total: int, every: float = 5.0) -> None:
        self._log, self._what, self._total, self._every = log, what, total, every
        self._started = self._said = time.monotonic()
        self._done = 0

    def watch(self, pages: Iterable[Page]) -> Iterator[Page]:
        """The same pages, counted as they pass."""
        for page in pages:
            yield page
            self.advance(len(page.items))

    def advance(self, count: int) -> None:
        """Count what was read."""
        self._done += count
        now = time.monotonic()
        if now - self._said < self._every:
            return
        self._said = now
        left = (now - self._started) / max(1, self._done) * max(0, self._total - self._done)
        self._log.info("%d of %d %s, about %.0f s left.", self._done, self._total, self._what, left)


def fetched(mapped: Any) -> list[Any]:
    """The outputs of a mapped task, those that there are.

    A slice is one request; iterating asks for one more than there is and logs an error about it.
    """
    return [] if mapped is None else list(mapped[:])
