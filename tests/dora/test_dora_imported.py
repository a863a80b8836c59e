"""A PagerDuty incident is one row, before, during and after its import into OpsGenie."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dora.dora_checkout import HOUR, NOON, Checkout

ORIGINAL: dict[str, Any] = {
    "account": "pd",
    "incident_id": "P1",
    "title": "Down",
    "status": "resolved",
    "urgency": "high",
    "service_id": "PSVC",
    "service_name": "Checkout",
    "created_at": NOON,
    "acknowledged_at": NOON + HOUR,
    "resolved_at": NOON + 2 * HOUR,
    "web_url": "https://example.com/P1",
}
DETAILS = {
    "pagerduty_account": "pd",
    "pagerduty_id": "P1",
    "pagerduty_created_at": "2025-03-12T12:00:00Z",
    "pagerduty_acknowledged_at": "2025-03-12T13:00:00Z",
    "pagerduty_resolved_at": "2025-03-12T14:00:00Z",
    "pagerduty_url": "https://example.com/P1",
}
# When the import happened, and what OpsGenie says of itself.
IMPORTED: dict[str, Any] = {
    "opened": NOON + 900 * HOUR,
    "message": "Down",
    "priority": "P2",
    "details": DETAILS,
}
ROW = ("pagerduty", "pd", "P1", "Down", "resolved", "P2", NOON, NOON + HOUR, NOON + 2 * HOUR, None, 7200.0)
QUERY = (
    "select source, account, incident_id, title, status, priority, opened_at, acknowledged_at, recovered_at, "
    "closed_at, seconds_to_recover from dora.incidents"
)


def test_one_row_on_the_way_through_the_import(world: Checkout) -> None:
    world.deployment("d", NOON - HOUR)
    attribution = ("matched", "d", 1, 1)

    def holds(rows: int = 1) -> None:
        world.refresh()
        assert world.one(QUERY) == ROW
        assert world.one("select count(*) from dora.incidents") == (rows,)
        assert world.attribution("P1") == attribution

    world.put("staging.pagerduty_incidents", **ORIGINAL)
    holds()
    # OpsGenie has it, open and with its own times; then resolved; then PagerDuty is gone.
    world.incident("og", status="open", **IMPORTED)
    holds()
    world.incident("og", status="resolved", resolved_at=NOON + 901 * HOUR, **IMPORTED)
    holds()
    world.drop("staging.pagerduty_incidents", "pd", "P1")
    holds()
    # Should it have been imported twice, it is still one.
    world.incident("og2", status="open", **IMPORTED)
    holds()


def test_an_import_that_is_deleted_leaves_what_pagerduty_says(world: Checkout) -> None:
    world.put("staging.pagerduty_incidents", **ORIGINAL)
    world.incident("og", deleted_at=NOON, **IMPORTED)
    world.refresh()
    assert world.one(QUERY) == ROW
    world.drop("staging.pagerduty_incidents", "pd", "P1")
    world.refresh()
    assert world.one("select count(*) from dora.incidents") == (0,)


def test_what_was_open_goes_on_in_opsgenie(world: Checkout) -> None:
    details = {name: text for name, text in DETAILS.items() if name != "pagerduty_resolved_at"}
    world.incident("og", status="closed", closed_at=NOON + 5 * HOUR, details=details, opened=NOON + 3 * HOUR)
    world.refresh()
    assert world.one("select status, opened_at, seconds_to_recover from dora.incidents") == (
        "closed",
        NOON,
        5 * 3600,
    )


@pytest.mark.parametrize(
    "said", [{}, {"pagerduty_resolved_at": "2025-03-12T13:30:00Z"}], ids=["opsgenie", "pagerduty"]
)
def test_an_import_that_was_open_recovers_where_opsgenie_resolves_it(
    world: Checkout, said: dict[str, str]
) -> None:
    """PagerDuty is read no more: what staging has of it stays open."""
    world.put(
        "staging.pagerduty_incidents",
        **ORIGINAL | {"status": "triggered", "resolved_at": None, "acknowledged_at": None},
    )
    details = {name: text for name, text in DETAILS.items() if name != "pagerduty_resolved_at"}
    world.incident("og", **IMPORTED | {"details": details})
    query = "select status, opened_at, recovered_at from dora.incidents"
    world.refresh()
    assert world.one(query) == ("open", NOON, None)
    world.incident(
        "og", status="resolved", resolved_at=NOON + 5 * HOUR, **IMPORTED | {"details": details | said}
    )
    world.refresh()
    assert world.one(query) == ("resolved", NOON, NOON + (1.5 if said else 5) * HOUR)
    # Opened again there; then PagerDuty is read after all.
    world.incident("og", status="open", **IMPORTED | {"details": details})
    world.refresh()
    assert world.one(query) == ("open", NOON, None)
    world.put("staging.pagerduty_incidents", **ORIGINAL)
    world.refresh()
    assert world.one(query) == ("resolved", NOON, NOON + 2 * HOUR)


# PostgreSQL reads the last two, but they lie outside of the years that clients can read.
@pytest.mark.parametrize("instant", ["yesterday", "2025-02-30", "4713-01-01 BC", "9999-12-31T23:59:59-12"])
def test_details_that_no_one_can_read_do_not_stop_a_refresh(world: Checkout, instant: str) -> None:
    details = DETAILS | dict.fromkeys(("pagerduty_created_at", "pagerduty_resolved_at"), instant)
    world.incident("og", details=details)
    assert world.connection is not None
    world.connection.commit()
    world.refresh_only()
    assert world.one("select opened_at, status, recovered_at from dora.incidents") == (NOON, "open", None)


def test_merged_incidents_are_left_out(world: Checkout) -> None:
    world.put("staging.pagerduty_incidents", **ORIGINAL)
    world.refresh()
    world.put("staging.pagerduty_incidents", **ORIGINAL | {"merged_into": "P0"})
    world.refresh()
    assert world.one("select count(*) from dora.incidents") == (0,)


def test_priorities_go_through_the_mapping(world: Checkout) -> None:
    for key, priority in (("P1", "SEV-1"), ("P2", "p3"), ("P3", None)):
        world.put("staging.pagerduty_incidents", **ORIGINAL | {"incident_id": key, "priority": priority})
    query = "select array_agg(priority order by incident_id) from dora.incidents"
    world.refresh()
    assert world.one(query) == (["P2", "P3", "P2"],)
    world.put("dora.pagerduty_priorities", account="pd", pagerduty_priority="SEV-1", priority="P1")
    assert world.refresh().reason == "the priorities of pd changed"
    assert world.one(query) == (["P1", "P3", "P2"],)
