"""A warehouse with one service, checkout, and the shortest words to fill it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from opsgenie_provider.dora.refresh import refresh
from opsgenie_provider.dora.summary import Summary
from opsgenie_provider.warehouse.connection import Connection
from tests.dora.dora_compare import differences
from tests.dora.dora_model import Model
from tests.dora.dora_world import Rules, World, stored

NOON = datetime(2025, 3, 12, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)


class Checkout(World):
    """One service, checkout, whose id is svc."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.put("staging.opsgenie_services", account="us", service_id="svc", name="Checkout ")

    def incident(
        self,
        incident_id: str = "i",
        opened: datetime = NOON,
        services: tuple[str, ...] = ("svc",),
        **more: Any,
    ) -> None:
        row = {"status": "open", **more}
        self.put(
            "staging.opsgenie_incidents", account="us", incident_id=incident_id, created_at=opened, **row
        )
        for service_id in services:
            self.put(
                "staging.opsgenie_incident_services",
                account="us",
                incident_id=incident_id,
                service_id=service_id,
            )

    def deployment(
        self, deployment_id: str, triggered: datetime, source: str = "github", **more: Any
    ) -> None:
        row = {"service": "checkout", "environment": "production", "status": "success", **more}
        self.put(
            "staging.deployments", source=source, deployment_id=deployment_id, triggered_at=triggered, **row
        )

    def refresh(self, rules: Rules | None = None, *, full: bool = False) -> Summary:
        assert self.connection is not None
        self.connection.commit()
        rules = rules or Rules()
        summary = refresh(self.connection, rules.settings(), full=full)
        found = differences(stored(self.connection), Model(self, rules).tables())
        assert not found, found
        return summary

    def refresh_only(self, rules: Rules | None = None) -> None:
        """A refresh that is not compared with the model."""
        assert self.connection is not None
        self.connection.commit()
        refresh(self.connection, (rules or Rules()).settings())

    def attribution(self, incident_id: str = "i", service: str = "checkout") -> tuple[Any, ...]:
        """match_status, deployment id, offset in hours, candidate_count."""
        assert self.connection is not None
        row = self.connection.execute(
            "select match_status, deployment_id, offset_seconds / 3600, candidate_count "
            "from dora.incident_attribution where incident_id = %s and service = %s",
            (incident_id, service),
        ).fetchone()
        self.connection.commit()
        assert row is not None
        return tuple(row)

    def one(self, query: str) -> tuple[Any, ...]:
        assert self.connection is not None
        row = self.connection.execute(query).fetchone()  # type: ignore[arg-type]
        self.connection.commit()
        assert row is not None
        return tuple(row)
