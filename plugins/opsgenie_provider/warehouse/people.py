"""Which users the stored rows of an account refer to, and the names that are stored of them and of others."""

from __future__ import annotations

from opsgenie_provider.rows.directory import Directory
from opsgenie_provider.warehouse.connection import Connection

# Right after a large read nothing is known of how many rows the tables have: a join of incidents may then be
# planned as a loop over all of them for each. A subquery looks one up by its key, whatever is known.
_PEOPLE = """
with since as (
    select coalesce(
        (
            select last_success_at from staging.sync_state
            where account = %(account)s and stream = %(stream)s
        ),
        '-infinity'
    ) as instant
),

involved as (
    select responder_id as user_id, incident_id, synced_at
    from staging.opsgenie_incident_responders
    where account = %(account)s and responder_type = 'user'
    union all
    select raw #>> '{author,accountId}', incident_id, synced_at
    from staging.opsgenie_incident_timeline
    where account = %(account)s
)

select recipient_id as user_id
from staging.opsgenie_on_call_periods
where account = %(account)s and backend = %(backend)s and recipient_type = 'user'
union
select recipient_id
from staging.opsgenie_escalation_rules
where account = %(account)s and backend = %(backend)s and recipient_type = 'user'
union
select participant ->> 'id'
from staging.opsgenie_rotations
cross join lateral jsonb_array_elements(
    case jsonb_typeof(participants) when 'array' then participants else '[]' end
) as participant
where account = %(account)s and backend = %(backend)s and participant ->> 'type' = 'user'
union
select raw #>> '{fields,assignee,accountId}'
from staging.opsgenie_incidents
where account = %(account)s and backend = %(backend)s and synced_at >= (select instant from since)
union
select user_id
from involved
where
    synced_at >= (select instant from since)
    and (
        select incident.backend from staging.opsgenie_incidents as incident
        where incident.account = %(account)s and incident.incident_id = involved.incident_id
    ) = %(backend)s
"""

_NAMES = """
select 'users', user_id, coalesce(username, full_name) as name
from staging.opsgenie_users
where account = %(account)s and backend = %(backend)s
union all
select 'teams', team_id, name
from staging.opsgenie_teams
where account = %(account)s and backend = %(backend)s
union all
select 'schedules', schedule_id, name
from staging.opsgenie_schedules
where account = %(account)s and backend = %(backend)s
union all
select 'escalations', escalation_id, name
from staging.opsgenie_escalations
where account = %(account)s and backend = %(backend)s
"""


def stored_names(connection: Connection, account: str, backend: str) -> Directory:
    """The stored names of an account's users, teams, schedules and escalation policies."""
    names: dict[str, dict[str, str]] = {"users": {}, "teams": {}, "schedules": {}, "escalations": {}}
    for kind, identity, name in connection.execute(_NAMES, {"account": account, "backend": backend}):
        if name is not None:
            names[kind][identity] = name
    return Directory(**names)


def referenced_users(connection: Connection, account: str, backend: str, stream: str) -> set[str]:
    """Ids of the users in an account's schedules, escalation policies and on-call periods, and of those in
    its incidents that changed since they were last looked up.

    :param stream: the stream of the look-ups.
    """
    rows = connection.execute(_PEOPLE, {"account": account, "backend": backend, "stream": stream})
    return {user_id for (user_id,) in rows if user_id}
