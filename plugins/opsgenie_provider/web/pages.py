"""The pages: what is asked of the warehouse, and which template shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from opsgenie_provider.end_of_life import notice
from opsgenie_provider.report.matches import Matches, caused_rate_in_words, sentence
from opsgenie_provider.settings import load_settings
from opsgenie_provider.warehouse.history import opsgenie_histories
from opsgenie_provider.web import history
from opsgenie_provider.web.connection_pool import StopSwitch
from opsgenie_provider.web.downloads import download
from opsgenie_provider.web.reader import Row, reading
from opsgenie_provider.web.rendering import SERVICES, templates
from opsgenie_provider.web.texts import ServiceName
from opsgenie_provider.web.tiers import rate_tier, recovery_tier
from opsgenie_provider.web.workers import PAGES

router = APIRouter(default_response_class=HTMLResponse)

PERIODS = {"day": 60, "week": 26, "month": 24}
# How many marks of a kind the time line shows.
MARKS = 2000
# What a whole download may read for.
DOWNLOAD_SECONDS = 300.0
_TIMELINE = {7, 14, 30, 90}

Grain = Literal["day", "week", "month"]


@router.get("/")
@PAGES.handler
def overview(
    request: Request,
    grain: Grain = "month",
    service: ServiceName = None,
    period: str = "",
    days: int = 14,
) -> Response:
    """CFR and MTTR now and their trend, by service and overall, and a service's time line."""
    days = days if days in _TIMELINE else 14
    with reading() as reader:
        service = reader.service(service)
        trend = reader.rows("trend", service=service, grain=grain, periods=PERIODS[grain])
        shown = _period(period, trend)
        rows = reader.rows("period_services", grain=grain, period=shown, limit=SERVICES + 1)
        names = [row["service"] for row in reader.rows("list_services")]
        seen = service or (rows[0]["service"] if rows else None)
        until = datetime.now(UTC)
        marks = (
            reader.rows(
                "timeline", service=seen, since=until - timedelta(days=days), until=until, limit=MARKS
            )
            if seen
            else []
        )
        quality = reader.rows("match_quality", service=service)
        decided = {
            row["period_start"]: row["decided"]
            for row in reader.rows("decided_failures", grain=grain, service=service)
        }
    matches = Matches.of(next((row for row in quality if row["service"] == (service or "")), None))
    tiers = load_settings().tiers
    position = next((i for i, row in enumerate(trend) if row["period_start"] == shown), len(trend))
    starts = [row["period_start"] for row in trend]
    return templates.TemplateResponse(
        request,
        "overview.html",
        {
            "grain": grain,
            "service": service,
            "days": days,
            "trend": trend,
            "shown": shown,
            "cards": [
                _card(row, tiers, matches, decided.get(row["period_start"], 0))
                for row in trend[position : position + 2]
            ],
            "older": next(iter(starts[position + 1 :]), None),
            "newer": starts[position - 1] if 0 < position < len(starts) else None,
            "services": [row | {"sentence": sentence(Matches.of(row))} for row in rows[:SERVICES]],
            "more_services": len(rows) > SERVICES,
            "names": names,
            "timeline_service": seen,
            "marks": marks,
            "marks_cut": any(
                sum(mark["kind"] == kind for mark in marks) == MARKS for kind in ("deployment", "incident")
            ),
            "tiers": tiers,
            "sentence": sentence(matches),
            "charts": {"trend": _trend_chart(trend, grain), "timeline": _timeline_chart(marks)},
        },
    )


def _card(row: Row, tiers: int, matches: Matches, decided: int) -> Row:
    """A period of the trend with its tiers, and how much of its rate is coincidence."""
    return row | {
        "rate_tier": rate_tier(row["change_failure_rate"], tiers),
        "recovery_tier": recovery_tier(row["mttr_mean_seconds"]),
        "caused_words": caused_rate_in_words(row, decided, matches),
    }


def _period(asked: str, trend: list[Row]) -> date | None:
    """The period that is asked for if there is anything in it, else the latest."""
    known = [row["period_start"] for row in trend]
    return next((start for start in known if start.isoformat() == asked), known[0] if known else None)


def _trend_chart(trend: list[Row], grain: str) -> dict[str, Any]:
    """Columns of the trend, the oldest first; None where a value is not known."""
    rows = trend[::-1]
    return {
        "grain": grain,
        "period": [row["period_start"].isoformat() for row in rows],
        "cfr": [row["change_failure_rate"] for row in rows],
        "mttr": [row["mttr_mean_seconds"] for row in rows],
        "mttr_all": [row["mttr_all_mean_seconds"] for row in rows],
        "deployments": [row["deployments"] for row in rows],
        "change_failures": [row["change_failures"] for row in rows],
    }


def _timeline_chart(marks: list[Row]) -> list[dict[str, Any]]:
    return [
        mark | {"at": mark["at"].isoformat(), "until": mark["until"].isoformat() if mark["until"] else None}
        for mark in marks
    ]


@router.get("/incidents")
@PAGES.handler
def incidents(request: Request, filters: history.FiltersQuery) -> Response:
    """The incident history, filtered, a page at a time."""
    with reading() as reader:
        page = history.page(reader, filters)
        names = [row["service"] for row in reader.rows("list_services")]
    return templates.TemplateResponse(
        request,
        "incidents.html",
        {"page": page, "filters": filters, "asked": filters.asked(), "names": names},
    )


@router.get("/incidents.csv", response_class=StreamingResponse)
async def incidents_csv(request: Request, filters: history.FiltersQuery) -> Response:
    """The incident history as filtered, all its pages."""

    def lines(switch: StopSwitch) -> Iterator[str]:
        # Years of a large company take a while; each part of them less than a minute.
        with reading(timeout="1min", seconds=DOWNLOAD_SECONDS, switch=switch) as reader:
            yield from history.as_csv(reader, filters)

    return await download(request, lines, name="incident_history.csv")


@router.get("/on-call")
@PAGES.handler
def on_call(request: Request) -> Response:
    """Who is on call now and in the coming two weeks, with the gaps."""
    with reading() as reader:
        now = reader.rows("on_call_now")
        ahead = reader.rows("on_call_ahead")
    begin = datetime.now(UTC)
    end = begin + timedelta(days=14)
    schedules = [
        {
            "title": " / ".join(filter(None, (key[1], key[2]))),
            "account": key[0],
            "lanes": _lanes(list(rows), begin, end),
        }
        for key, rows in groupby(
            ahead, lambda row: (row["account"], row["team"], row["schedule"], row["schedule_id"])
        )
    ]
    days = [
        begin.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=i) for i in range(1, 15)
    ]
    return templates.TemplateResponse(
        request,
        "on_call.html",
        {
            "now": now,
            "schedules": schedules,
            "gaps": sum(lane["name"] is None for schedule in schedules for lane in schedule["lanes"]),
            "days": [(day, _share(day, begin, end)) for day in days if day < end],
        },
    )


def _lanes(rows: list[Row], begin: datetime, end: datetime) -> list[dict[str, Any]]:
    """A schedule's rotations with their periods, as shares of the two weeks; one without name: the gaps."""
    return [
        {
            "name": rotation,
            "periods": [
                row
                | {
                    "left": _share(row["start_at"], begin, end),
                    "width": _share(row["end_at"], begin, end) - _share(row["start_at"], begin, end),
                }
                for row in periods
            ],
        }
        for rotation, periods in groupby(rows, lambda row: row["rotation"])
    ]


def _share(instant: datetime, begin: datetime, end: datetime) -> float:
    return min(100.0, max(0.0, (instant - begin) / (end - begin) * 100))


@router.get("/escalations")
@PAGES.handler
def escalations(request: Request) -> Response:
    """The escalation policies as readable steps."""
    with reading() as reader:
        rows = reader.rows("escalations")
    key: Callable[[Row], Any] = lambda row: (row["account"], row["escalation_id"])  # noqa: E731
    policies = [list(steps) for _, steps in groupby(rows, key)]
    return templates.TemplateResponse(request, "escalations.html", {"policies": policies})


@router.get("/sync")
@PAGES.handler
def sync(request: Request) -> Response:
    """How fresh everything is, what could not be read, and what the keys do not see."""
    with reading() as reader:
        found = {name: reader.rows(name) for name in ("streams", "rejected", "keys", "refreshes")}
        stored = opsgenie_histories(reader.connection)
    today = datetime.now(UTC).date()
    found["ends"] = [{"account": each.account, "notice": notice(each, today)} for each in stored]
    return templates.TemplateResponse(request, "sync.html", found)


@router.get("/migration")
@PAGES.handler
def migration(request: Request) -> Response:
    """The migration's plan, how far it is, its parity, and what failed."""
    with reading() as reader:
        states = reader.rows("migration_states")
        parity = reader.rows("migration_parity")
        failures = reader.rows("migration_failures")
    totals: dict[str, int] = {}
    for row in states:
        totals[row["state"]] = totals.get(row["state"], 0) + row["incidents"]
    return templates.TemplateResponse(
        request,
        "migration.html",
        {"states": states, "totals": totals, "parity": parity, "failures": failures},
    )
