"""Whatever goes wrong on the way: nothing twice, nothing missing, nobody paged."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import migration_child
import pytest
from migration_harness import Migration

from hurry import hurry
from opsgenie_provider.operators.migration_base import MigrationFailedError
from sandbox import pagerduty
from sandbox.opsgenie import requests as request_queue
from sandbox.pagerduty.bulk import bulk

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


class Nursery:
    """Runs in processes of their own, one at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout
        self._child = 0

    def start(self) -> None:
        self._stdin.write("go\n")
        self._stdin.flush()
        self._child = int(self._stdout.readline())

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)

    def wait(self) -> bool:
        """Wait for the end; whether it was SIGKILL."""
        return self._stdout.readline().strip() == "True"


@contextmanager
def nursery() -> Iterator[Nursery]:
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        [sys.executable, migration_child.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    ) as process:
        yield Nursery(process)
        process.communicate()


def ledger_states(migration: Migration) -> Counter[str]:
    there = migration.warehouse.value("select to_regclass('migration.ledger')::text")
    return migration.states() if there else Counter()


def test_killed_at_any_moment(migration: Migration) -> None:
    """By the clock, again and again; then a run in peace."""
    migration.target.requests.processing_ms = 30
    migration.target.incidents.index_lag_ms = 300
    migration.target_app.faults.configure(latency_ms=10)
    migration.source_app.faults.configure(latency_ms=3)
    dice = random.Random(4)
    with nursery() as run:
        for _ in range(6):
            run.start()
            time.sleep(dice.uniform(0.2, 1.2))
            run.kill()
            run.wait()
            # At no moment are there doubles.
            migration.imported()

    migration()

    migration.assert_complete()
    migration.only_get()


def test_killed_between_any_request_and_its_answer(migration: Migration) -> None:
    """As a write arrives; half of them are still carried out."""
    migration.target.requests.processing_polls = 1
    migration.target.incidents.index_lag_ms = 200
    dice = random.Random(5)
    caught = Counter[str]()
    killed = 0
    with nursery() as run:

        def hook(path: str, count: int) -> int | None:
            nonlocal left
            if "/create" in path or "/notes?" in path or "/resolve" in path or "/requests/" in path:
                left -= 1
            if left != 0:
                return None
            run.kill()
            return dice.choice([None, 503])

        migration.meddler.hook = hook
        for _ in range(11):
            left = dice.randrange(2, 30)
            run.start()
            killed += run.wait()
            left = -1
            caught += ledger_states(migration)
            migration.imported()
    assert killed >= 5
    # Runs ended between any two steps.
    assert {"planned", "submitting", "submitted", "created", "resolved"} <= caught.keys()

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
    hurry(monkeypatch, lambda url: True, seconds=2)
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
        hurry(monkeypatch, lambda url: bool(re.search(writes, urlsplit(url).path)), seconds=0.5)
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

    migration.meddler.hook = hook
    with pytest.raises(MigrationFailedError, match="422"):
        migration()
    assert migration.states()["failed"] == 1
    migration()
    migration.assert_complete()


def test_a_key_that_is_revoked_on_the_way_stops_the_run_and_a_rerun_completes(migration: Migration) -> None:
    migration.meddler.hook = lambda path, count: 401 if count > 60 else None
    with pytest.raises(Exception, match="401"):
        migration()
    assert migration.states()["failed"] == 0
    migration.meddler.hook = lambda path, count: None
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
            one.at for one in log if one.path.endswith(("/create", "/resolve")) or "/requests/" in one.path
        ]
        assert migration.target_app.log.counts["status:429"] <= 0.02 * len(sent)
        # Without the canary, whose requests come one by one, and the end, when few are left.
        middle = sent[4 : int(len(sent) * 0.95)]
        assert len(middle) / (middle[-1] - middle[0]) >= 0.6 * limit
        migration.assert_complete()
