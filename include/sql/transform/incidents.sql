-- dora.incidents: one row per real-world incident.
-- OpsGenie's incidents that are not deleted, its alerts in accounts whose alerts stand for incidents, and PagerDuty's
-- incidents that are not merged into another. An imported incident is the PagerDuty incident, with its original times,
-- whether staging has it from PagerDuty or only as OpsGenie's copy.

with
opsgenie as (
    select
        touched.source,
        incident.account,
        incident.incident_id,
        incident.message as title,
        incident.status,
        incident.priority,
        incident.created_at as opened_at,
        incident.acknowledged_at,
        coalesce(incident.resolved_at, incident.closed_at) as recovered_at,
        incident.closed_at,
        incident.web_url
    from touched_incidents as touched
    inner join staging.opsgenie_incidents as incident using (account, incident_id)
    where
        touched.source = 'opsgenie'
        and incident.deleted_at is null
        and not dora.is_imported(incident.details)
),

-- The OpsGenie copy of an imported incident. Its original times come from its details; OpsGenie's own status and end
-- apply where PagerDuty had not resolved the incident at import.
imported_copies as (
    select
        touched.source,
        touched.account,
        touched.incident_id,
        incident.message as title,
        case when original.resolved_at is null then incident.status else 'resolved' end as status,
        incident.priority,
        coalesce(original.created_at, incident.created_at) as opened_at,
        coalesce(original.acknowledged_at, incident.acknowledged_at) as acknowledged_at,
        coalesce(original.resolved_at, incident.resolved_at, incident.closed_at) as recovered_at,
        case when original.resolved_at is null then incident.closed_at end as closed_at,
        coalesce(incident.details ->> 'pagerduty_url', incident.web_url) as web_url,
        imported.is_only_copy
    from touched_incidents as touched
    inner join dora.imported_incidents as imported
        on
            touched.source = 'pagerduty'
            and touched.account = imported.pagerduty_account
            and touched.incident_id = imported.pagerduty_id
    inner join staging.opsgenie_incidents as incident
        on imported.account = incident.account and imported.incident_id = incident.incident_id
    cross join lateral (
        select
            dora.parse_timestamp(incident.details ->> 'pagerduty_created_at') as created_at,
            dora.parse_timestamp(incident.details ->> 'pagerduty_acknowledged_at') as acknowledged_at,
            dora.parse_timestamp(incident.details ->> 'pagerduty_resolved_at') as resolved_at
        -- Once per incident, not once per use.
        offset 0
    ) as original
),

-- PagerDuty's incidents. Where one was open there when it was read, its OpsGenie copy has the status and the end.
pagerduty as (
    select
        touched.source,
        incident.account,
        incident.incident_id,
        incident.title,
        coalesce(imported_copy.status, incident.status) as status,
        coalesce(mapped.priority, dora.pagerduty_priority(incident.priority, incident.urgency)) as priority,
        incident.created_at as opened_at,
        coalesce(incident.acknowledged_at, imported_copy.acknowledged_at) as acknowledged_at,
        coalesce(imported_copy.recovered_at, incident.resolved_at) as recovered_at,
        imported_copy.closed_at,
        incident.web_url
    from touched_incidents as touched
    inner join staging.pagerduty_incidents as incident using (account, incident_id)
    left join dora.pagerduty_priorities as mapped
        on incident.account = mapped.account and incident.priority = mapped.pagerduty_priority
    left join imported_copies as imported_copy
        on
            touched.account = imported_copy.account
            and touched.incident_id = imported_copy.incident_id
            and imported_copy.status in ('resolved', 'closed')
            and incident.status is distinct from 'resolved'
    where touched.source = 'pagerduty' and incident.merged_into is null
),

alerts as (
    select
        touched.source,
        alert.account,
        alert.alert_id as incident_id,
        alert.message as title,
        alert.status,
        alert.priority,
        alert.created_at as opened_at,
        alert.acknowledged_at,
        alert.closed_at as recovered_at,
        alert.closed_at,
        alert.web_url
    from touched_incidents as touched
    inner join staging.opsgenie_alerts as alert
        on touched.account = alert.account and touched.incident_id = alert.alert_id
    where touched.source = 'alert' and alert.deleted_at is null
),

all_sources as (
    select * from opsgenie
    union all
    select * from alerts
    union all
    select * from pagerduty
    union all
    select
        source,
        account,
        incident_id,
        title,
        status,
        priority,
        opened_at,
        acknowledged_at,
        recovered_at,
        closed_at,
        web_url
    from imported_copies
    where is_only_copy
),

-- The times of an incident that is open (again) do not count.
ended as (
    select
        all_sources.*,
        case when status in ('resolved', 'closed') then recovered_at end as effective_recovered_at
    from all_sources
)

select
    source,
    account,
    incident_id,
    title,
    -- An unknown status counts as open.
    case when status in ('resolved', 'closed') then status else 'open' end as status,
    case when priority in ('P1', 'P2', 'P3', 'P4', 'P5') then priority end as priority,
    opened_at,
    acknowledged_at,
    effective_recovered_at as recovered_at,
    closed_at,
    case
        when effective_recovered_at >= opened_at
            then extract(epoch from effective_recovered_at - opened_at)::double precision
    end as seconds_to_recover,
    web_url
from ended
