"""Runs ``pagerduty_migration`` between two stand-ins, and knows what must come of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from sandbox import opsgenie, pagerduty
from sandbox.gateway import Gateway
from sandbox.instants import to_datetime
from sandbox.opsgenie.model import Incident
from sandbox.opsgenie.store import IMPORT_KEY
from sandbox.pagerduty.model import Incident as SourceIncident
from sandbox.pagerduty.store import READ_KEY
from sandbox.server import Slot
from tests.support import tasks
from tests.support.accounts import Interceptor
from tests.support.dag_runs import DagRun, run_dag
from tests.support.postgres import Warehouse

SETTLE = 0.8
ACCOUNT = "pagerduty_default"
DAG = "pagerduty_migration"
UNATTENDED = {"dry_run": False, "require_approval": False}


class Migration:
    """Both stand-ins behind Airflow connections, the warehouse, and what must hold in the end."""

    def __init__(
        self,
        warehouse: Warehouse,
        slots: list[tuple[Slot, str]],
        source: pagerduty.Store,
        target: opsgenie.Store,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.warehouse = warehouse
        self.source, self.target = source, target
        self._monkeypatch = monkeypatch
        (slot, self.source_url), (other, self.target_url) = slots
        self.source_app: Gateway = pagerduty.create_app(source)
        self.target_app: Gateway = opsgenie.create_app(target)
        self.interceptor = Interceptor(self.target_app)
        slot.app, other.app = self.source_app, self.interceptor
        self.source_app.limiter.configure({})
        self.connect()

    def connect(self, read_key: str = READ_KEY, import_key: str | None = IMPORT_KEY) -> None:
        """Make the Airflow connections; without an import key there is none for it."""
        made = {
            "PAGERDUTY_DEFAULT": ("pagerduty_api", self.source_url, read_key),
            "OPSGENIE_IMPORT": ("opsgenie_api", self.target_url, import_key),
        }
        for name, (kind, host, key) in made.items():
            if key is None:
                self._monkeypatch.delenv(f"AIRFLOW_CONN_{name}", raising=False)
                continue
            value = {"conn_type": kind, "host": host, "password": key}
            self._monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(value))

    def __call__(self, **params: Any) -> DagRun:
        """One run, which nobody need approve; what a task fails with is raised.

        Task by task, without Airflow's bookkeeping, which takes several times as long as the tasks.
        """
        outputs = tasks.run(DAG, UNATTENDED | params)
        return DagRun(DAG, "", "success", [], list(outputs.values()))

    def by_airflow(self, **params: Any) -> DagRun:
        """The same as Airflow itself runs it."""
        run = run_dag(DAG, **UNATTENDED | params)
        if run.errors:
            raise run.errors[0]
        assert run.succeeded, run.tasks
        return run

    # --- what there is

    def imported(self) -> dict[str, Incident]:
        """OpsGenie's imported incidents by their PagerDuty id, which no two share."""
        found = [incident for incident in self.target.incidents.all() if "pagerduty-import" in incident.tags]
        by_id = {item.details["pagerduty_id"]: item for item in found}
        assert len(by_id) == len(found)
        return by_id

    def movable(self, *, include_open: bool = False) -> dict[str, SourceIncident]:
        """PagerDuty's incidents that must be moved."""
        return {
            incident.id: incident
            for incident in self.source.incidents.all()
            if incident.merged_into is None and (include_open or incident.status == "resolved")
        }

    def states(self) -> Counter[str]:
        rows = self.warehouse.rows("select state, count(*) as n from migration.ledger group by state")
        return Counter({row["state"]: row["n"] for row in rows})

    def row(self, pagerduty_id: str) -> dict[str, Any]:
        [row] = self.warehouse.rows("select * from migration.ledger where pagerduty_id = %s", pagerduty_id)
        return row

    # --- what must hold

    def assert_complete(self, *, include_open: bool = False, but: frozenset[str] = frozenset()) -> None:
        """Each incident exactly once, as it was, and nobody was paged."""
        expected = self.movable(include_open=include_open)
        imported = self.imported()
        assert imported.keys() == expected.keys() - but
        for id_, incident in imported.items():
            self._assert_same(expected[id_], incident)
        rows = self.warehouse.rows("select * from migration.ledger")
        assert {row["pagerduty_id"] for row in rows} == {
            incident.id for incident in self.source.incidents.all()
        }
        for row in rows:
            is_moved = row["pagerduty_id"] in imported
            assert row["state"] == "done" if is_moved else row["state"] in ("skipped", "failed")
            assert is_moved or row["reason"]
            if is_moved:
                assert row["opsgenie_incident_id"] == imported[row["pagerduty_id"]].id
                assert row["original_created_at"] == to_datetime(expected[row["pagerduty_id"]].created_at)
                assert row["seconds_to_recover"] == seconds(expected[row["pagerduty_id"]])
        assert self.target.pages == []
        if not but:
            self.assert_parity(expected)

    def _assert_same(self, source: SourceIncident, incident: Incident) -> None:
        assert incident.status == ("resolved" if source.status == "resolved" else "open")
        assert set(incident.tags) == {"pagerduty-import", f"pd:{source.id}"}
        assert incident.responders == incident.services == []
        assert datetime.fromisoformat(incident.details["pagerduty_created_at"]) == to_datetime(
            source.created_at
        )
        acks = [entry.at for entry in source.entries if entry.type == "acknowledge"]
        for name, at in (
            ("pagerduty_resolved_at", source.resolved_at),
            ("pagerduty_acknowledged_at", min(acks, default=None)),
        ):
            said = incident.details.get(name)
            assert (said and datetime.fromisoformat(said)) == (at and to_datetime(at))
        assert incident.details["pagerduty_number"] == str(source.number)
        assert incident.details["pagerduty_account"] == ACCOUNT
        expected = seconds(source)
        assert incident.details.get("seconds_to_recover") == (None if expected is None else str(expected))
        notes = sorted(source.notes, key=lambda note: note.at)
        assert len(incident.notes) == len(notes)
        for note, written in zip(notes, incident.notes, strict=True):
            author = self.source.users[note.user].name if note.user else note.bot
            at = to_datetime(note.at).isoformat().replace("+00:00", "Z")
            assert written.text == f"[{at} · {author}] {note.content}"

    def assert_parity(self, expected: dict[str, SourceIncident]) -> None:
        """The view has the months, counts and sums of PagerDuty on all three sides."""
        counts: Counter[Any] = Counter()
        sums: Counter[Any] = Counter()
        for item in expected.values():
            month = to_datetime(item.created_at).date().replace(day=1)
            counts[month] += 1
            sums[month] += seconds(item) or 0
        rows = {row["month"]: row for row in self.warehouse.rows("select * from migration.parity")}
        assert rows.keys() == counts.keys()
        for month, row in rows.items():
            assert row["matches"] is True
            for side in ("pagerduty", "ledger", "opsgenie"):
                assert row[f"{side}_incidents"] == counts[month]
                assert row[f"{side}_seconds"] == sums[month]

    def only_get(self) -> None:
        """PagerDuty was sent nothing but GET."""
        methods = {name for name in self.source_app.log.counts if name.startswith("method:")}
        assert methods <= {"method:GET"}


def seconds(source_incident: SourceIncident) -> Decimal | None:
    if source_incident.resolved_at is None or source_incident.resolved_at < source_incident.created_at:
        return None
    return (
        (Decimal(source_incident.resolved_at - source_incident.created_at) / 10**9)
        .normalize()
        .quantize(Decimal(1))
    )


def requests_of(app: Gateway, path: str) -> Iterator[Any]:
    return (entry for entry in app.log.snapshot() if path in entry.path)
