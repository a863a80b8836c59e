"""Which users the stored rows of an account refer to."""

from __future__ import annotations

from opsgenie_provider.warehouse.connection import Connection

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
    select responder.responder_id as user_id, responder.account, responder.incident_id, responder.synced_at
    from staging.opsgenie_incident_responders as responder
    where responder.responder_type = 'user'
    union all
    select entry.raw #>> '{author,accountId}', entry.account, entry.incident_id, entry.synced_at
    from staging.opsgenie_incident_timeline as entry
    union all
    select incident.raw #>> '{fields,assignee,accountId}', incident.account, incident.incident_id,
        incident.synced_at
    from staging.opsgenie_incidents as incident
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
select involved.user_id
from involved
inner join since on involved.synced_at >= since.instant
inner join staging.opsgenie_incidents as incident using (account, incident_id)
where account = %(account)s and incident.backend = %(backend)s
"""


def referenced_users(connection: Connection, account: str, backend: str, stream: str) -> set[str]:
    """Ids of the users in an account's schedules, escalation policies and on-call periods, and of those in
    its incidents that changed since they were last looked up.

    :param stream: the stream of the look-ups.
    """
    rows = connection.execute(_PEOPLE, {"account": account, "backend": backend, "stream": stream})
    return {user_id for (user_id,) in rows if user_id}
