"""What happens to single outages of the story: each case that a reader of the data must get right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox import company
from sandbox.instants import MINUTE

if TYPE_CHECKING:
    from sandbox.world import Outage


def _reopened(one: Outage) -> None:
    """Open again, with a stale impactEndDate."""
    assert one.resolved_at is not None
    one.reopened_at, one.closed_at = one.resolved_at + 17 * MINUTE, None


def _closed_only(one: Outage) -> None:
    """Closed straight from open: no end of impact, no resolve in the timeline."""
    one.resolved_at = None


def _edited_end(one: Outage) -> None:
    assert one.resolved_at is not None
    one.impact_end = one.opened_at + (one.resolved_at - one.opened_at) // 2 // MINUTE * MINUTE


def _edited_start(one: Outage) -> None:
    one.impact_start = (one.opened_at - 25 * MINUTE) // MINUTE * MINUTE


def _backwards(one: Outage) -> None:
    """Somebody typed an end before the start."""
    one.impact_end = (one.opened_at - 40 * MINUTE) // MINUTE * MINUTE


def _two_services(one: Outage) -> None:
    other = "auth" if one.services != ["auth"] else "search"
    one.services.append(other)


def _no_service(one: Outage) -> None:
    one.services, one.cause = [], None


def _deleted_service(one: Outage) -> None:
    team, name = company.DELETED_SERVICE
    one.services, one.teams, one.cause = [name], [team], None


def _talkative(one: Outage) -> None:
    """More timeline entries than a page of 20."""
    one.chatter = 45


def _quiet(one: Outage) -> None:
    """Nobody was paged for it."""
    one.teams, one.people, one.acked_at = [], [], None


#: (what happens, to how many outages)
CASES: tuple[tuple[Callable[[Outage], None], int], ...] = (
    (_reopened, 3),
    (_closed_only, 5),
    (_edited_end, 2),
    (_edited_start, 2),
    (_backwards, 1),
    (_two_services, 5),
    (_no_service, 4),
    (_deleted_service, 3),
    (_talkative, 1),
    (_quiet, 2),
)
