"""incident_history and on_call_now."""

from __future__ import annotations

from datetime import UTC, datetime

from opsgenie_provider.warehouse.connection import Connection
from tests.dora.dora_checkout import HOUR, NOON, Checkout


def on_call(world: Checkout, name: str, start: datetime, end: datetime, schedule: str = "sched") -> None:
    world.put(
        "staging.opsgenie_on_call_periods", account="us", schedule_id=schedule, rotation_id="rota", start_at=start,
        recipient_id=f"id-{name}", recipient_name=name, end_at=end,
    )  # fmt: skip


def schedule(world: Checkout) -> None:
    world.put("staging.opsgenie_services", account="us", service_id="svc", name="Checkout", team_id="team")
    world.put("staging.opsgenie_teams", account="us", team_id="team", name="Payments")
    world.put(
        "staging.opsgenie_schedules", account="us", schedule_id="sched", name="Payments rota", team_id="team"
    )
    world.put(
        "staging.opsgenie_rotations", account="us", schedule_id="sched", rotation_id="rota", name="Days"
    )


def switched_off(world: Checkout) -> None:
    world.put(
        "staging.opsgenie_schedules",
        account="us",
        schedule_id="off",
        name="Old rota",
        team_id="team",
        enabled=False,
    )


def test_history_has_the_pull_request_and_who_was_on_call(world: Checkout) -> None:
    schedule(world)
    on_call(world, "Zoe", NOON - HOUR, NOON + HOUR)
    on_call(world, "Ada", NOON, NOON + HOUR)
    on_call(world, "Left", NOON - HOUR, NOON)
    on_call(world, "Other", NOON - HOUR, NOON + HOUR, schedule="of-nobody")
    switched_off(world)
    on_call(world, "Off", NOON - HOUR, NOON + HOUR, schedule="off")
    world.deployment(
        "d",
        NOON - HOUR,
        repository="o/r",
        commit_sha="abc",
        pr_number=7,
        pr_url="https://x/7",
        pr_title="Faster",
    )
    world.incident(message="Down")
    world.incident("alone", services=())
    world.refresh()
    assert world.one(
        "select title, service, deployment_id, triggered_at, offset_seconds, repository, commit_sha, pr_number, "
        "pr_url, pr_title, on_call from dora.incident_history where incident_id = 'i'"
    ) == ("Down", "checkout", "d", NOON - HOUR, 3600, "o/r", "abc", 7, "https://x/7", "Faster", "Ada, Zoe")
    assert world.one(
        "select service, deployment_id, triggered_at, on_call from dora.incident_history where incident_id = 'alone'"
    ) == ("", None, None, None)


def test_on_call_now(world: Checkout, connection: Connection) -> None:
    schedule(world)
    now = datetime.now(UTC)
    on_call(world, "Ada", now - HOUR, now + HOUR)
    on_call(world, "Next", now + HOUR, now + 2 * HOUR)
    on_call(world, "Last", now - 2 * HOUR, now - HOUR)
    switched_off(world)
    on_call(world, "Off", now - HOUR, now + HOUR, schedule="off")
    rows = connection.execute("select * from dora.on_call_now").fetchall()
    assert rows == [("us", "Payments", "Payments rota", "Days", "Ada", now - HOUR, now + HOUR)]
