"""Whole syncs from services that damage every fourth object: what was listed is stored, or rejected."""

from __future__ import annotations

import pytest

from opsgenie_provider.hooks.warehouse import open_warehouse
from opsgenie_provider.warehouse.schema import upgrade
from tests.security.vandal import Vandal
from tests.support.accounts import Account
from tests.support.postgres import Warehouse
from tests.support.readers import read_github, read_pagerduty, refresh_metrics
from tests.support.stand_ins import REPOSITORY, Services
from tests.support.sync import Sync, total

OPSGENIE = {
    r"/v1/incidents": "opsgenie_incidents",
    r"/v1/services": "opsgenie_services",
    r"/v2/teams": "opsgenie_teams",
    r"/v2/users": "opsgenie_users",
    r"/v2/schedules": "opsgenie_schedules",
    r"/v2/escalations": "opsgenie_escalations",
    r"/v2/incident-timelines/[^/]+/entries": "opsgenie_incident_timeline",
}
STATUSES = r"/repos/[^/]+/[^/]+/deployments/[^/]+/statuses"
PULLS = r"/repos/[^/]+/[^/]+/commits/[^/]+/pulls"


# What is damaged is as damaged at the next attempt.
pytestmark = pytest.mark.usefixtures("impatient")


def reasons(warehouse: Warehouse, stream: str | None = None) -> list[str]:
    """Why payloads were rejected, each once."""
    query = "select reason from staging.rejected_payloads where stream = %s or %s"
    found = [row["reason"] for row in warehouse.rows(query, stream, stream is None)]
    assert all(found)
    return found


def whole(found: list[str]) -> list[str]:
    """Those of the reasons for which a payload was rejected as a whole, and not only a part of it."""
    return [reason for reason in found if not reason.endswith("only this part is left out")]


@pytest.mark.parametrize("seed", range(4))
def test_opsgenie(seed: int, account: Account, sync: Sync, warehouse: Warehouse) -> None:
    lists = {path: ("data", "entries") if "timelines" in path else ("data",) for path in OPSGENIE}
    vandal = Vandal(account.app, lists, seed)
    account.interceptor.app = vandal  # type: ignore[assignment]

    def nothing_is_lost() -> None:
        for path, table in OPSGENIE.items():
            stored = [str(row["raw"]["id"]) for row in warehouse.table(table)]
            assert len(stored) + len(whole(reasons(warehouse, table))) == len(vandal.listed[path]), table
            assert set(stored) <= vandal.listed[path]

    run = sync()

    assert vandal.damaged > 20
    nothing_is_lost()
    assert total(run, "rejected") == len(reasons(warehouse)) > 0
    # What was rejected is known by now.
    sync(full_refresh=True)
    nothing_is_lost()
    assert refresh_metrics()["incidents"] == len(warehouse.table("opsgenie_incidents"))


@pytest.mark.parametrize("seed", range(3))
def test_pagerduty(
    seed: int,
    services: Services,
    warehouse: Warehouse,
    connections: None,
) -> None:
    upgrade(open_warehouse("postgres_default"))
    lists = {
        "/incidents": ("incidents",),
        r"(/incidents/[^/]+)?/log_entries": ("log_entries",),
        r"/incidents/[^/]+/notes": ("notes",),
        "/services": ("services",),
        "/teams": ("teams",),
        "/priorities": ("priorities",),
    }
    vandal = Vandal(services.app("pagerduty"), lists, seed)
    services.slots["pagerduty"].app = vandal

    outcome = read_pagerduty()

    assert vandal.damaged > 10
    for name in ("incidents", "services", "teams", "priorities"):
        stored = {row["raw"]["id"] for row in warehouse.table(f"pagerduty_{name}")}
        rejected = whole(reasons(warehouse, f"pagerduty_{name}"))
        assert len(stored) + len(rejected) == len(vandal.listed[f"/{name}"]), name
    # Of the incidents that are stored, every entry; an entry that was rejected may be of any.
    entries = {row["raw"]["id"] for row in warehouse.table("pagerduty_log_entries")}
    assert entries <= vandal.listed[r"(/incidents/[^/]+)?/log_entries"]
    assert outcome["rejected"] == len(reasons(warehouse)) > 0
    refresh_metrics()


@pytest.mark.parametrize("seed", range(3))
def test_github(
    seed: int,
    services: Services,
    warehouse: Warehouse,
    connections: None,
) -> None:
    upgrade(open_warehouse("postgres_default"))
    # When it was created says whether it is wanted at all.
    deployments = Vandal(
        services.app("github"),
        {r"/repos/[^/]+/[^/]+/deployments": ()},
        seed,
        spared=frozenset({("created_at",)}),
    )
    details = Vandal(deployments, {STATUSES: (), PULLS: ()}, seed)
    services.slots["github"].app = details

    outcome = read_github(REPOSITORY)

    assert deployments.damaged > 2
    assert details.damaged > 5
    stored = {str(row["raw"]["id"]) for row in warehouse.table("deployments")}
    aside = reasons(warehouse)
    # Where pull requests cannot be read, the deployment is stored without.
    alone = [reason for reason in whole(aside) if not reason.startswith("pull requests: ")]
    [listed] = deployments.listed.values()
    assert len(stored) + len(alone) == len(listed)
    assert outcome["rejected"] == len(aside) > 0
    refresh_metrics()
