"""Special cases among the demo's outages: each is one that a reader of the data must handle correctly."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox import company
from sandbox.instants import MINUTE

if TYPE_CHECKING:
    from sandbox.world import Outage


def _reopened(outage: Outage) -> None:
    """Reopened, with a stale impactEndDate."""
    assert outage.resolved_at is not None
    outage.reopened_at, outage.closed_at = outage.resolved_at + 17 * MINUTE, None


def _closed_only(outage: Outage) -> None:
    """Closed directly from open: no end of impact, no IncidentResolved in the timeline."""
    outage.resolved_at = None


def _edited_end(outage: Outage) -> None:
    assert outage.resolved_at is not None
    outage.impact_end = outage.opened_at + (outage.resolved_at - outage.opened_at) // 2 // MINUTE * MINUTE


def _edited_start(outage: Outage) -> None:
    outage.impact_start = (outage.opened_at - 25 * MINUTE) // MINUTE * MINUTE


def _end_before_start(outage: Outage) -> None:
    """The end of impact was edited to before its start."""
    outage.impact_end = (outage.opened_at - 40 * MINUTE) // MINUTE * MINUTE


def _two_services(outage: Outage) -> None:
    other = "auth" if outage.services != ["auth"] else "search"
    outage.services.append(other)


def _no_service(outage: Outage) -> None:
    outage.services, outage.cause = [], None


def _deleted_service(outage: Outage) -> None:
    team, name = company.DELETED_SERVICE
    outage.services, outage.teams, outage.cause = [name], [team], None


def _long_timeline(outage: Outage) -> None:
    """More timeline entries than a page of 20."""
    outage.chatter = 45


def _nobody_paged(outage: Outage) -> None:
    outage.teams, outage.people, outage.acked_at = [], [], None


#: (change, number of outages that it is applied to)
CASES: tuple[tuple[Callable[[Outage], None], int], ...] = (
    (_reopened, 3),
    (_closed_only, 5),
    (_edited_end, 2),
    (_edited_start, 2),
    (_end_before_start, 1),
    (_two_services, 5),
    (_no_service, 4),
    (_deleted_service, 3),
    (_long_timeline, 1),
    (_nobody_paged, 2),
)
