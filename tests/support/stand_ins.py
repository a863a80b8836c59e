"""OpsGenie, PagerDuty and GitHub with one story, and keys that nothing else is called."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest
from starlette.types import ASGIApp

from sandbox import github, opsgenie, pagerduty
from sandbox.github.store import Token
from sandbox.opsgenie.store import CONFIG, READ
from sandbox.server import Slot, serve
from tests.support.worlds import world_until

# Each of the form that its service gives its keys.
OPSGENIE_KEY = "ca9a4e00-5ec2-4e75-8bad-0c0ffee0feed"
IMPORT_KEY = "ca9a4e01-5ec2-4e75-8bad-0c0ffee0feed"
PAGERDUTY_KEY = "y_CANARYnbvfre34567u"
GITHUB_TOKEN = "github_pat_CANARY11AAQWSXEDCRFV"
CONNECTIONS = {
    "opsgenie_default": ("opsgenie_api", "opsgenie", OPSGENIE_KEY),
    "opsgenie_import": ("opsgenie_api", "opsgenie", IMPORT_KEY),
    "pagerduty_default": ("pagerduty_api", "pagerduty", PAGERDUTY_KEY),
    "github_default": ("http", "github", GITHUB_TOKEN),
}
REPOSITORY = "acme/checkout"


class Services:
    """The stand-ins, each at its address; what answers there may be replaced."""

    def __init__(self, stack: ExitStack) -> None:
        story = world_until(seed=5, days=30)
        stores = (opsgenie.load(story), pagerduty.load(story), github.load(story))
        stores[0].keys = {
            OPSGENIE_KEY: opsgenie.Key("sync", frozenset({READ, CONFIG})),
            IMPORT_KEY: opsgenie.Key("import"),
        }
        stores[1].keys = {PAGERDUTY_KEY: pagerduty.Key("read")}
        stores[2].tokens = {GITHUB_TOKEN: Token("sync")}
        self._apps: dict[str, ASGIApp] = {
            "opsgenie": opsgenie.create_app(stores[0]),
            "pagerduty": pagerduty.create_app(stores[1]),
            "github": github.create_app(stores[2]),
        }
        self.slots = {name: Slot(app) for name, app in self._apps.items()}
        self.urls = {name: stack.enter_context(serve(slot)) for name, slot in self.slots.items()}

    def app(self, name: str) -> ASGIApp:
        """The stand-in itself, whatever is in its place."""
        return self._apps[name]

    def replace(self, app: ASGIApp) -> None:
        """Put something else in the place of all of them."""
        for slot in self.slots.values():
            slot.app = app

    def restore(self) -> None:
        """Put each back in its place."""
        for name, slot in self.slots.items():
            slot.app = self._apps[name]

    def connect(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make Airflow's connections to them, and say which repository to read."""
        for name, (kind, service, key) in CONNECTIONS.items():
            value = {"conn_type": kind, "host": self.urls[service], "password": key}
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(value))
        monkeypatch.setenv("OPSGENIE_PROVIDER__GITHUB_REPOSITORIES", json.dumps([REPOSITORY]))
