"""Reads the imported incidents back and compares them with the ledger and with PagerDuty's numbers.

The search index that lists them is eventually consistent. So whatever of its list is not as it should
be is asked for by its id, which says at once whether it exists and what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from msgspec import Raw
from psycopg.rows import class_row

from opsgenie_provider.api.errors import NotFoundError
from opsgenie_provider.api.opsgenie_writes import OpsgenieWriter
from opsgenie_provider.migration.payloads import IMPORT_TAG, differences
from opsgenie_provider.migration.search import tagged_incidents
from opsgenie_provider.rows.fields import Payload, UnreadablePayloadError, decode, nested, text, timestamp
from opsgenie_provider.warehouse.connection import Connection

T = TypeVar("T")


class Mismatch(NamedTuple):
    """An incident that is not where or what it should be.

    :param incident_ids: what to ask OpsGenie for, to be sure.
    """

    pagerduty_id: str
    what: str
    incident_ids: tuple[str, ...] = ()


class ReadBack(NamedTuple):
    """An incident of the account as OpsGenie has it."""

    incident_id: str
    pagerduty_id: str
    payload: Payload
    raw: Raw


class Verification(NamedTuple):
    """What a verification found: the number of incidents, and all that does not match."""

    incidents: int
    mismatches: list[Mismatch]
    months: list[str]


class _LedgerRow(NamedTuple):
    pagerduty_id: str
    state: str
    reason: str | None
    opsgenie_incident_id: str | None
    payload: dict[str, Any] | None


def verify(
    connection: Connection, account: str, writer: OpsgenieWriter, executor: ThreadPoolExecutor
) -> Verification:
    """Read back what was imported of an account, and fill what ``migration.parity`` is made of."""
    found = _read_back(account, tagged_incidents(writer, executor, IMPORT_TAG))
    ledger = _ledger_rows(connection, account)
    # What the index shows too late, or no longer should, is known by its id.
    unsure = {id_ for mismatch in mismatches(ledger, found) for id_ in mismatch.incident_ids}
    if unsure:
        found = [incident for incident in found if incident.incident_id not in unsure]
        asked = executor.map(lambda id_: _existing(writer, id_), sorted(unsure))
        found += _read_back(account, [raw for raw in asked if raw is not None])
    with connection.transaction():
        _store(connection, account, found)
        months = wrong_months(connection, account)
    return Verification(len(found), mismatches(ledger, found), months)


def _existing(writer: OpsgenieWriter, incident_id: str) -> Raw | None:
    try:
        return writer.incident(incident_id)
    except NotFoundError:
        return None


def _read_back(account: str, listed: Iterable[Raw]) -> list[ReadBack]:
    """The incidents of the account; another PagerDuty account may have moved into the same OpsGenie."""
    found = []
    for raw in listed:
        payload = decode(raw)
        details = nested(payload, "extraProperties")
        if details.get("pagerduty_account") == account:
            found.append(ReadBack(text(payload, "id") or "", str(details.get("pagerduty_id")), payload, raw))
    return found


def _ledger_rows(connection: Connection, account: str) -> list[_LedgerRow]:
    with connection.cursor(row_factory=class_row(_LedgerRow)) as cursor:
        rows = cursor.execute(
            "select pagerduty_id, state, reason, opsgenie_incident_id, payload - 'source' as payload "
            "from migration.ledger where account = %s and state <> 'skipped' "
            "order by original_created_at, pagerduty_id",
            (account,),
        ).fetchall()
    connection.commit()
    return rows


def _store(connection: Connection, account: str, found: Iterable[ReadBack]) -> None:
    """Keep what was read back in place of what an earlier verification found."""
    connection.execute("delete from migration.opsgenie_incidents where account = %s", (account,))
    with connection.cursor() as cursor:
        for incident in found:
            details = nested(incident.payload, "extraProperties")
            cursor.execute(
                "insert into migration.opsgenie_incidents (account, opsgenie_incident_id, pagerduty_id, "
                "original_created_at, seconds_to_recover, status, raw, read_at) "
                "values (%s, %s, %s, %s, %s, %s, %s, now())",
                (
                    account,
                    incident.incident_id,
                    text(details, "pagerduty_id"),
                    _readable(timestamp, details, "pagerduty_created_at"),
                    _readable(_number, details, "seconds_to_recover"),
                    text(incident.payload, "status"),
                    bytes(incident.raw).decode(),
                ),
            )


def mismatches(ledger: Sequence[_LedgerRow], found: Iterable[ReadBack]) -> list[Mismatch]:
    """Every incident that is missing, double, different, unknown to the ledger, failed or unfinished."""
    by_id: dict[str, list[ReadBack]] = {}
    for incident in found:
        by_id.setdefault(incident.pagerduty_id, []).append(incident)
    wrong = [mismatch for row in ledger if (mismatch := _mismatch(row, by_id.pop(row.pagerduty_id, [])))]
    return wrong + [
        Mismatch(
            pagerduty_id,
            f"exists in OpsGenie as {incident.incident_id}, but the ledger did not import it",
            (incident.incident_id,),
        )
        for pagerduty_id, incidents in by_id.items()
        for incident in incidents
    ]


def _mismatch(row: _LedgerRow, found: Sequence[ReadBack]) -> Mismatch | None:
    known = row.opsgenie_incident_id or ""
    ids = tuple(sorted({known, *(incident.incident_id for incident in found)} - {""}))
    if row.state != "done":
        what = f"{row.state}: {row.reason}" if row.reason else row.state
        # Not what is wrong with it, but parity counts what exists.
        return Mismatch(row.pagerduty_id, what, ids)
    if not found:
        return Mismatch(row.pagerduty_id, f"OpsGenie does not have {known}", ids)
    if len(found) > 1 or found[0].incident_id != known:
        there = ", ".join(incident.incident_id for incident in found)
        return Mismatch(row.pagerduty_id, f"exists in OpsGenie as {there}; the ledger has {known}", ids)
    if problems := differences(dict(found[0].payload), row.payload or {}):
        return Mismatch(row.pagerduty_id, "; ".join(problems), ids)
    return None


def wrong_months(connection: Connection, account: str) -> list[str]:
    """Months in which PagerDuty, the ledger and OpsGenie do not agree, each in a line."""
    rows = connection.execute(
        "select month, pagerduty_incidents, ledger_incidents, opsgenie_incidents, pagerduty_seconds, "
        "ledger_seconds, opsgenie_seconds from migration.parity where account = %s and not matches "
        "order by month",
        (account,),
    )
    return [
        f"{month:%Y-%m}, PagerDuty / ledger / OpsGenie: incidents {p} / {m} / {o}, seconds {ps} / {ms} / {os}"
        for month, p, m, o, ps, ms, os in rows
    ]


def _readable(read: Callable[[Payload, str], T], details: Payload, name: str) -> T | None:
    """A detail; NULL where somebody made it unreadable."""
    try:
        return read(details, name)
    except UnreadablePayloadError:
        return None


def _number(details: Payload, name: str) -> Decimal | None:
    try:
        number = Decimal(details[name])
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None
    return number if number.is_finite() else None
