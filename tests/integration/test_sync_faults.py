"""Whatever goes wrong on the way: a run ends right or fails clearly, and the next one completes."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from opsgenie_provider.api import transport
from opsgenie_provider.api.errors import ApiError
from sandbox.opsgenie import Store
from sandbox.opsgenie.seed import bulk
from tests.support.accounts import Account, Accounts, advance, covered
from tests.support.expected_tables import differences, incident_tables, whole_account
from tests.support.faults import next_hangs, shorten_timeouts
from tests.support.postgres import Warehouse
from tests.support.processes import Job, ProcessPool
from tests.support.sync import Sync

FAULTS = ("429", "500", "503", "drop", "cut_json", "cut_body", "html", "hang")


def half_batches(warehouse: Warehouse, store: Store) -> list[str]:
    """Incidents that are stored must be so with their services and responders; the rest not at all."""
    if "opsgenie_incidents" not in warehouse.tables():
        return []
    stored = {row["incident_id"] for row in warehouse.table("opsgenie_incidents")}
    known = [incident for incident in store.incidents.all() if incident.id in stored]
    tables = incident_tables(known, timelines=False)
    del tables["opsgenie_incidents"]
    return differences(warehouse, tables)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_now_and_then(
    sync: Sync, account: Account, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    # A hang costs its time: a few are enough.
    script = [None] * 20 + ["hang"] * 3 if fault == "hang" else []
    account.app.faults.configure(
        probabilities={} if script else {fault: 0.1}, script=script, hang_seconds=0.6, seed=1
    )
    shorten_timeouts(monkeypatch, next_hangs(account.app, account.url))

    sync()

    while account.app.log.in_flight:
        time.sleep(0.01)
    assert account.app.log.counts[f"fault:{fault}"]
    assert differences(warehouse, incident_tables(account.history())) == []


@pytest.mark.usefixtures("impatient")
def test_all_faults_at_once(
    sync: Sync, account: Account, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two requests in five fail: some fail eight times running, where a task would be tried again.
    monkeypatch.setattr(transport, "MAX_ATTEMPTS", 40)
    store = account.store
    mix = dict.fromkeys(FAULTS, 0.05) | {"hang": 0.005}
    account.app.faults.configure(probabilities=mix, hang_seconds=3, seed=5)
    shorten_timeouts(monkeypatch, lambda url: True, seconds=2)
    sync()
    everything = whole_account(store, covered(account, warehouse)) | incident_tables(account.history())
    assert differences(warehouse, everything) == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("path", "fault"),
    [
        *((r"^/v1/incidents$", fault) for fault in FAULTS),
        (r"/entries$", "cut_body"),
        (r"/entries$", "429"),
        (r"/timeline$", "500"),
        (r"/timeline$", "hang"),
        (r"^/v1/services$|^/v2/users$", "html"),
        (r"^/v2/escalations$", "drop"),
    ],
)
def test_a_service_that_stays_broken_fails_the_run_clearly(
    sync: Sync,
    account: Account,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    fault: str,
) -> None:
    store = account.store
    for incident in account.history()[:-12]:
        # A short history: it is about what fails, not about how much.
        store.incidents.delete(incident.id)
    account.app.faults.configure(probabilities={fault: 1.0}, hang_seconds=0.3, path=path)

    with monkeypatch.context() as hurried:
        hurried.setattr(transport, "MAX_ATTEMPTS", 2)
        hurried.setattr(transport, "MAX_SECONDS_OF_429", 0.1)
        if fault == "hang":
            shorten_timeouts(hurried, lambda url: bool(re.search(path, urlsplit(url).path)), seconds=0.1)
        run = sync(fails=True)

    assert run.errors
    for error in run.errors:
        assert isinstance(error, ApiError)
        assert len(str(error)) < 400
    assert half_batches(warehouse, store) == []
    account.app.faults.clear()
    sync()
    assert differences(warehouse, incident_tables(account.history())) == []


@pytest.mark.usefixtures("impatient")
def test_a_limit_is_kept_to(sync: Sync, account: Account, warehouse: Warehouse) -> None:
    account.app.limiter.configure({"Incident": {1: 60, 60: 5000}, "Configuration": {1: 20}})
    sync()
    refused = account.app.log.counts["status:429"]
    assert refused <= 0.02 * account.app.log.counts["total"]
    assert differences(warehouse, incident_tables(account.history())) == []


def test_killed_at_any_moment_loses_and_doubles_nothing(
    warehouse: Warehouse,
    accounts: Accounts,
    processes: ProcessPool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Runs in a process of its own that gets SIGKILL, again and again; then a run in peace."""
    store = bulk(600)
    account = accounts.add("opsgenie_default", store)
    sync = Sync([account], monkeypatch)
    account.app.faults.configure(latency_ms=4)
    environment = {
        name: value for name, value in os.environ.items() if name.startswith(("AIRFLOW_CONN", "OPS"))
    }
    # Ten days a window and fifty timelines a batch: many transactions to be killed between and in.
    constants = {
        "opsgenie_provider.planning.WINDOW": timedelta(days=10),
        "opsgenie_provider.operators.timelines._BATCH": 50,
    }
    job = Job("opsgenie_sync", params={"history_days": 91}, environment=environment, constants=constants)
    dice = random.Random(1)
    killed = 0
    for _ in range(8):
        process = processes.start(job)
        time.sleep(dice.uniform(0.2, 0.9))
        processes.kill(process)
        code, _ = processes.wait(process)
        killed += code == -signal.SIGKILL
        assert half_batches(warehouse, store) == []
    assert killed >= 4
    account.app.faults.clear()
    advance(account, seconds=1)

    sync(history_days=91)

    assert differences(warehouse, incident_tables(store.incidents.all())) == []
    assert {request.method for request in account.requests} == {"GET"}
