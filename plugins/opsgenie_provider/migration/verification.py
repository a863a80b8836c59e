"""What a verification found in OpsGenie, held against the ledger and against PagerDuty's own numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple, TypeVar

from msgspec import Raw

from opsgenie_provider.migration.payloads import differences
from opsgenie_provider.rows.fields import Payload, UnreadablePayloadError, decode, nested, text, timestamp
from opsgenie_provider.warehouse.connection import Connection

T = TypeVar("T")


class Mismatch(NamedTuple):
    """An incident that is not where or what it should be."""

    pagerduty_id: str
    what: str


def keep_read_back(connection: Connection, account: str, found: Iterable[Raw]) -> dict[str, list[Payload]]:
    """Keep what was found of an account's imports in place of what an earlier verification found.

    :returns: by PagerDuty id, the incidents that bear it.
    """
    connection.execute("delete from migration.opsgenie_incidents where account = %s", (account,))
    imported: dict[str, list[Payload]] = {}
    with connection.cursor() as cursor:
        for raw in found:
            payload = decode(raw)
            details = nested(payload, "extraProperties")
            # Another PagerDuty account may have moved into the same OpsGenie.
            if details.get("pagerduty_account") != account:
                continue
            imported.setdefault(str(details.get("pagerduty_id")), []).append(payload)
            cursor.execute(
                "insert into migration.opsgenie_incidents (account, opsgenie_incident_id, pagerduty_id, "
                "original_created_at, seconds_to_recover, status, raw, read_at) "
                "values (%s, %s, %s, %s, %s, %s, %s, now())",
                (
                    account,
                    text(payload, "id"),
                    text(details, "pagerduty_id"),
                    _read(timestamp, details, "pagerduty_created_at"),
                    _read(_number, details, "seconds_to_recover"),
                    text(payload, "status"),
                    bytes(raw).decode(),
                ),
            )
    return imported


def mismatches(connection: Connection, account: str, imported: dict[str, list[Payload]]) -> list[Mismatch]:
    """Every incident that is missing, double, different unknown to the ledger, failed or unfinished."""
    found = []
    rows = connection.execute(
        "select pagerduty_id, state, reason, opsgenie_incident_id, payload - 'source' "
        "from migration.ledger where account = %s and state <> 'skipped' "
        "order by original_created_at, pagerduty_id",
        (account,),
    ).fetchall()
    for pagerduty_id, state, reason, incident_id, payload in rows:
        there = imported.pop(pagerduty_id, [])
        if state != "done":
            found.append(Mismatch(pagerduty_id, f"{state}{f': {reason}' if reason else ''}"))
        elif not there:
            found.append(Mismatch(pagerduty_id, f"OpsGenie does not list {incident_id}"))
        elif len(there) > 1 or there[0].get("id") != incident_id:
            ids = ", ".join(str(one.get("id")) for one in there)
            found.append(Mismatch(pagerduty_id, f"stands in OpsGenie as {ids}; the ledger has {incident_id}"))
        elif problems := differences(dict(there[0]), payload):
            found.append(Mismatch(pagerduty_id, "; ".join(problems)))
    found += [
        Mismatch(pagerduty_id, f"stands in OpsGenie as {one.get('id')}, but the ledger did not import it")
        for pagerduty_id, there in imported.items()
        for one in there
    ]
    return found


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


def _read(read: Callable[[Payload, str], T], details: Payload, name: str) -> T | None:
    """A detail; one that somebody made unreadable is not known."""
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
