"""Deployments whose settings, repository or list change between runs, or while one is under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from opsgenie_provider.api import transport
from opsgenie_provider.compat import AirflowFailException
from opsgenie_provider.hooks.warehouse import open_warehouse
from opsgenie_provider.operators import deployments as operators
from opsgenie_provider.settings import Repository
from opsgenie_provider.sync.repository import TRAILING, trailing
from opsgenie_provider.warehouse.deployments import apply_repositories
from sandbox.gateway import Gateway
from sandbox.github.store import Store
from sandbox.server import Slot
from tests.integration.deployments import NOW, REPOSITORY, Read, ago, stored
from tests.support.accounts import Interceptor
from tests.support.postgres import Warehouse
from tests.support.readers import read_github_entries

WEB, DOCS = "Production – web", "Production – docs"


@contextmanager
def days_ago(days: float) -> Iterator[None]:
    """A sync that ran that long ago; the stand-in tells what it has all the same."""
    then = NOW - timedelta(days=days)

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return then.astimezone(tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operators, "datetime", Then)
        yield


def prepare(*entries: Repository) -> int:
    """What the first task of each DAG does with the settings."""
    with open_warehouse("postgres_default").connection() as connection:
        return apply_repositories(connection, "github_default", entries)


def services(warehouse: Warehouse) -> dict[tuple[str, str], int]:
    rows = warehouse.rows(
        "select service, environment, count(*) as number from staging.deployments group by 1, 2"
    )
    return {(row["service"], row["environment"]): row["number"] for row in rows}


@pytest.fixture
def meddler(app: Gateway, slots: list[tuple[Slot, str]]) -> Interceptor:
    """Calls a test's hook before each request."""
    slots[0][0].app = made = Interceptor(app)
    return made


def test_two_services_of_a_repository_have_their_own_history(
    github: Store, read: Read, warehouse: Warehouse
) -> None:
    for day in (1, 30, 60):
        for environment in (WEB, DOCS, "preview"):
            github.add_deployment(
                REPOSITORY, "a" * 40, environment, ago(days=day), [("success", ago(days=day))]
            )
    for _ in range(2):
        read(service="web", environments=[WEB])
        read(service="docs", environments=[DOCS])
    assert services(warehouse) == {("web", WEB): 3, ("docs", DOCS): 3}


def test_changed_settings_leave_what_a_first_run_with_them_would(
    github: Store, read: Read, warehouse: Warehouse
) -> None:
    for day in range(60):
        for environment in ("production", "staging"):
            github.add_deployment(
                REPOSITORY, "a" * 40, environment, ago(days=day), [("success", ago(days=day))]
            )
    read(environments=["production"])
    assert services(warehouse) == {("checkout-app", "production"): 60}
    # Another service, one environment more, and the name of the repository in other letters.
    name = REPOSITORY.upper()
    read(repository=name, service="shop", environments=["production", "STAGING"])
    assert services(warehouse) == {("shop", "production"): 60, ("shop", "staging"): 60}
    assert {row["repository"] for row in stored(warehouse).values()} == {name}
    # What no entry names any more goes, and is read again when one does.
    prepare(Repository(repository=REPOSITORY, environments=["staging"]))
    assert services(warehouse) == {("checkout-app", "staging"): 60}
    before = warehouse.versions()["deployments"]
    prepare(Repository(repository=REPOSITORY, environments=["staging"]))
    assert warehouse.versions()["deployments"] == before
    read(environments=["production", "staging"])
    assert services(warehouse) == {("checkout-app", "production"): 60, ("checkout-app", "staging"): 60}


def test_a_repository_that_leaves_the_settings_takes_only_what_was_read_of_it(
    github: Store, read: Read, warehouse: Warehouse
) -> None:
    github.add_deployment(REPOSITORY, "a" * 40, "production", ago(days=1))
    read(service="shop")
    insert = (
        "insert into staging.deployments "
        "(source, deployment_id, service, environment, status, triggered_at, repository, raw) "
        "values ('github', %s, 'shop', 'production', 'success', now(), %s, %s)"
    )
    warehouse.execute(insert, "by hand", REPOSITORY, "{}")
    warehouse.execute(insert, "by webhook", REPOSITORY, '{"deployment": {}}')
    prepare()
    rows = stored(warehouse)
    assert {key: row["service"] for key, row in rows.items()} == {
        "by hand": "shop",
        "by webhook": "checkout-app",
    }
    assert warehouse.value("select count(*) from staging.sync_state") == 0


def test_a_deployment_that_moved_to_a_page_already_read_is_found(
    github: Store, read: Read, warehouse: Warehouse, meddler: Interceptor
) -> None:
    made = [
        github.add_deployment(REPOSITORY, "a" * 40, "production", ago(hours=n), [("success", ago(hours=n))])
        for n in range(1, 251)
    ]
    doomed = made[:3]

    def delete_one(path: str, count: int) -> None:
        if "/deployments?" in path and "page=1" not in path.partition("per_page=100&")[2] and doomed:
            github.remove_deployment(doomed.pop().id)

    meddler.hook = delete_one
    read()
    assert not doomed
    assert {str(each.id) for each in made[3:]} <= stored(warehouse).keys()


@pytest.mark.parametrize("days", [20, 35, 100])
def test_a_success_is_seen_however_late_it_comes(
    github: Store, read: Read, warehouse: Warehouse, days: int
) -> None:
    waiting = [("waiting", ago(days=days))]
    made = github.add_deployment(REPOSITORY, "a" * 40, "production", ago(days=days), waiting)
    github.add_pull(REPOSITORY, 8, ["a" * 40], ago(days=days), title="Faster checkout")
    with days_ago(days - 1):
        read()
    assert stored(warehouse)[str(made.id)]["status"] == "pending"
    for _ in range(2):
        read()
    for state, minutes in (("queued", 30), ("in_progress", 25), ("success", 20)):
        github.add_status(made.id, state, ago(minutes=minutes))
    assert read()["rows_changed"] == 1

    row = stored(warehouse)[str(made.id)]
    assert (row["status"], row["triggered_at"]) == ("success", NOW - timedelta(minutes=30))
    assert (row["finished_at"], row["pr_number"]) == (NOW - timedelta(minutes=20), 8)
    assert read()["rows_changed"] == 0


def test_a_run_up_to_a_day_to_come_leaves_later_runs_their_work(
    github: Store, read: Read, warehouse: Warehouse
) -> None:
    read()
    for until in (ago(days=-40), "9999-12-31T23:59:59Z"):
        read(since=ago(days=1), until=until)
        read(until=until)
    # Nor does one up to a day long past, which is all that it is asked for.
    read(until=ago(days=30))
    state = warehouse.rows(
        "select watermark_at from staging.sync_state where starts_with(stream, 'deployments ')"
    )
    assert state[0]["watermark_at"] < NOW + timedelta(days=1)

    github.add_deployment(REPOSITORY, "a" * 40, "production", ago(hours=1), [("success", ago(minutes=50))])
    assert read()["rows_changed"] == 1


def test_a_run_from_a_day_on_leaves_what_changed_before_it_to_the_next(
    github: Store, read: Read, warehouse: Warehouse
) -> None:
    failed = [("failure", ago(days=20))]
    made = github.add_deployment(REPOSITORY, "a" * 40, "production", ago(days=20), failed)
    with days_ago(10):
        read()
    github.add_status(made.id, "success", ago(days=8))
    fresh = github.add_deployment(REPOSITORY, "a" * 40, "production", ago(days=9))
    read(since=ago(days=10))
    assert str(fresh.id) in stored(warehouse)
    read()
    assert stored(warehouse)[str(made.id)]["status"] == "success"


def test_a_deployment_that_is_gone_does_not_stop_the_others(
    github: Store, read: Read, warehouse: Warehouse, meddler: Interceptor
) -> None:
    made = [github.add_deployment(REPOSITORY, "a" * 40, "production", ago(days=n)) for n in (1, 2, 3)]
    read()
    before = stored(warehouse)
    made.append(github.add_deployment(REPOSITORY, "a" * 40, "production", ago(hours=1)))
    meddler.hook = lambda path, count: 404 if f"/{made[0].id}/statuses" in path else None
    github.remove_deployment(made[1].id)
    read()
    after = stored(warehouse)
    # A 404 removes nothing.
    assert after.keys() == before.keys() | {str(made[3].id)}


def test_a_success_that_the_webhook_stores_meanwhile_stays(
    github: Store, read: Read, warehouse: Warehouse, meddler: Interceptor
) -> None:
    made = github.add_deployment(
        REPOSITORY, "a" * 40, "production", ago(days=3), [("in_progress", ago(days=3))]
    )
    read(service="old")
    github.add_status(made.id, "in_progress", ago(hours=2))

    def store_success(path: str, count: int) -> None:
        # The statuses are read without the success, which is stored before they are.
        if "/statuses" in path:
            warehouse.execute(
                "update staging.deployments set status = 'success', finished_at = %s, event_at = %s, "
                "raw = %s",
                NOW, NOW, '{"deployment": {}}',
            )  # fmt: skip

    meddler.hook = store_success
    read(service="new")
    row = stored(warehouse)[str(made.id)]
    assert (row["status"], row["finished_at"], row["service"]) == ("success", NOW, "new")
    # GitHub is asked again for what only the webhook reported.
    meddler.hook = lambda path, count: None
    github.add_status(made.id, "success", ago(hours=1))
    read(service="new")
    assert stored(warehouse)[str(made.id)]["finished_at"] == NOW - timedelta(hours=1)


def test_a_renamed_repository_is_read_and_keeps_its_history(
    github: Store, read: Read, warehouse: Warehouse, app: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    made = github.add_deployment(
        REPOSITORY, "a" * 40, "production", ago(days=120), [("success", ago(days=119))]
    )
    with days_ago(110):
        read()
    github.rename_repository(REPOSITORY, "acme/shop")
    github.add_deployment("acme/shop", "b" * 40, "production", ago(days=1), [("success", ago(days=1))])
    read()
    assert "change its name in github_repositories" in caplog.text
    assert {row["repository"] for row in stored(warehouse).values()} == {REPOSITORY}
    # As the warning asks for.
    prepare(Repository(repository="acme/shop"))
    read(repository="acme/shop")
    rows = stored(warehouse)
    assert len(rows) == 2
    assert {(row["repository"], row["service"]) for row in rows.values()} == {("acme/shop", "shop")}
    assert str(made.id) in rows


@pytest.mark.parametrize("is_new_listed", [True, False])
@pytest.mark.parametrize("tasks", [1, 2])
def test_two_entries_that_are_one_repository_do_not_take_turns(
    github: Store, tables: Warehouse, app: Gateway, is_new_listed: bool, tasks: int
) -> None:
    """github/gh-gei#469: GitHub answers 301 for the old name. Both entries may have an old one."""
    github.add_repository("acme/first")
    for days in (1, 40):
        github.add_deployment(
            "acme/first", "a" * 40, "production", ago(days=days), [("success", ago(days=days))]
        )
    github.rename_repository("acme/first", "acme/second")
    github.rename_repository("acme/second", "acme/third")
    new = {"repository": "acme/Third" if is_new_listed else "acme/first", "service": "new"}
    old = {"repository": "acme/second", "service": "old"}

    def run(*entries: dict[str, Any]) -> None:
        if tasks == 1:
            return read_github_entries(entries) and None
        for entry in entries:
            others = [other for other in entries if other is not entry]
            with suppress(AirflowFailException):
                read_github_entries([entry], others)

    remedy = "renamed or transferred to acme/third.* remove the entry acme/second"
    # Two old names are seen to be one repository once both were asked for.
    for _ in range(1 if is_new_listed else 2):
        with suppress(AirflowFailException):
            run(new, old)
    assert services(tables) == {("new", "production"): 2}
    before = tables.versions()["deployments"]
    with pytest.raises(AirflowFailException, match=remedy):
        read_github_entries([old], [new])
    assert tables.versions()["deployments"] == before

    # With environments of their own, they are two services.
    run(new | {"environments": ["production"]}, old | {"environments": ["staging"]})
    # And so they are once another repository has the old name.
    github.add_repository("acme/second")
    github.add_deployment("acme/second", "a" * 40, "production", ago(days=1))
    read_github_entries([new, old])
    assert services(tables) == {("new", "production"): 2, ("old", "production"): 1}
    assert "acme/second" not in {row["repository"] for row in tables.table("github_renames")}


@pytest.mark.parametrize("days", [16, 60])
def test_a_success_after_a_failure_is_seen_though_it_comes_late(
    github: Store, read: Read, warehouse: Warehouse, days: int
) -> None:
    failed = [("failure", ago(days=days))]
    made = github.add_deployment(REPOSITORY, "a" * 40, "production", ago(days=days), failed)
    with days_ago(1.1):
        read()
    github.add_status(made.id, "success", ago(hours=2))
    read()
    assert stored(warehouse)[str(made.id)]["status"] == "success"


@pytest.mark.parametrize("hours", [1, 7, 24])
def test_older_deployments_are_listed_once_a_day_whatever_the_schedule(hours: int) -> None:
    runs = [NOW + timedelta(hours=hours * n) for n in range(241 // hours)]
    for stream in ("deployments acme/a", "deployments acme/b"):
        longer = [trailing(stream, watermark, now) > TRAILING for watermark, now in pairwise(runs)]
        assert sum(longer) in (9, 10)


@pytest.mark.parametrize("path", ["/statuses", "/pulls"])
def test_a_deployment_that_github_does_not_answer_for_stops_no_other(
    github: Store,
    read: Read,
    warehouse: Warehouse,
    meddler: Interceptor,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    """GitHub answers 502 for what takes it too long."""
    monkeypatch.setattr(transport, "_backoff", lambda state: 0.01)
    monkeypatch.setattr(transport, "MAX_ATTEMPTS", 2)
    made = [
        github.add_deployment(REPOSITORY, f"{n:040x}", "production", ago(days=n), [("success", ago(days=n))])
        for n in range(1, 5)
    ]
    names = {"/statuses": f"/{made[1].id}/statuses", "/pulls": f"/{2:040x}/pulls"}
    meddler.hook = lambda asked, count: 502 if names[path] in asked else None
    for _ in range(2):
        with pytest.raises(operators.DeploymentsFailedError, match=names[path]):
            read()
        assert stored(warehouse).keys() == {str(made[n].id) for n in (0, 2, 3)}
    meddler.hook = lambda asked, count: None
    read()
    assert len(stored(warehouse)) == 4
    # Where GitHub answers for none, not every one is asked for.
    for n in range(100, 300):
        github.add_deployment(REPOSITORY, f"{n:040x}", "production", ago(hours=1))
    asked_for: list[str] = []
    meddler.hook = lambda asked, count: (asked_for.append(asked), 502)[1] if path in asked else None
    with pytest.raises(operators.DeploymentsFailedError):
        read()
    assert len(asked_for) <= 2 * 100
