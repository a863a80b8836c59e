"""Whatever goes wrong on the way: nothing twice, nothing missing, nobody paged."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import pytest

from opsgenie_provider.operators.migration_base import MigrationFailedError
from sandbox import pagerduty
from sandbox.opsgenie import requests as request_queue
from sandbox.pagerduty.bulk import bulk
from tests.migration.migration import Migration
from tests.support.faults import shorten_timeouts
from tests.support.processes import Job, ProcessPool

FAULTS = ("429", "500", "503", "drop", "cut_json", "cut_body", "html", "hang")


def keep_trying(migration: Migration, runs: int = 8) -> None:
    """Runs until one ends well, as whoever triggers it would."""
    for _ in range(runs):
        try:
            migration()
        except Exception as error:
            last = error
            continue
        return
    raise last


def whole_run() -> Job:
    """A run in a process of its own, with the connections of the test."""
    connections = {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW_CONN_")}
    params = {"dry_run": False, "require_approval": False}
    return Job("pagerduty_migration", params=params, environment=connections)


def ledger_states(migration: Migration) -> Counter[str]:
    there = migration.warehouse.value("select to_regclass('migration.ledger')::text")
    return migration.states() if there else Counter()


def test_killed_at_any_moment(migration: Migration, processes: ProcessPool) -> None:
    """By the clock, again and again; then a run in peace."""
    migration.target.requests.processing_ms = 30
    migration.target.incidents.index_lag_ms = 300
    migration.target_app.faults.configure(latency_ms=10)
    migration.source_app.faults.configure(latency_ms=3)
    dice = random.Random(4)
    killed = 0
    for _ in range(6):
        process = processes.start(whole_run())
        time.sleep(dice.uniform(0.2, 1.2))
        processes.kill(process)
        code, _ = processes.wait(process)
        killed += code == -signal.SIGKILL
        # At no moment are there doubles.
        migration.imported()
    assert killed

    migration()

    migration.assert_complete()
    migration.only_get()


def test_killed_between_any_request_and_its_answer(migration: Migration, processes: ProcessPool) -> None:
    """As a write arrives; half of them are still carried out."""
    migration.target.requests.processing_polls = 1
    migration.target.incidents.index_lag_ms = 200
    dice = random.Random(5)
    caught: set[str] = set()
    killed = left = process = 0

    def hook(path: str, count: int) -> int | None:
        nonlocal left
        if "/create" in path or "/notes?" in path or "/resolve" in path or "/requests/" in path:
            left -= 1
        if left != 0:
            return None
        processes.kill(process)
        return dice.choice([None, 503])

    migration.interceptor.hook = hook
    # Until runs have ended between any two steps; where the next one does depends on the threads, too.
    steps = {"planned", "submitting", "submitted", "created", "resolved"}
    for _ in range(40):
        left = dice.randrange(2, 30)
        process = processes.start(whole_run())
        code, _ = processes.wait(process)
        killed += code == -signal.SIGKILL
        left = -1
        caught |= ledger_states(migration).keys()
        migration.imported()
        if killed >= 5 and steps <= caught:
            break
    assert killed >= 5
    assert steps <= caught

    migration()

    migration.assert_complete()
    migration.only_get()


@pytest.mark.usefixtures("impatient")
def test_one_in_a_hundred_requests_fails_on_both_sides(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration.target.incidents.index_lag_ms = 300
    for seed, app in enumerate((migration.source_app, migration.target_app)):
        shares = dict.fromkeys(FAULTS, 0.01) | {"hang": 0.002}
        app.faults.configure(probabilities=shares, hang_seconds=3, seed=seed + 1)
    shorten_timeouts(monkeypatch, lambda url: True, seconds=2)
    keep_trying(migration)
    migration.assert_complete()
    migration.only_get()
    assert any(name.startswith("fault:") for name in migration.target_app.log.counts)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", ["drop", "cut_json", "hang"])
def test_writes_whose_outcome_is_lost(
    migration: Migration, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A sixth of all writes goes wrong; of some the answer only is lost."""
    migration.target.incidents.index_lag_ms = 200
    writes = r"/create$|/notes$|/resolve$"
    migration.target_app.faults.configure(probabilities={fault: 0.15}, path=writes, hang_seconds=0.8, seed=3)
    if fault == "hang":
        shorten_timeouts(monkeypatch, lambda url: bool(re.search(writes, urlsplit(url).path)), seconds=0.5)
    keep_trying(migration, runs=25)
    migration.assert_complete()


def test_the_index_lags_behind(migration: Migration) -> None:
    migration.target.incidents.index_lag_ms = 600
    migration.target.requests.processing_polls = 2
    migration(limit=6)
    assert migration.states()["done"] == 6


def test_a_refused_incident_does_not_stop_the_others(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = list(migration.movable())
    bad = {ids[7], ids[0]}
    add = migration.target.incidents.add

    def refusing(message: str, *arguments: Any, **fields: Any) -> Any:
        if fields["details"]["pagerduty_id"] in bad:
            raise Refused
        return add(message, *arguments, **fields)

    class Refused(Exception):
        pass

    submit = request_queue.Requests.submit

    def submitting(self: Any, request_id: str, action: str, run: Any) -> None:
        def outcome() -> request_queue.Outcome:
            try:
                result: request_queue.Outcome = run()
            except Refused:
                return False, "Incident could not be created", ""
            return result

        submit(self, request_id, action, outcome)

    monkeypatch.setattr(migration.target.incidents, "add", refusing)
    monkeypatch.setattr(request_queue.Requests, "submit", submitting)
    with pytest.raises(MigrationFailedError, match="could not be created") as failure:
        migration()
    assert all(id_ in str(failure.value) for id_ in bad)
    migration.assert_complete(but=frozenset(bad))
    assert migration.states()["failed"] == 2
    assert "could not be created" in migration.row(ids[7])["reason"]

    bad.clear()
    migration()
    migration.assert_complete()


def test_a_refused_request_is_the_incident_s_own_failure(migration: Migration) -> None:
    seen = []

    def hook(path: str, count: int) -> int | None:
        if path.startswith("/v1/incidents/create"):
            seen.append(path)
            return 422 if len(seen) == 5 else None
        return None

    migration.interceptor.hook = hook
    with pytest.raises(MigrationFailedError, match="422"):
        migration()
    assert migration.states()["failed"] == 1
    migration()
    migration.assert_complete()


def test_a_key_that_is_revoked_on_the_way_stops_the_run_and_a_rerun_completes(migration: Migration) -> None:
    migration.interceptor.hook = lambda path, count: 401 if count > 60 else None
    with pytest.raises(Exception, match="401"):
        migration()
    assert migration.states()["failed"] == 0
    migration.interceptor.hook = lambda path, count: None
    migration()
    migration.assert_complete()


class TestPace:
    @pytest.fixture
    def source(self) -> pagerduty.Store:
        return bulk(120, days=20)

    def test_the_import_keeps_to_the_rate_limit_and_uses_it(self, migration: Migration) -> None:
        """Hardly a refusal, and a pace that requests sent one by one do not have.

        Left to itself it has 90 % of the limit's; here, other tests take their share of the machine.
        """
        limit = 80
        migration.target_app.limiter.configure({"Incident": {1: limit}})
        migration.target_app.faults.configure(latency_ms=20)
        migration()
        log = migration.target_app.log.snapshot()
        sent = [
            item.at
            for item in log
            if item.path.endswith(("/create", "/resolve")) or "/requests/" in item.path
        ]
        assert migration.target_app.log.counts["status:429"] <= 0.02 * len(sent)
        # Without the canary, whose requests come one by one, and the end, when few are left.
        middle = sent[4 : int(len(sent) * 0.95)]
        assert len(middle) / (middle[-1] - middle[0]) >= 0.6 * limit
        migration.assert_complete()
