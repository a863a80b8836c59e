"""Bodies of webhooks as rows, and events of a deployment in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsgenie_provider.rows.deployment_events import Deployment, Event, MergedDeployment, merge_event
from opsgenie_provider.rows.deployments import deployment_row
from opsgenie_provider.rows.tables import DEPLOYMENTS
from opsgenie_provider.rows.webhook import (
    Ignored,
    WrongFieldsError,
    generic_event,
    github_event,
    gitlab_event,
)
from opsgenie_provider.settings import Repository
from tests.unit.web.webhook_bodies import GENERIC, GITHUB, GITLAB, changed

NOON = datetime(2025, 3, 12, 12, tzinfo=UTC)
FIVE = NOON + timedelta(minutes=5)


def github(payload: Any, name: str = "deployment_status", *repositories: Repository) -> Event | Ignored:
    return github_event(name, payload, "{}", repositories)


def gitlab(payload: Any, *environments: str) -> Event | Ignored:
    return gitlab_event(payload, "{}", environments or ("production", "prod"))


READERS: dict[str, Callable[[Any], Event | Ignored]] = {
    "github": github,
    "gitlab": gitlab,
    "generic": lambda payload: generic_event(payload, "{}"),
}


def test_the_columns_are_those_of_the_table() -> None:
    assert Deployment._fields == DEPLOYMENTS.columns


def test_github() -> None:
    assert github(GITHUB) == Event(
        Deployment(
            source="github",
            deployment_id="145988746",
            service="checkout-app",
            environment="production",
            status="success",
            triggered_at=NOON,
            finished_at=FIVE,
            commit_sha="f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
            repository="acme/checkout-app",
            url="https://github.example/runs/1",
        ),
        at=FIVE,
    )


def test_github_says_what_the_sync_says() -> None:
    event = github(GITHUB)
    assert isinstance(event, Event)
    read = deployment_row(
        msgspec.Raw(msgspec.json.encode(GITHUB["deployment"])),
        [msgspec.Raw(msgspec.json.encode(GITHUB["deployment_status"]))],
        None,
        repository="acme/checkout-app",
    )
    assert event.deployment[:-1] == read[:-1]


def test_a_github_deployment_that_has_no_status_yet() -> None:
    event = github(GITHUB, "deployment")
    assert isinstance(event, Event)
    assert (event.at, event.deployment.status, event.deployment.finished_at) == (NOON, "pending", None)


def test_the_settings_say_service_and_spelling_of_a_repository() -> None:
    configured = Repository(repository="Acme/Checkout-App", service="checkout", environments=["PRODUCTION"])
    event = github(GITHUB, "deployment_status", Repository(repository="acme/other"), configured)
    assert isinstance(event, Event)
    assert (event.deployment.service, event.deployment.repository) == ("checkout", "Acme/Checkout-App")
    other = github(changed("github", deployment__environment="staging"), "deployment_status", configured)
    assert isinstance(other, Ignored)


@pytest.mark.parametrize(
    ("name", "payload"),
    [("push", GITHUB), ("deployment", GITHUB | {"action": "deleted"}), ("workflow_run", {})],
)
def test_what_github_sends_besides(name: str, payload: Any) -> None:
    assert isinstance(github(payload, name), Ignored)


def test_gitlab() -> None:
    assert gitlab(GITLAB) == Event(
        Deployment(
            source="gitlab",
            deployment_id="30/15",
            service="checkout",
            environment="production",
            status="success",
            triggered_at=FIVE,
            finished_at=FIVE,
            commit_sha="279484c09fbe69ededfced8c1bb6e6d24616b468",
            repository="acme/shop/checkout",
            url="https://gitlab.example/acme/checkout/-/jobs/796",
        ),
        at=FIVE,
        starts_here=True,
    )


@pytest.mark.parametrize(
    ("name", "tier", "environments", "stored"),
    [
        ("gprd", "production", ("production",), "production"),
        ("gprd", "production", ("gprd",), "gprd"),
        ("gprd", "production", ("gprd", "production"), "gprd"),
        ("review/1", "development", ("production",), "review/1"),
        ("gprd", None, ("production",), "gprd"),
    ],
)
def test_the_environment_of_gitlab(name: str, tier: str | None, environments: Any, stored: str) -> None:
    event = gitlab(changed("gitlab", environment=name, environment_tier=tier), *environments)
    assert isinstance(event, Event)
    assert event.deployment.environment == stored


@pytest.mark.parametrize(
    "at", ["2025-03-12 14:05:00 +0200", "2025-03-12 12:05:00 UTC", "2025-03-12T12:05:00.000Z"]
)
def test_the_times_of_gitlab(at: str) -> None:
    event = gitlab(changed("gitlab", status_changed_at=at))
    assert isinstance(event, Event)
    assert event.at == FIVE


@pytest.mark.parametrize("status", ["created", "blocked", "skipped", "approved", "rejected"])
def test_a_gitlab_deployment_that_has_not_begun(status: str) -> None:
    assert isinstance(gitlab(changed("gitlab", status=status)), Ignored)


def test_what_gitlab_sends_besides() -> None:
    assert isinstance(gitlab({"object_kind": "push"}), Ignored)
    event = gitlab(changed("gitlab", deployable_url=None, commit_url=None, status="failed"))
    assert isinstance(event, Event)
    deployment = event.deployment
    assert (deployment.commit_sha, deployment.url, deployment.finished_at) == ("279484c0", None, None)


def test_generic() -> None:
    event = generic_event(GENERIC, "{}")
    assert event == Event(
        Deployment(
            source="webhook",
            deployment_id="release-42",
            service="checkout",
            environment="production",
            status="success",
            triggered_at=NOON,
            finished_at=FIVE,
            commit_sha="abc123",
            pr_number=7,
            pr_title="Faster checkout",
        ),
        at=FIVE,
    )


def test_when_a_generic_event_happened() -> None:
    bare = changed("generic", event_at=None)
    assert generic_event(bare, "{}").at == NOON
    assert generic_event(bare, "{}").deployment.finished_at is None
    assert generic_event(bare | {"finished_at": "2025-03-12T12:05:00Z"}, "{}").at == FIVE


@pytest.mark.parametrize(
    ("sender", "wrong", "fields"),
    [
        ("github", {"deployment__created_at": "2025-03-12T12:00:00"}, ["deployment.created_at"]),
        ("github", {"deployment_status__state": "great"}, ["deployment_status.state"]),
        (
            "github",
            {"deployment__id": True, "repository__full_name": "x"},
            ["deployment.id", "repository.full_name"],
        ),
        ("github", {"deployment": [], "deployment_status": None}, ["deployment", "deployment_status"]),
        ("gitlab", {"status": "great"}, ["status"]),
        ("gitlab", {"status": ["created"]}, ["status"]),
        ("gitlab", {"status_changed_at": 1741780800}, ["status_changed_at"]),
        ("gitlab", {"project__id": None, "deployment_id": None}, ["deployment_id", "project.id"]),
        ("generic", {"status": "great", "pr_number": "7"}, ["status", "pr_number"]),
        ("generic", {"comit_sha": "x"}, ["comit_sha"]),
        ("generic", {"service": " "}, ["service"]),
        ("generic", {"service": "x" * 256}, ["service"]),
        ("generic", {"service": "\U0001f9c0" * 126}, ["service"]),
        ("generic", {"repository": "x" * 501}, ["repository"]),
        ("generic", {"pr_number": 2**63}, ["pr_number"]),
        ("generic", {"triggered_at": "9999-12-31T23:59:59Z"}, ["triggered_at"]),
        ("generic", {"triggered_at": "0001-01-01T00:00:00+14:00"}, ["triggered_at"]),
        ("generic", {"event_at": "yesterday"}, ["event_at"]),
    ],
)
def test_every_wrong_field_is_named(sender: str, wrong: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(WrongFieldsError) as caught:
        READERS[sender](changed(sender, **wrong))
    assert caught.value.fields == fields
    assert len(str(caught.value)) < 300


def test_missing_fields_are_named() -> None:
    with pytest.raises(WrongFieldsError) as caught:
        generic_event({}, "{}")
    assert caught.value.fields == ["deployment_id", "service", "environment", "status", "triggered_at"]
    with pytest.raises(WrongFieldsError, match="X-GitHub-Event"):
        github(GITHUB, "")


def test_each_entry_of_a_repository_has_its_environments() -> None:
    entries = [
        Repository(repository="acme/checkout-app", service="web", environments=["Production – web"]),
        Repository(repository="Acme/Checkout-App", service="docs", environments=["Production – docs"]),
    ]
    found = {}
    for environment in ("production – WEB", "Production – docs", "production"):
        event = github(changed("github", deployment__environment=environment), "deployment_status", *entries)
        found[environment] = event.deployment.service if isinstance(event, Event) else None
    assert found == {"production – WEB": "web", "Production – docs": "docs", "production": None}


def github_story(*events: tuple[str, int]) -> Deployment:
    """What is known of a deployment after these states, each at its minute."""
    known: MergedDeployment | None = None
    for state, minute in events:
        body = changed(
            "github",
            deployment_status__state=state,
            deployment_status__created_at=(NOON + timedelta(minutes=minute)).isoformat(),
        )
        event = github_event("deployment_status", body, msgspec.json.encode(body).decode(), ())
        assert isinstance(event, Event)
        known = merge_event(known, event) if known else MergedDeployment(event.deployment, event.at)
    assert known is not None
    return known.deployment


def test_the_webhook_knows_when_an_approved_deployment_went_on() -> None:
    waited, queued, done = ("waiting", 1), ("queued", 10), ("success", 15)
    for order in ([waited, queued, done], [queued, waited, done]):
        assert github_story(*order).triggered_at == NOON + timedelta(minutes=10)
    assert github_story(queued, done).triggered_at == NOON
    assert github_story(waited).triggered_at == NOON


def test_a_failure_that_is_put_out_of_use_stays_a_failure() -> None:
    for order in permutations([("in_progress", 1), ("failure", 2), ("inactive", 3)]):
        assert github_story(*order).status == "failure"


def deployment(status: str, minute: int, **more: Any) -> Deployment:
    at = NOON + timedelta(minutes=minute)
    row: dict[str, Any] = {"triggered_at": at, "finished_at": at if status == "success" else None}
    return Deployment("gitlab", "1", "checkout", "production", status, **(row | {"url": f"u{minute}"} | more))


def event(status: str, minute: int, **more: Any) -> Event:
    return Event(deployment(status, minute, **more), NOON + timedelta(minutes=minute), starts_here=True)


def known_after(events: Any) -> MergedDeployment:
    first, *rest = events
    known = MergedDeployment(first.deployment, first.at)
    for each in rest:
        known = merge_event(known, each)
    return known


@given(
    st.lists(
        st.builds(
            event,
            st.sampled_from(["pending", "running", "cancelled", "failure", "success"]),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_order_and_repeats_do_not_matter(events: list[Event]) -> None:
    expected = known_after(sorted(events, key=lambda each: each.at))
    for order in permutations(events):
        found = known_after([*order, *order])
        assert not found.deployment.differs(expected.deployment)
        assert found.at == expected.at
    successes = [each for each in events if each.deployment.status == "success"]
    assert (expected.deployment.status == "success") == bool(successes)
    if successes:
        assert expected.deployment.finished_at == min(each.at for each in successes)


def test_what_an_event_does_not_say_stays() -> None:
    known = MergedDeployment(deployment("running", 0, pr_number=8, pr_title="T", commit_sha="a"), NOON)
    both = merge_event(known, event("failure", 1, pr_title="U"))
    assert both.deployment[4:] == (
        "failure", NOON, None, "a", None, 8, None, "U", "u1", "{}",
    )  # fmt: skip


def test_an_older_event_fills_gaps_only() -> None:
    known = MergedDeployment(deployment("failure", 2, commit_sha="b"), NOON + timedelta(minutes=2))
    both = merge_event(known, event("running", 1, commit_sha="a", pr_number=8))
    assert (both.deployment.status, both.deployment.commit_sha, both.deployment.pr_number) == (
        "failure",
        "b",
        8,
    )
    assert both.at == known.at


def test_a_row_without_a_time_gives_way() -> None:
    known = MergedDeployment(deployment("failure", 2), None)
    assert merge_event(known, event("running", 1)).deployment.status == "running"
    known = MergedDeployment(deployment("success", 2, finished_at=None), None)
    both = merge_event(known, event("success", 3))
    assert both.deployment.finished_at == NOON + timedelta(minutes=3)


def test_what_was_read_at_the_source_needs_no_older_event() -> None:
    known = MergedDeployment(
        deployment("failure", 2, url=None), NOON, complete_to=NOON + timedelta(minutes=2)
    )
    assert merge_event(known, event("success", 1)) == known
    assert merge_event(known, event("success", 2)).deployment.status == "success"
