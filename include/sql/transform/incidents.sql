-- dora.incidents: one row per real-world incident.
-- OpsGenie's incidents, or alerts where these are the incidents, that are not deleted, and PagerDuty's incidents that
-- are not merged into another. An imported one is the PagerDuty
-- incident, with its original times, whether staging has it from PagerDuty or only as OpsGenie's copy.

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
        and (incident.details ->> 'pagerduty_account' is null or incident.details ->> 'pagerduty_id' is null)
),

-- What OpsGenie's copy says: the original times, which the import left in its details; where PagerDuty had not resolved
-- the incident by then, how it went on in OpsGenie.
copied as (
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
        coalesce(incident.details ->> 'pagerduty_url', incident.web_url) as web_url
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
            dora.instant(incident.details ->> 'pagerduty_created_at') as created_at,
            dora.instant(incident.details ->> 'pagerduty_acknowledged_at') as acknowledged_at,
            dora.instant(incident.details ->> 'pagerduty_resolved_at') as resolved_at
        -- Once per incident, not once per use.
        offset 0
    ) as original
),

-- What PagerDuty says. Of an incident that was open there when it was read, OpsGenie's copy says how it went on.
pagerduty as (
    select
        touched.source,
        incident.account,
        incident.incident_id,
        incident.title,
        coalesce(copied.status, incident.status) as status,
        coalesce(mapped.priority, dora.pagerduty_priority(incident.priority, incident.urgency)) as priority,
        incident.created_at as opened_at,
        coalesce(incident.acknowledged_at, copied.acknowledged_at) as acknowledged_at,
        coalesce(copied.recovered_at, incident.resolved_at) as recovered_at,
        copied.closed_at,
        incident.web_url
    from touched_incidents as touched
    inner join staging.pagerduty_incidents as incident using (account, incident_id)
    left join dora.pagerduty_priorities as mapped
        on incident.account = mapped.account and incident.priority = mapped.pagerduty_priority
    left join copied
        on
            touched.account = copied.account
            and touched.incident_id = copied.incident_id
            and copied.status in ('resolved', 'closed')
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

reported as (
    select * from opsgenie
    union all
    select * from alerts
    union all
    select * from pagerduty
    union all
    select * from copied
    where
        not exists (
            select from staging.pagerduty_incidents as original
            where original.account = copied.account and original.incident_id = copied.incident_id
        )
),

-- An unknown status is open, and the times of an incident that is open (again) do not count.
judged as (
    select
        source,
        account,
        incident_id,
        title,
        case when status in ('resolved', 'closed') then status else 'open' end as status,
        case when priority in ('P1', 'P2', 'P3', 'P4', 'P5') then priority end as priority,
        opened_at,
        acknowledged_at,
        case when status in ('resolved', 'closed') then recovered_at end as recovered_at,
        closed_at,
        web_url
    from reported
)

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
    case
        when recovered_at >= opened_at then extract(epoch from recovered_at - opened_at)::double precision
    end as seconds_to_recover,
    web_url
from judged
