"""How much is stored of the accounts that are read from OpsGenie, which ends."""

from __future__ import annotations

from opsgenie_provider.end_of_life import StoredHistory
from opsgenie_provider.warehouse.connection import Connection

_QUERY = """
select
    span.account,
    incident.incidents,
    incident.oldest_incident_at,
    alert.alerts,
    alert.oldest_alert_at,
    reading.on_call_since
from staging.opsgenie_backend_spans as span
cross join lateral (
    select
        count(*) as incidents,
        min(created_at) as oldest_incident_at
    from staging.opsgenie_incidents
    where account = span.account and backend = span.backend
) as incident
cross join lateral (
    select
        count(*) as alerts,
        min(created_at) as oldest_alert_at
    from staging.opsgenie_alerts
    where account = span.account and backend = span.backend
) as alert
cross join lateral (
    select min(read_from) as on_call_since
    from staging.opsgenie_on_call_reads
    where account = span.account
) as reading
where span.backend = 'opsgenie' and upper_inf(span.span)
    and (%(account)s::text is null or span.account = %(account)s)
order by span.account
"""


def opsgenie_histories(connection: Connection, account: str | None = None) -> list[StoredHistory]:
    """What is stored of an account, or of every account, as far as it is read from OpsGenie now."""
    rows = connection.execute(_QUERY, {"account": account}).fetchall()
    return [StoredHistory(*row) for row in rows]
