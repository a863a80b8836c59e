"""What is read as the incidents of an account: incidents, or the alerts that stand for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from opsgenie_provider.planning import TRAILING, Plan
from opsgenie_provider.sync.reader import Changes, Incident, IncidentWindows, Sweeper
from opsgenie_provider.warehouse.batches import Batch


@dataclass(frozen=True)
class Subject:
    """What is read as the incidents of an account, from one backend.

    :param name: what they are called, in the log and in counts.
    :param stream: what is noted of the reads; each backend that an account is read from has its own.
    :param table: the staging table that has them.
    :param begin_windows: as ``Reader.begin_windows``.
    :param begin_changes: as ``Reader.begin_changes``.
    :param read_single: as ``Reader.incident``.
    :param hidden_from_key: of ids that answer 404, those of which that says nothing.
    :param batch: a batch of them, for a plan.
    :param sweeper: as ``Reader.sweeper``.
    :param trailing: how much every run reads again.
    """

    name: str
    stream: str
    table: str
    begin_windows: Callable[[datetime, datetime], Callable[[], IncidentWindows]]
    begin_changes: Callable[[datetime, datetime, datetime], Changes]
    read_single: Callable[[str], Incident | None]
    hidden_from_key: Callable[[list[str]], set[str]]
    batch: Callable[[Plan], Batch]
    sweeper: Sweeper | None = None
    trailing: timedelta = TRAILING

    @property
    def full_read_stream(self) -> str:
        """The stream of the reads of the whole history."""
        return f"{self.stream}_full_read"
