"""The pages Trust and What if: how far to trust the matches, and the metrics under other match rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from opsgenie_provider.report import charts
from opsgenie_provider.report.matches import EXPLANATION, Matches, sentence
from opsgenie_provider.report.numbers import MATCHES, by_service
from opsgenie_provider.web.reader import Reader, Row, reading
from opsgenie_provider.web.rendering import SERVICES, templates
from opsgenie_provider.web.texts import ServiceName
from opsgenie_provider.web.workers import PAGES

router = APIRouter(default_response_class=HTMLResponse)

WINDOWS = (1, 2, 4, 8)
DAYS = (30, 90, 180, 365)
# What can be evaluated in a few seconds, whatever else the warehouse does.
MOST_INCIDENTS = 100_000
MOST_DEPLOYMENTS = 250_000


@router.get("/trust")
@PAGES.handler
def trust(request: Request, service: ServiceName = None) -> Response:
    """Each service's matches around their deployment, in words and as a picture."""
    with reading() as reader:
        service = reader.service(service)
        rows = reader.rows("match_quality", service=service)
        offsets = by_service(reader.rows("offsets", service=service, matches=MATCHES))
        hours = window_hours(reader)
        names = [row["service"] for row in reader.rows("list_services")]
    overall = next((row for row in rows if row["service"] == ""), None)
    services = [pictured(row, offsets, hours) for row in rows if row["service"] != ""]
    return templates.TemplateResponse(
        request,
        "trust.html",
        {
            "service": service,
            "names": names,
            "overall": overall and pictured(overall, offsets, hours),
            "services": services[:SERVICES],
            "more_services": len(services) > SERVICES,
            "explanation": EXPLANATION,
            "pictured": MATCHES
            if sum(Matches.of(row).total for row in rows if row["service"]) > MATCHES
            else None,
        },
    )


def window_hours(reader: Reader) -> float:
    """The longer of the windows that the tables were made with."""
    rule = reader.first("rule")
    return max(rule["hours_before"], rule["hours_after"]) if rule else 4.0


def pictured(row: Row, offsets: dict[str, dict[int, int]], hours: float) -> Row:
    """A row of match_quality.sql with its sentence and its picture."""
    matches = Matches.of(row)
    name = row["service"] or "All services"
    return row | {
        "matches": matches,
        "sentence": sentence(matches),
        "histogram": charts.histogram(offsets.get(row["service"], {}), hours, name) if matches.total else "",
    }


@router.get("/what-if")
@PAGES.handler
def what_if(
    request: Request,
    service: ServiceName = None,
    days: int = 90,
    direction: Literal["both", "before_only"] = "both",
) -> Response:
    """Change failure rate, matches and caused share with other windows and the other direction."""
    days = days if days in DAYS else 90
    until = datetime.now(UTC)
    asked = until - timedelta(days=days)
    with reading() as reader:
        service = reader.service(service)
        found = reader.first(
            "what_if_since",
            since=asked,
            until=until,
            incidents=MOST_INCIDENTS,
            deployments=MOST_DEPLOYMENTS,
        )
        since = found["since"] if found else asked
        rows = reader.rows("what_if", since=since, until=until, service=service)
        rule = reader.first("rule")
        names = [row["service"] for row in reader.rows("list_services")]
    services: dict[str, dict[int, Row]] = {}
    for row in rows:
        if row["direction"] == direction:
            services.setdefault(row["service"], {})[row["window_hours"]] = row
    overall = services.pop("", None)
    ordered = sorted(services.items(), key=_most_failures)
    return templates.TemplateResponse(
        request,
        "what_if.html",
        {
            "service": service,
            "names": names,
            "days": days,
            "choices": DAYS,
            "direction": direction,
            "windows": WINDOWS,
            "since": since,
            "is_cut": since > asked,
            "overall": overall,
            "services": ordered[:SERVICES],
            "more_services": len(ordered) > SERVICES,
            "current": _current(rule, direction),
        },
    )


def _most_failures(entry: tuple[str, dict[int, Row]]) -> tuple[Any, ...]:
    service, windows = entry
    longest = windows[WINDOWS[-1]]
    return (-longest["change_failures"], -longest["deployments"], service)


def _current(rule: Row | None, direction: str) -> float | None:
    """The window of the rule that holds now, if it is one of the direction that is shown."""
    if rule is None:
        return None
    is_both = bool(rule["is_symmetric"])
    is_before_only = rule["hours_after"] == 0
    fits = is_both if direction == "both" else is_before_only
    hours: float = rule["hours_before"]
    return hours if fits else None
