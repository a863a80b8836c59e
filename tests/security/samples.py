"""One good payload of each kind, as the stand-ins of the services answer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.testclient import TestClient

from sandbox import github, opsgenie, pagerduty
from sandbox.github.store import SYNC_KEY as GITHUB_KEY
from sandbox.instants import Clock
from sandbox.opsgenie.store import SYNC_KEY
from sandbox.pagerduty.store import READ_KEY
from sandbox.world import World
from tests.support.webhook_senders import BODIES, GENERIC
from tests.support.worlds import world_until

REPOSITORY = "acme/checkout-app"
WEBHOOKS: Mapping[str, Any] = BODIES | {
    "generic": GENERIC | {"event_at": "2025-03-12T12:05:00Z", "pr_number": 7},
}


class Service:
    """A stand-in in process."""

    def __init__(self, app: Any, authorization: str) -> None:
        self._client = TestClient(app)
        self._headers = {"Authorization": authorization}

    def get(self, path: str, **params: Any) -> Any:
        answer = self._client.get(path, params=params, headers=self._headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


def fullest(items: list[Any]) -> Any:
    """The item that says the most."""
    return max(items, key=lambda item: len(str(item)))


def samples(now: int) -> Mapping[str, Any]:
    """Payloads by kind; ``now`` is when, in nanoseconds."""
    world = world_until(now, seed=11)
    return _opsgenie(world, now) | _pagerduty(world) | _github()


def _opsgenie(world: World, now: int) -> dict[str, Any]:
    service = Service(
        opsgenie.create_app(opsgenie.load(world, opsgenie.Store(clock=Clock(now), seed=world.seed))),
        f"GenieKey {SYNC_KEY}",
    )
    incidents = service.get("/v1/incidents", limit=100)["data"]
    timelines = [
        service.get(f"/v2/incident-timelines/{incident['id']}/entries")["data"]["entries"]
        for incident in incidents[:5]
    ]
    schedules = service.get("/v2/schedules", expand="rotation")["data"]
    schedule = fullest(schedules)
    return {
        "incident": fullest(incidents),
        "timeline entry": fullest([entry for entries in timelines for entry in entries]),
        "schedule": schedule,
        "schedule timeline": service.get(
            f"/v2/schedules/{schedule['id']}/timeline", interval=2, intervalUnit="weeks"
        )["data"],
        "service": fullest(service.get("/v1/services")["data"]),
        "team": fullest(service.get("/v2/teams")["data"]),
        "user": fullest(service.get("/v2/users")["data"]),
        "escalation": fullest(service.get("/v2/escalations")["data"]),
    }


def _pagerduty(world: World) -> dict[str, Any]:
    store = pagerduty.load(world, days=100, count=30)
    service = Service(pagerduty.create_app(store), f"Token token={READ_KEY}")
    noted = next(incident.id for incident in store.incidents.all() if incident.notes)
    return {
        "pagerduty incident": fullest(service.get("/incidents", date_range="all", limit=100)["incidents"]),
        "log entry": fullest(service.get(f"/incidents/{noted}/log_entries")["log_entries"]),
        "note": fullest(service.get(f"/incidents/{noted}/notes")["notes"]),
        "pagerduty service": fullest(service.get("/services")["services"]),
        "priority": fullest(service.get("/priorities")["priorities"]),
    }


def _github() -> dict[str, Any]:
    store = github.Store()
    store.add_repository(REPOSITORY)
    times = [f"2026-03-02T1{hour}:00:00Z" for hour in range(3)]
    made = store.add_deployment(
        REPOSITORY, "a" * 40, "production", times[0], [("in_progress", times[1]), ("success", times[2])]
    )
    store.add_pull(REPOSITORY, 7, ["a" * 40], times[0], title="Faster checkout")
    service = Service(github.create_app(store), f"Bearer {GITHUB_KEY}")
    base = f"/repos/{REPOSITORY}"
    return {
        "deployment": service.get(f"{base}/deployments")[0],
        "deployment status": fullest(service.get(f"{base}/deployments/{made.id}/statuses")),
        "pull request": service.get(f"{base}/commits/{'a' * 40}/pulls")[0],
    }
