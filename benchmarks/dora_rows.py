"""Synthetic incidents and deployments for the benchmark of the dora refresh, and changes to them."""

from __future__ import annotations

from typing import LiteralString

from opsgenie_provider.warehouse.connection import Connection

# One year; a share of the rows in one service, the others even over all services.
INCIDENTS: LiteralString = """
insert into staging.opsgenie_incidents (
    account, incident_id, message, status, priority, created_at, resolved_at, raw, synced_at
)
select
    'opsgenie_default', md5('incident' || i), 'Incident ' || i, 'resolved', 'P' || 1 + i %% 5, moment,
    moment + random() * interval '5 hours', '{}', now()
from (
    select i, '2025-01-01'::timestamptz + random() * interval '365 days' as moment
    from generate_series(1, %(rows)s) as i
    offset 0
) as made
"""
INCIDENT_SERVICES: LiteralString = """
insert into staging.opsgenie_incident_services (account, incident_id, service_id, raw, synced_at)
select 'opsgenie_default', incident_id,
    'id-' || case when random() < %(skew)s then 0 else floor(random() * %(services)s)::int end, '{}', now()
from staging.opsgenie_incidents
"""
SERVICES: LiteralString = """
insert into staging.opsgenie_services (account, service_id, name, raw, synced_at)
select 'opsgenie_default', 'id-' || i, 'Service-' || i, '{}', now()
from generate_series(0, %(services)s - 1) as i
"""
DEPLOYMENTS: LiteralString = """
insert into staging.deployments (
    source, deployment_id, service, environment, status, triggered_at, commit_sha, repository,
    pr_number, pr_title
)
select
    'github', (100000000 + i)::text,
    'service-' || case when random() < %(skew)s then 0 else floor(random() * %(services)s)::int end,
    'production',
    'success', '2025-01-01'::timestamptz + random() * interval '365 days', md5('deployment' || i),
    'example/app', i,
    'Change ' || i
from generate_series(1, %(rows)s) as i
"""
# Strewn over the year: incidents open later, deployments move.
EDIT_INCIDENTS: LiteralString = """
update staging.opsgenie_incidents set
    created_at = created_at + interval '1 hour', resolved_at = resolved_at + interval '90 minutes'
where incident_id in (
    select incident_id from staging.opsgenie_incidents order by md5(incident_id) limit %(edits)s
)
"""
EDIT_DEPLOYMENTS: LiteralString = """
update staging.deployments set triggered_at = triggered_at - interval '2 hours'
where (source, deployment_id) in (
    select source, deployment_id from staging.deployments
    order by md5(deployment_id) limit %(edits)s
)
"""
# 300 changed incidents, 150 changed deployments and 150 new ones, of the last 48 hours.
HOUR: LiteralString = """
update staging.opsgenie_incidents set
    created_at = created_at + interval '1 minute', resolved_at = resolved_at + interval '3 minutes'
where incident_id in (
    select incident_id from staging.opsgenie_incidents
    where created_at >= (select max(created_at) from staging.opsgenie_incidents) - interval '48 hours'
    order by md5(incident_id) limit 300
);
update staging.deployments set triggered_at = triggered_at - interval '3 minutes'
where deployment_id in (
    select deployment_id from staging.deployments
    where triggered_at >= (select max(triggered_at) from staging.deployments) - interval '48 hours'
    order by md5(deployment_id) limit 150
);
insert into staging.deployments (source, deployment_id, service, environment, status, triggered_at)
select source, 'new-' || deployment_id, service, environment, status, triggered_at + interval '5 minutes'
from staging.deployments
where triggered_at >= (select max(triggered_at) from staging.deployments) - interval '48 hours'
order by md5(deployment_id || 'new') limit 150;
"""


def fill(connection: Connection, rows: int, services: int, skew: float) -> None:
    """Put synthetic rows into staging."""
    connection.execute("select setseed(0.5)")
    numbers = {"rows": rows, "services": services, "skew": skew}
    for statement in (SERVICES, INCIDENTS, INCIDENT_SERVICES, DEPLOYMENTS):
        connection.execute(statement, numbers)
    settle(connection)


def change_an_hours_worth(connection: Connection) -> None:
    connection.execute(HOUR)
    settle(connection)


def change_strewn(connection: Connection, edits: int) -> None:
    """Change as many incidents and as many deployments, anywhere in the year."""
    connection.execute(EDIT_INCIDENTS, {"edits": edits})
    connection.execute(EDIT_DEPLOYMENTS, {"edits": edits})
    settle(connection)


def settle(connection: Connection) -> None:
    """Do what a server has done by itself after an hour: what was written is vacuumed and on disk."""
    connection.commit()
    connection.autocommit = True
    connection.execute("vacuum (analyze)")
    connection.execute("checkpoint")
    connection.autocommit = False
