"""The services, small, and what changes in them between two runs."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox import github, jsm, opsgenie, pagerduty
from sandbox.gateway import Gateway
from sandbox.github.store import SYNC_KEY as GITHUB_KEY
from sandbox.instants import Clock, to_nanos
from sandbox.jsm.store import SYNC_EMAIL, SYNC_TOKEN
from sandbox.opsgenie.store import IMPORT_KEY, SYNC_KEY
from sandbox.pagerduty.store import READ_KEY
from sandbox.server import Slot
from tests.support.server import Server
from tests.support.worlds import world_until

SERVICES = ("opsgenie", "github", "pagerduty", "target", "jsm")
# Noon: ten minutes more or less are the same day, at whose end on-call reads stop.
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
MINUTE = timedelta(minutes=1)
LATER = 120 * MINUTE
REPOSITORIES = ("acme/payments-api", "acme/checkout")
_CONNECTIONS = {
    "opsgenie": ("OPSGENIE_DEFAULT", "opsgenie_api", SYNC_KEY),
    "github": ("GITHUB_DEFAULT", "http", GITHUB_KEY),
    "pagerduty": ("PAGERDUTY_DEFAULT", "pagerduty_api", READ_KEY),
    "target": ("OPSGENIE_IMPORT", "opsgenie_api", IMPORT_KEY),
}
_OWN = """
create schema own;
create table own.deploys as select number::text as deployment_id, 'checkout' as service,
    'production' as environment, 'success' as status,
    timestamptz '{noon}' - number * interval '5 hours' as triggered_at
from generate_series(1, 20) as number
"""
_OWN_CHANGES = """
delete from own.deploys where deployment_id = '7';
update own.deploys set status = 'failure' where deployment_id = '8';
insert into own.deploys values ('x', 'checkout', 'production', 'success', '{noon}')
"""


class World:
    """The stand-ins behind the connections: of OpsGenie, GitHub, PagerDuty, the ``target`` of imports, and
    the Jira Service Management that OpsGenie's account moves to.
    """

    def __init__(self, server: Server, slots: Mapping[str, tuple[Slot, str]]) -> None:
        self.server = server
        self._slots = {name: slot for name, (slot, _) in slots.items()}
        self.urls = {name: url for name, (_, url) in slots.items()}
        clock, world = Clock(NOON), world_until(NOON, seed=11, days=12)
        self.stores: dict[str, Any] = {
            "opsgenie": opsgenie.load(world, opsgenie.Store(clock=clock, seed=11)),
            "github": github.load(world, github.Store(clock=clock)),
            "pagerduty": pagerduty.load(world, pagerduty.Store(clock=clock, seed=11), days=30, count=8),
            "target": opsgenie.Store(clock=clock, seed=12),
            "jsm": jsm.load(world, jsm.Store(clock=clock, seed=11)),
        }
        self._add_what_is_new(-5)
        source = self.stores["pagerduty"]
        last = source.incidents.add("At the last moment", next(iter(source.services)), NOON - 5 * MINUTE)
        source.incidents.resolve(last.id, NOON - 2 * MINUTE, next(iter(source.users)))
        self.apps: dict[str, Gateway] = {}
        self.serve()

    def serve(self, **stores: Any) -> None:
        """Put fresh stand-ins, without faults, behind the connections; ``stores``: with these in them."""
        self.stores |= stores
        for name in SERVICES:
            make: Any = {"github": github, "pagerduty": pagerduty, "jsm": jsm}.get(name, opsgenie)
            self.apps[name] = self._slots[name].app = make.create_app(self.stores[name])
            self.apps[name].limiter.configure({})

    def copies(self) -> dict[str, Any]:
        """Copies of all accounts as they are, with one clock."""
        return copy.deepcopy(self.stores)

    @property
    def now(self) -> datetime:
        """What time it is at the services."""
        return NOON + timedelta(microseconds=(self.stores["opsgenie"].clock() - to_nanos(NOON)) // 1000)

    def environment(self, database: str, *, moved: bool = False) -> dict[str, str]:
        """The connections and settings of a run on a database.

        :param moved: whether OpsGenie's account has moved to Jira Service Management.
        """
        place = {"host": self.server.host, "login": "postgres", "schema": database}
        found = {"AIRFLOW_CONN_POSTGRES_DEFAULT": json.dumps({"conn_type": "postgres", **place})}
        for name, (conn_id, kind, key) in _CONNECTIONS.items():
            value = {"conn_type": kind, "host": self.urls[name], "password": key}
            found[f"AIRFLOW_CONN_{conn_id}"] = json.dumps(value)
        if moved:
            site = {"host": self.urls["jsm"], "login": SYNC_EMAIL, "password": SYNC_TOKEN}
            extra = {"api_url": self.urls["jsm"]}
            value = {"conn_type": "jsm_api", **site, "extra": extra}
            found["AIRFLOW_CONN_OPSGENIE_DEFAULT"] = json.dumps(value)
        return found | {
            "OPSGENIE_PROVIDER__GITHUB_REPOSITORIES": json.dumps(REPOSITORIES),
            "OPSGENIE_PROVIDER__DEPLOYMENTS_RELATION": "own.deploys",
            "OPSGENIE_PROVIDER__REPORT_PATH": "memory://reports",
        }

    def create(self, database: str) -> None:
        """A database with nothing but the user's own deployments."""
        self.server.admin(f"create database {database}")
        with self.server.connect(database) as connection:
            connection.execute(_OWN.format(noon=NOON))  # type: ignore[arg-type]

    def _add_what_is_new(self, minutes: int) -> None:
        """An incident and deployments some minutes after noon, which a late clock does not know yet."""
        at = NOON + minutes * MINUTE
        store = self.stores["opsgenie"]
        made = store.incidents.add(f"At {minutes}", at, services=[next(iter(store.services))])
        if minutes % 20:
            store.incidents.resolve(made.id, at + 4 * MINUTE)
        for repository in REPOSITORIES:
            sha = f"{minutes + 100:040x}"
            self.stores["github"].add_deployment(repository, sha, "production", at, [("success", at)])

    def change(self) -> None:
        """Two hours pass, and every source has something new, something different and something gone."""
        store = self.stores["opsgenie"]
        store.clock.advance(LATER.total_seconds())
        gone, edited, *_ = store.incidents.all()
        store.incidents.delete(gone.id)
        store.incidents.edit(edited.id, message="Another title", updated_at=NOON + 5 * MINUTE)
        for minutes in (0, 5, 20, 60):
            self._add_what_is_new(minutes)
        store.drop_service(list(store.services)[-1])
        store.escalations.pop(next(iter(store.escalations)))

    def change_own(self, database: str) -> None:
        """The same for the user's own deployments."""
        with self.server.connect(database) as connection:
            connection.execute(_OWN_CHANGES.format(noon=NOON))  # type: ignore[arg-type]


def imported(store: opsgenie.Store) -> list[Any]:
    """What an account holds, but for the ids and times that it gives itself."""
    return sorted(
        (
            incident.message, incident.status, incident.priority, sorted(incident.tags),
            sorted(incident.details.items()),
            [note.text for note in incident.notes],
        )
        for incident in store.incidents.all()
    )  # fmt: skip
