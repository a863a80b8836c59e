"""The incident history: what it is filtered by, its pages, and its download."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Query
from psycopg import sql
from pydantic import BaseModel, ConfigDict, Field, field_validator

from opsgenie_provider.web.reader import Reader, Row
from opsgenie_provider.web.texts import ServiceName

PAGE = 50
# Counting further costs more than the number is worth.
COUNTED = 10_000
_ORDER = ("opened_at", "incident_id", "account", "source", "service")
_COLUMNS = (
    *("source", "account", "incident_id", "title", "status", "priority"),
    *("opened_at", "acknowledged_at", "recovered_at", "closed_at", "seconds_to_recover", "web_url"),
    *("service", "match_status", "deployment_source", "deployment_id", "triggered_at", "offset_seconds"),
    *("repository", "commit_sha", "pr_number", "pr_url", "pr_title", "on_call"),
)

Cursor = tuple[datetime, str, str, str, str]


class Filters(BaseModel):
    """What the history is asked for; empty is everything. Wrong values are refused with 422."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    service: ServiceName = None
    priority: Literal["P1", "P2", "P3", "P4", "P5"] | None = None
    status: Literal["open", "resolved", "closed"] | None = None
    match_status: (
        Literal["matched", "no_deployment_in_window", "service_unmapped", "no_service", "overridden"] | None
    ) = None
    since: date | None = None
    until: date | None = None
    older: Annotated[str | None, Field(max_length=4000)] = None
    newer: Annotated[str | None, Field(max_length=4000)] = None

    @field_validator("*", mode="before")
    @classmethod
    def _empty(cls, value: Any) -> Any:
        """A form sends what was left empty, too."""
        return value or None

    @field_validator("older", "newer")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            decode(value)
        return value

    def asked(self) -> dict[str, Any]:
        """The filters without the place in the pages."""
        return self.model_dump(exclude={"older", "newer"}, exclude_none=True, mode="json")

    def clause(self) -> tuple[sql.Composable, dict[str, Any]]:
        """What goes into a query's ``{filters}``, and its values."""
        values: dict[str, Any] = {}
        tests: list[sql.Composable] = [sql.SQL("true")]
        for column in ("service", "priority", "status", "match_status"):
            if (value := getattr(self, column)) is not None:
                tests.append(
                    sql.SQL("attribution.{} = {}").format(sql.Identifier(column), sql.Placeholder(column))
                )
                values[column] = value
        if self.since:
            tests.append(sql.SQL("attribution.opened_at >= %(since)s"))
            values["since"] = _midnight(self.since)
        if self.until and self.until < date.max:
            tests.append(sql.SQL("attribution.opened_at < %(until)s"))
            values["until"] = _midnight(self.until + timedelta(days=1))
        return sql.SQL("\n    and ").join(tests), values


FiltersQuery = Annotated[Filters, Query()]


class Page(BaseModel):
    """A page of the history, and how to go on from it."""

    rows: list[Row]
    older: str | None
    newer: str | None
    found: int

    @property
    def many(self) -> bool:
        """There are more than were counted."""
        return self.found > COUNTED


def page(reader: Reader, filters: Filters) -> Page:
    """The page that begins where the last one ended: as quick for the last as for the first."""
    clause, values = _found(reader, filters).clause()
    counted = reader.rows("history_count", {"filters": clause}, **values, most=COUNTED + 1)[0]["found"]
    place = filters.newer or filters.older
    upwards = filters.newer is not None
    if place:
        columns = sql.SQL(", ").join(sql.Identifier("attribution", column) for column in _ORDER)
        beyond = sql.SQL("\n    and ({}) {} ({})").format(
            columns,
            sql.SQL(">" if upwards else "<"),
            sql.SQL(", ").join(sql.Placeholder(f"at_{column}") for column in _ORDER),
        )
        clause += beyond
        values |= {f"at_{column}": part for column, part in zip(_ORDER, decode(place), strict=True)}
    parts = {"filters": clause, "direction": sql.SQL("asc" if upwards else "desc")}
    rows = reader.rows("history", parts, **values, limit=PAGE + 1)
    more = len(rows) > PAGE
    rows = rows[:PAGE]
    if upwards:
        rows.reverse()
    has_older, has_newer = (bool(rows), more) if upwards else (more, place is not None)
    return Page(
        rows=rows,
        older=encode(rows[-1]) if has_older and rows else None,
        newer=encode(rows[0]) if has_newer and rows else None,
        found=counted,
    )


def encode(row: Row) -> str:
    """The place of a row in the history's order, fit for an address."""
    parts = [row["opened_at"].isoformat(), *(row[column] for column in _ORDER[1:])]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def decode(place: str) -> Cursor:
    """The place that ``encode`` made.

    :raises ValueError: it did not make it.
    """
    try:
        instant, *rest = json.loads(base64.urlsafe_b64decode(place.encode()))
        opened_at = datetime.fromisoformat(instant)
        "".join(rest).encode()
    except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError):
        raise ValueError("this is no place in the history; start from its first page") from None
    if len(rest) != 4 or "\0" in "".join(rest) or opened_at.tzinfo is None or opened_at.year < 2:
        raise ValueError("this is no place in the history; start from its first page")
    incident_id, account, source, service = rest
    return opened_at, incident_id, account, source, service


def as_csv(reader: Reader, filters: Filters) -> Iterator[str]:
    """The whole history as filtered, the newest first, a line after the other."""
    clause, values = _found(reader, filters).clause()
    parts = {"filters": clause, "direction": sql.SQL("desc")}
    yield _line(_COLUMNS)
    for row in reader.stream("history", parts, values | {"limit": None}):
        yield _line([_cell(row[column]) for column in _COLUMNS])


def _found(reader: Reader, filters: Filters) -> Filters:
    """The filters with the service as the tables name it."""
    return filters.model_copy(update={"service": reader.service(filters.service)})


def _line(cells: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A spreadsheet takes a text that begins so for a formula (OWASP, CSV injection)."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str) and value.lstrip().startswith(("=", "+", "-", "@")):
        return f"'{value}"
    return value


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
