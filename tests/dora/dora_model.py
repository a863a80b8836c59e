"""Every dora table once more, in plain Python, from the contract's meanings and not from the SQL."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.dora.dora_world import Row, Rules, World

Key = tuple[str, str, str]
Rows = dict[tuple[Any, ...], tuple[Any, ...]]


@dataclass
class Incident:
    title: str | None
    status: str
    priority: str | None
    opened: datetime
    acknowledged: datetime | None
    recovered: datetime | None
    closed: datetime | None
    url: str | None
    # Service -> whether service_map names it.
    services: dict[str, bool] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        if self.recovered is None or self.recovered < self.opened:
            return None
        return (self.recovered - self.opened) / timedelta(seconds=1)


def name_of(text: str | None) -> str | None:
    """A service's name in lower case without outer white space."""
    return ((text or "").strip().lower()) or None


class Model:
    """The dora tables that a world should have under some rules."""

    def __init__(self, world: World, rules: Rules) -> None:
        self.world = world
        self.before = rules.before
        self.after = timedelta(0) if rules.direction == "before_only" else rules.after
        self.symmetric = rules.direction == "both" and rules.before == rules.after
        self.mapped = {
            (r["account"], r["service_id"]): name_of(r["service"]) for r in world.rows("dora.service_map")
        }
        self.environments = {each.lower() for each in rules.environments}
        self.environments_of: dict[str, set[str]] = defaultdict(set)
        for repository, environments in rules.repositories:
            if environments:
                self.environments_of[repository.lower()] |= {each.lower() for each in environments}
        deployments = world.rows("staging.deployments")
        self.deployments = {(d["source"], d["deployment_id"]): d for d in deployments}
        self.names = {name_of(d["service"]) for d in deployments}
        self.eligible = {
            key: d
            for key, d in self.deployments.items()
            if d["status"] == "success" and d["environment"].lower() in self._environments(d["repository"])
        }
        self.by_service: dict[str, list[Row]] = defaultdict(list)
        for deployment in self.eligible.values():
            self.by_service[name_of(deployment["service"]) or ""].append(deployment)
        self.incidents = dict(self._incidents()) | dict(self._alerts())
        self.attribution = {
            (*key, service): self._attribute(key, incident, service, is_mapped)
            for key, incident in self.incidents.items()
            for service, is_mapped in incident.services.items()
        }

    def _environments(self, repository: str | None) -> set[str]:
        return self.environments_of.get((repository or "").lower(), self.environments)

    def tables(self) -> dict[str, Rows]:
        return {
            "incidents": {
                key: (
                    i.title,
                    i.status,
                    i.priority,
                    i.opened,
                    i.acknowledged,
                    i.recovered,
                    i.closed,
                    i.seconds,
                    i.url,
                )
                for key, i in self.incidents.items()
            },
            "incident_attribution": dict(self.attribution),
            "deployment_outcomes": self._outcomes(),
            "service_metrics": self._service_metrics(),
            "overall_metrics": self._overall_metrics(),
            "match_quality": self._match_quality(),
        }

    # Incidents

    def _incidents(self) -> Iterator[tuple[Key, Incident]]:
        pagerduty = {
            (p["account"], p["incident_id"]): p for p in self.world.rows("staging.pagerduty_incidents")
        }
        copies: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.world.rows("staging.opsgenie_incidents"):
            if row["deleted_at"] is not None:
                continue
            details = row["details"] or {}
            original = (details.get("pagerduty_account"), details.get("pagerduty_id"))
            if None in original or any(len(part.encode()) > 500 for part in original):
                yield ("opsgenie", row["account"], row["incident_id"]), self._opsgenie(row)
            else:
                copies[original].append(row)
        copied = {
            key: self._imported(min(rows, key=lambda r: (r["account"], r["incident_id"])))
            for key, rows in copies.items()
        }
        for key, row in pagerduty.items():
            if row["merged_into"] is None:
                incident = self._pagerduty(row)
                copy = copied.get(key)
                # It went on in OpsGenie.
                if incident.status == "open" and copy and copy.status != "open":
                    incident.status = copy.status
                    incident.recovered = copy.recovered or row["resolved_at"]
                    incident.closed = copy.closed
                    incident.acknowledged = incident.acknowledged or copy.acknowledged
                yield ("pagerduty", *key), incident
        for key, copy in copied.items():
            if key not in pagerduty:
                yield ("pagerduty", *key), copy

    def _opsgenie(self, row: Row) -> Incident:
        status = row["status"] if row["status"] in ("resolved", "closed") else "open"
        return Incident(
            title=row["message"],
            status=status,
            priority=row["priority"] if row["priority"] in ("P1", "P2", "P3", "P4", "P5") else None,
            opened=row["created_at"],
            acknowledged=row["acknowledged_at"],
            recovered=None if status == "open" else row["resolved_at"] or row["closed_at"],
            closed=row["closed_at"],
            url=row["web_url"],
            services=self._opsgenie_services(row["account"], row["incident_id"]),
        )

    def _alerts(self) -> Iterator[tuple[Key, Incident]]:
        for row in self.world.rows("staging.opsgenie_alerts"):
            if row["deleted_at"] is None:
                yield ("alert", row["account"], row["alert_id"]), self._alert(row)

    def _alert(self, row: Row) -> Incident:
        incident = self._opsgenie(row | {"incident_id": None, "resolved_at": None})
        if row["service"] is not None:
            key = (row["account"], row["service"])
            listed = self.world.tables["staging.opsgenie_services"].get(key, {})
            service = self.mapped.get(key) or name_of(listed.get("name")) or name_of(row["service"])
            incident.services = {service or row["service"]: key in self.mapped}
        return incident

    def _opsgenie_services(self, account: str, incident_id: str) -> dict[str, bool]:
        listed = {(s["account"], s["service_id"]): s for s in self.world.rows("staging.opsgenie_services")}
        found: dict[str, bool] = {}
        for link in self.world.rows("staging.opsgenie_incident_services"):
            if (link["account"], link["incident_id"]) == (account, incident_id):
                key = (account, link["service_id"])
                service = (
                    self.mapped.get(key) or name_of(listed.get(key, {}).get("name")) or link["service_id"]
                )
                found[service] = found.get(service, False) or key in self.mapped
        return found or {"": False}

    def _pagerduty(self, row: Row) -> Incident:
        status = row["status"] if row["status"] in ("resolved", "closed") else "open"
        key = (row["account"], row["service_id"])
        service = self.mapped.get(key) or name_of(row["service_name"]) or row["service_id"] or ""
        return Incident(
            title=row["title"],
            status=status,
            priority=self._priority(row),
            opened=row["created_at"],
            acknowledged=row["acknowledged_at"],
            recovered=None if status == "open" else row["resolved_at"],
            closed=None,
            url=row["web_url"],
            services={service: key in self.mapped},
        )

    def _priority(self, row: Row) -> str | None:
        for mapping in self.world.rows("dora.pagerduty_priorities"):
            if (mapping["account"], mapping["pagerduty_priority"]) == (row["account"], row["priority"]):
                return str(mapping["priority"])
        if (row["priority"] or "").upper() in ("P1", "P2", "P3", "P4", "P5"):
            return str(row["priority"]).upper()
        return {"high": "P2", "low": "P4"}.get(row["urgency"])

    def _imported(self, row: Row) -> Incident:
        """From the import's details; from OpsGenie's own fields where PagerDuty did not resolve it."""
        incident = self._opsgenie(row)
        details = row["details"]

        def said(name: str) -> datetime | None:
            text = details.get(name)
            return datetime.fromisoformat(text) if text else None

        incident.opened = said("pagerduty_created_at") or incident.opened
        incident.acknowledged = said("pagerduty_acknowledged_at") or incident.acknowledged
        incident.url = details.get("pagerduty_url") or incident.url
        if resolved := said("pagerduty_resolved_at"):
            incident.status, incident.recovered, incident.closed = "resolved", resolved, None
        return incident

    # Attribution

    def _attribute(self, key: Key, incident: Incident, service: str, is_mapped: bool) -> tuple[Any, ...]:
        candidates = [
            d
            for d in (self.by_service[service] if service else [])
            if incident.opened - self.before <= d["triggered_at"] <= incident.opened + self.after
        ]
        count = len(candidates)
        said = [
            override
            for override in self.world.rows("dora.attribution_overrides")
            if (override["source"], override["account"], override["incident_id"]) == key
            and name_of(override["service"]) == name_of(service)
        ]
        if said:
            # The latest decision; of several at once, and of those without a time, the first spelling.
            last = min(
                said,
                key=lambda o: (-o["decided_at"].timestamp() if o["decided_at"] else math.inf, o["service"]),
            )
            named = (last["deployment_source"], last["deployment_id"])
            deployment = self.deployments.get(named)
            offset = deployment and (incident.opened - deployment["triggered_at"]).total_seconds()
            return ("overridden", *named, offset, count)
        if not service:
            return ("no_service", None, None, None, 0)
        if not candidates:
            known = is_mapped or service in self.names
            return ("no_deployment_in_window" if known else "service_unmapped", None, None, None, 0)
        best = min(
            candidates,
            key=lambda d: (
                abs(incident.opened - d["triggered_at"]),
                d["triggered_at"] > incident.opened,
                d["source"],
                d["deployment_id"],
            ),
        )
        offset = (incident.opened - best["triggered_at"]).total_seconds()
        return ("matched", best["source"], best["deployment_id"], offset, count)

    def _outcomes(self) -> Rows:
        blamed: dict[tuple[str, str], set[Key]] = defaultdict(set)
        for key, (_, source, deployment_id, *_) in self.attribution.items():
            blamed[source, deployment_id].add(key[:3])
        found: Rows = {}
        for key, d in self.eligible.items():
            incidents = [self.incidents[each] for each in blamed.get(key, ())]
            found[key] = (
                name_of(d["service"]) or "", d["environment"], d["triggered_at"],
                bool(incidents), len(incidents),
                mean(i.seconds for i in incidents), d["commit_sha"], d["repository"],
                d["pr_number"], d["pr_url"],
                d["pr_title"],
            )  # fmt: skip
        return found

    # Metrics

    def _service_metrics(self) -> Rows:
        cells: dict[tuple[Any, ...], Cell] = defaultdict(Cell)
        for service, triggered, failed in self._deployed():
            for period in periods(triggered) if service else ():
                cells[*period, service].deployments.append(failed)
        for (*key, service), found in self.attribution.items():
            if service:
                incident = self.incidents[tuple(key)]  # type: ignore[index]
                count_incident(cells, incident, found[2] is not None, (service,))
        return {key: cell.row() for key, cell in cells.items()}

    def _overall_metrics(self) -> Rows:
        cells: dict[tuple[Any, ...], Cell] = defaultdict(Cell)
        for _, triggered, failed in self._deployed():
            for period in periods(triggered):
                cells[period].deployments.append(failed)
        for key, incident in self.incidents.items():
            attributed = any(self.attribution[*key, service][2] is not None for service in incident.services)
            count_incident(cells, incident, attributed, ())
        return {key: cell.row() for key, cell in cells.items()}

    def _deployed(self) -> Iterator[tuple[str, datetime, bool]]:
        for service, _, triggered, failed, *_ in self._outcomes().values():
            yield service, triggered, failed

    def _match_quality(self) -> Rows:
        moments = [i.opened for i in self.incidents.values()] + [
            d["triggered_at"] for d in self.eligible.values()
        ]
        services = {key[3] for key in self.attribution} | set(self.by_service)
        span = (max(moments) - min(moments)).total_seconds() if moments else 0
        found: Rows = {}
        for service in services - {""}:
            statuses = [row[0] for key, row in self.attribution.items() if key[3] == service]
            matched = statuses.count("matched")
            total = matched + statuses.count("no_deployment_in_window")
            times = [d["triggered_at"] for d in self.by_service.get(service, [])]
            found[service,] = (
                len(times) / (span / 86400) if span else None,
                matched / total if total else None,
                self._covered(times, min(moments), max(moments)) / span if span else None,
                *self._caused(
                    [
                        row[3]
                        for key, row in self.attribution.items()
                        if key[3] == service and row[0] == "matched"
                    ]
                ),
            )
        return found

    def _caused(self, offsets: list[float]) -> tuple[int, int, float | None, float | None, float | None]:
        """matched_following, matched_preceding, and caused_share with its Wilson interval at 90 %."""
        following, n = sum(offset >= 0 for offset in offsets), len(offsets)
        if not n or not self.symmetric:
            return following, n - following, None, None, None
        p, z = following / n, 1.6448536269514722
        middle = p + z * z / (2 * n)
        margin = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        shares = (p, (middle - margin) / (1 + z * z / n), (middle + margin) / (1 + z * z / n))
        share, low, high = (min(1.0, max(0.0, 2 * each - 1)) for each in shares)
        return following, n - following, share, low, high

    def _covered(self, times: list[datetime], start: datetime, end: datetime) -> float:
        """Seconds of the span within the window of some deployment: where an incident would match it."""
        seconds, reached = 0.0, start
        for triggered in sorted(times):
            begins, ends = max(triggered - self.after, reached), min(triggered + self.before, end)
            if ends > begins:
                seconds += (ends - begins).total_seconds()
                reached = ends
        return seconds


@dataclass
class Cell:
    deployments: list[bool] = field(default_factory=list)
    opened: list[bool] = field(default_factory=list)
    recovered: list[tuple[float | None, bool]] = field(default_factory=list)

    def row(self) -> tuple[Any, ...]:
        blamed = [seconds for seconds, attributed in self.recovered if attributed]
        everything = [seconds for seconds, _ in self.recovered]
        return (
            len(self.deployments), sum(self.deployments),
            sum(self.deployments) / len(self.deployments) if self.deployments else None,
            len(self.opened), len(self.recovered), sum(self.opened),
            mean(blamed), quantile(blamed, 0.5), quantile(blamed, 0.9),
            mean(everything), quantile(everything, 0.5),
        )  # fmt: skip


def count_incident(
    cells: dict[tuple[Any, ...], Cell], incident: Incident, attributed: bool, suffix: tuple[str, ...]
) -> None:
    for period in periods(incident.opened):
        cells[*period, *suffix].opened.append(incident.recovered is None)
    for period in periods(incident.recovered):
        cells[*period, *suffix].recovered.append((incident.seconds, attributed))


def periods(moment: datetime | None) -> Iterator[tuple[str, date]]:
    """The UTC day, the week that begins on Monday, and the month."""
    if moment is not None:
        day = moment.astimezone(UTC).date()
        yield "day", day
        yield "week", day - timedelta(days=day.weekday())
        yield "month", day.replace(day=1)


def mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def quantile(values: Iterable[float | None], fraction: float) -> float | None:
    """Continuous: between the two nearest values where it falls between them."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    place = (len(known) - 1) * fraction
    low, high = int(place), min(int(place) + 1, len(known) - 1)
    return known[low] + (known[high] - known[low]) * (place - low)
