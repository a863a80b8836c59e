"""The report as one HTML file that needs nothing else, and its summary in a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from opsgenie_provider import display
from opsgenie_provider.report import charts
from opsgenie_provider.report.matches import EXPLANATION, Matches, caused_rate_in_words, sentence
from opsgenie_provider.report.numbers import INCIDENTS, SERVICES, Numbers

_HOUR = 3600


def html(numbers: Numbers) -> str:
    """The whole report."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= display.FILTERS
    return templates.get_template("report.html").render(
        numbers=numbers,
        services=[service(numbers, row) for row in numbers.services[:SERVICES]],
        more_services=max(0, len(numbers.services) - SERVICES),
        more_incidents=len(numbers.incidents) == INCIDENTS,
        caused_words=caused_rate_in_words(
            numbers.total, numbers.total["decided"], numbers.matches.get("", Matches())
        ),
        sentence=sentence(numbers.matches.get("", Matches())),
        explanation=EXPLANATION,
        histogram=histogram(numbers, ""),
        rate_chart=_rate_chart(numbers),
        recovery_chart=_recovery_chart(numbers),
        MATCH_STATUS=display.MATCH_STATUS,
    )


def service(numbers: Numbers, row: dict[str, Any]) -> dict[str, Any]:
    """A service's row with its sentence and its picture."""
    matches = numbers.matches.get(row["service"], Matches())
    return row | {
        "sentence": sentence(matches),
        "caused_words": caused_rate_in_words(row, row["decided"], matches),
        "histogram": histogram(numbers, row["service"]) if matches.total else "",
    }


def histogram(numbers: Numbers, name: str) -> Markup:
    """The picture of a service's matches; '' is all services together."""
    rule = numbers.rule or {"hours_before": 4.0, "hours_after": 4.0}
    hours = max(rule["hours_before"], rule["hours_after"])
    return charts.histogram(numbers.offsets.get(name, {}), hours, name or "All services")


def summary(numbers: Numbers) -> str:
    """The report in a few lines of text, for a message."""
    total, before = numbers.total, numbers.before
    lines = [
        f"Incidents & DORA, {numbers.period.title}",
        f"Change failure rate: {display.percent(total['change_failure_rate'])} "
        f"({display.number(total['change_failures'])} of {display.number(total['deployments'])} "
        "deployments); "
        f"the period before: {display.percent(before['change_failure_rate'])}.",
        caused_rate_in_words(total, total["decided"], numbers.matches.get("", Matches())),
        f"Mean time to recover: {display.duration(total['mttr_mean_seconds'])} of incidents attributed to a "
        f"deployment, {display.duration(total['mttr_all_mean_seconds'])} of all; "
        f"the period before: {display.duration(before['mttr_mean_seconds'])}.",
        f"Incidents: {display.number(total['incidents'])} opened, "
        f"{display.number(total['open_incidents'])} of them not recovered, or their recovery time is "
        "unknown.",
        sentence(numbers.matches.get("", Matches())),
    ]
    return "\n".join(line for line in lines if line)


def _labels(numbers: Numbers) -> list[str]:
    return [f"{row['period_start']:%b %d}" for row in numbers.trend]


def _rate_chart(numbers: Numbers) -> Markup:
    rows = numbers.trend
    return charts.columns(
        _labels(numbers),
        [row["deployments"] for row in rows],
        [row["change_failures"] for row in rows],
        [row["change_failure_rate"] for row in rows],
        "Change failure rate by week: " + _spoken(rows, "change_failure_rate", display.percent),
    )


def _recovery_chart(numbers: Numbers) -> Markup:
    rows = numbers.trend

    def hours(name: str) -> list[float | None]:
        return [None if row[name] is None else row[name] / _HOUR for row in rows]

    return charts.lines(
        _labels(numbers),
        {"line": hours("mttr_mean_seconds"), "other": hours("mttr_all_mean_seconds")},
        lambda value: f"{value:.3g} h",
        "Mean time to recover by week: " + _spoken(rows, "mttr_mean_seconds", display.duration),
    )


def _spoken(rows: list[dict[str, Any]], name: str, text: Any) -> str:
    return ", ".join(f"{row['period_start']:%b %d} {text(row[name])}" for row in rows)
