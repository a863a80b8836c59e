"""Random edits to a world: few keys, services and moments, so that they meet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.dora.dora_world import Rules, World

# A Tuesday at the turn of a year: days, a Monday and a month's end are near.
BASE = datetime(2024, 12, 31, 20, tzinfo=UTC)
# White space that is not a blank, and letters that are not ASCII.
NAMES = ["checkout", "\t Checkout\u00a0", "CHECKOUT\n", "sük", "SÜK", "\u2009Sük", "s1", "S1"]
REPOSITORIES = ["example/app", "Example/App", "example/site", None]
ACCOUNTS = ["us", "eu"]
INCIDENTS = [f"i{n}" for n in range(1, 9)]
SERVICES = ["s1", "s2", "s3"]
SOURCES = ["github", "Github", "manual"]
# "The smaller" is a matter of bytes: D10 before d1, d10 before d2, é last.
DEPLOYMENTS = ["d1", "d2", "d10", "D10", "é"]
HOUR = timedelta(hours=1)


class Editor:
    """Edits of every kind, each of which keeps the warehouse's constraints."""

    def __init__(
        self,
        world: World,
        random: Random,
        *,
        incidents: list[str] = INCIDENTS,
        deployments: list[str] = DEPLOYMENTS,
    ) -> None:
        self.world = world
        self.random = random
        self.incidents = incidents
        self.deployments = deployments
        self.kinds = {
            self.incident: 6,
            self.alert: 4,
            self.link: 6,
            self.deployment: 8,
            self.pagerduty: 3,
            self.service: 2,
            self.override: 2,
            self.mapping: 2,
            self.priority: 0.5,
            self.drop: 6,
            self.clear_deployments: 0.1,
        }

    def edit(self) -> None:
        """One edit of a random kind."""
        (kind,) = self.random.choices(list(self.kinds), list(self.kinds.values()))
        kind()

    def rules(self) -> Rules:
        pick = self.random.choice
        return Rules(
            before=pick([4, 4, 2, 0, 1.5]) * HOUR,
            after=pick([4, 4, 2, 0]) * HOUR,
            direction=pick(["both", "both", "before_only"]),
            environments=pick([("production", "prod"), ("production", "prod"), ("PROD", "Staging")]),
            repositories=pick(
                [
                    (),
                    (("example/app", ()),),
                    (("Example/app", ("Staging",)), ("example/app", ("PROD",)), ("example/site", ())),
                ]
            ),
        )

    def moment(self) -> datetime:
        """Multiples of two hours meet the edges of the window, and each other; a microsecond off does not."""
        hours = self.random.randint(-40, 40) if self.random.random() < 0.2 else self.random.randint(-5, 5)
        shift = self.random.choice([0] * 8 + [1, -1])
        return BASE + 2 * hours * HOUR + timedelta(microseconds=shift)

    def maybe(self, value: Any, share: float = 0.5) -> Any:
        return value if self.random.random() < share else None

    def incident(self) -> None:
        pick = self.random.choice
        opened = self.moment()
        self.world.put(
            "staging.opsgenie_incidents",
            account=pick(ACCOUNTS),
            incident_id=pick(self.incidents),
            message=pick([None, "Down", "Slow"]),
            status=pick(["open", "resolved", "closed", "resolved", "closed", "acked", None]),
            priority=pick(["P1", "P3", "P9", None]),
            created_at=opened,
            acknowledged_at=self.maybe(self.moment()),
            # Now and then before it opened.
            resolved_at=self.maybe(opened + self.random.randint(-1, 5) * HOUR, 0.6),
            closed_at=self.maybe(opened + self.random.randint(-1, 90) * HOUR / 7),
            details=self.details(),
            web_url=self.maybe("https://example.com/1"),
            deleted_at=self.maybe(BASE, 0.1),
        )

    def alert(self) -> None:
        pick = self.random.choice
        opened = self.moment()
        self.world.put(
            "staging.opsgenie_alerts",
            account=pick(ACCOUNTS),
            # An alert and an incident may have the same id.
            alert_id=pick(self.incidents),
            message=pick([None, "CPU"]),
            status=pick(["open", "closed", "closed", "acked", None]),
            priority=pick(["P1", "P2", "high", None]),
            service=pick([*NAMES, *SERVICES, " ", None]),
            created_at=opened,
            acknowledged_at=self.maybe(self.moment()),
            closed_at=self.maybe(opened + self.random.randint(-1, 90) * HOUR / 7),
            web_url=self.maybe("https://example.com/2"),
            deleted_at=self.maybe(BASE, 0.1),
        )

    def details(self) -> dict[str, str] | None:
        """Mostly none; else those of an import, or some that only look like it."""
        kind = self.random.random()
        if kind < 0.65:
            return None
        if kind < 0.7:
            return {"pagerduty_id": "p1", "pagerduty_created_at": BASE.isoformat()}
        said = {
            "pagerduty_created_at": self.moment(),
            "pagerduty_acknowledged_at": self.moment(),
            "pagerduty_resolved_at": self.moment(),
        }
        return {
            "pagerduty_account": "pd",
            "pagerduty_id": self.random.choice(["p1", "p2", "p3"]),
            **{name: moment.isoformat() for name, moment in said.items() if self.random.random() < 0.7},
        }

    def link(self) -> None:
        pick = self.random.choice
        self.world.put(
            "staging.opsgenie_incident_services",
            account=pick(ACCOUNTS),
            incident_id=pick(self.incidents),
            service_id=pick(SERVICES),
        )

    def deployment(self) -> None:
        pick = self.random.choice
        self.world.put(
            "staging.deployments",
            source=pick(SOURCES),
            deployment_id=pick(self.deployments),
            service=pick([*NAMES * 2, " "]),
            environment=pick(["production", "Prod", "prod", "staging"]),
            status=pick(["success"] * 6 + ["failure", "running"]),
            triggered_at=self.moment(),
            commit_sha=self.maybe("abc"),
            repository=pick(REPOSITORIES),
            pr_number=self.maybe(7),
        )

    def pagerduty(self) -> None:
        pick = self.random.choice
        self.world.put(
            "staging.pagerduty_incidents",
            account="pd",
            incident_id=pick(["p1", "p2", "p3", "p4"]),
            title=self.maybe("From PagerDuty"),
            status=pick(["triggered", "acknowledged", "resolved", "resolved"]),
            urgency=pick(["high", "low", None]),
            priority=pick(["SEV1", "p2", None]),
            service_id=pick([None, "s1", "PSVC"]),
            service_name=pick([None, *NAMES]),
            created_at=self.moment(),
            resolved_at=self.maybe(self.moment()),
            merged_into=self.maybe("p9", 0.2),
        )

    def service(self) -> None:
        pick = self.random.choice
        self.world.put(
            "staging.opsgenie_services",
            account=pick(ACCOUNTS),
            service_id=pick(SERVICES),
            # No deployment is of "idle".
            name=pick([*NAMES, "idle", None]),
        )

    def override(self) -> None:
        pick = self.random.choice
        named = self.maybe((pick(SOURCES), pick(self.deployments)), 0.7) or (None, None)
        source, account, incident_id = pick(
            [
                ("opsgenie", pick(ACCOUNTS), pick(self.incidents)),
                ("alert", pick(ACCOUNTS), pick(self.incidents)),
                ("pagerduty", "pd", pick(["p1", "p2", "p4"])),
            ]
        )
        self.world.put(
            "dora.attribution_overrides",
            source=source,
            account=account,
            incident_id=incident_id,
            service=pick([*NAMES, "s2", ""]),
            deployment_source=named[0],
            deployment_id=named[1],
            decided_at=self.maybe(self.moment()),
        )

    def mapping(self) -> None:
        pick = self.random.choice
        self.world.put(
            "dora.service_map",
            account=pick([*ACCOUNTS, "pd"]),
            service_id=pick([*SERVICES, "PSVC"]),
            service=pick(NAMES),
        )

    def priority(self) -> None:
        self.world.put(
            "dora.pagerduty_priorities",
            account="pd",
            pagerduty_priority="SEV1",
            priority=self.random.choice(["P1", "P5"]),
        )

    def drop(self) -> None:
        """Delete a row that there is."""
        filled = [table for table, rows in self.world.tables.items() if rows]
        if filled:
            table = self.random.choice(filled)
            self.world.drop(table, *self.random.choice(list(self.world.tables[table])))

    def clear_deployments(self) -> None:
        self.world.clear("staging.deployments")
