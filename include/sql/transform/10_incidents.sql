-- dora.incidents: one row per real-world incident. OpsGenie's that are not deleted, and PagerDuty's that are
-- not merged into another; an imported one is the PagerDuty incident, with its original times, whether
-- staging has it from PagerDuty or only from OpsGenie, in the details that the import left.

create temporary table new_incidents on commit drop as
with
-- OpsGenie's own.
opsgenie as (
    select
        changed.source,
        incident.account,
        incident.incident_id,
        incident.message as title,
        incident.status,
        incident.priority,
        incident.created_at as opened_at,
        incident.acknowledged_at,
        coalesce(incident.resolved_at, incident.closed_at) as recovered_at,
        incident.closed_at,
        incident.web_url,
        incident.account as opsgenie_account,
        incident.incident_id as opsgenie_incident_id
    from changed_incidents as changed
    inner join staging.opsgenie_incidents as incident using (account, incident_id)
    where
        changed.source = 'opsgenie'
        and incident.deleted_at is null
        and (incident.details ->> 'pagerduty_account' is null or incident.details ->> 'pagerduty_id' is null)
),

pagerduty as (
    select
        changed.source,
        incident.account,
        incident.incident_id,
        incident.title,
        incident.status,
        coalesce(mapped.priority, dora.pagerduty_priority(incident.priority, incident.urgency)) as priority,
        incident.created_at as opened_at,
        incident.acknowledged_at,
        incident.resolved_at as recovered_at,
        null::timestamptz as closed_at,
        incident.web_url,
        null::text as opsgenie_account,
        null::text as opsgenie_incident_id
    from changed_incidents as changed
    inner join staging.pagerduty_incidents as incident using (account, incident_id)
    left join dora.pagerduty_priorities as mapped
        on incident.account = mapped.account and incident.priority = mapped.pagerduty_priority
    where changed.source = 'pagerduty' and incident.merged_into is null
),

-- Imported incidents that staging has from OpsGenie only. Should one have been imported twice, the first by
-- account and id stands for it. Where PagerDuty had not resolved it, OpsGenie tells how it went on.
imported as (
    select distinct on (changed.account, changed.incident_id)
        changed.source,
        changed.account,
        changed.incident_id,
        incident.message as title,
        case when original.resolved_at is null then incident.status else 'resolved' end as status,
        incident.priority,
        coalesce(original.created_at, incident.created_at) as opened_at,
        coalesce(original.acknowledged_at, incident.acknowledged_at) as acknowledged_at,
        coalesce(original.resolved_at, incident.resolved_at, incident.closed_at) as recovered_at,
        case when original.resolved_at is null then incident.closed_at end as closed_at,
        coalesce(incident.details ->> 'pagerduty_url', incident.web_url) as web_url,
        incident.account as opsgenie_account,
        incident.incident_id as opsgenie_incident_id
    from changed_incidents as changed
    inner join dora.imported_incidents as link
        on changed.account = link.pagerduty_account and changed.incident_id = link.pagerduty_id
    inner join staging.opsgenie_incidents as incident
        on link.account = incident.account and link.incident_id = incident.incident_id
    cross join lateral (
        select
            dora.instant(incident.details ->> 'pagerduty_created_at') as created_at,
            dora.instant(incident.details ->> 'pagerduty_acknowledged_at') as acknowledged_at,
            dora.instant(incident.details ->> 'pagerduty_resolved_at') as resolved_at
        -- Once per incident, not once per use.
        offset 0
    ) as original
    where
        changed.source = 'pagerduty'
        and incident.deleted_at is null
        and not exists (
            select from staging.pagerduty_incidents as both_sides
            where both_sides.account = changed.account and both_sides.incident_id = changed.incident_id
        )
    order by changed.account, changed.incident_id, incident.account collate "C", incident.incident_id collate "C"
),

told as (
    select * from opsgenie
    union all
    select * from pagerduty
    union all
    select * from imported
),

-- Times of an incident that is open (again) do not count; an unknown status is open.
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
        web_url,
        opsgenie_account,
        opsgenie_incident_id
    from told
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
    web_url,
    opsgenie_account,
    opsgenie_incident_id
from judged;

analyze new_incidents;

create temporary table stored_incidents on commit drop as
select stored.*
from changed_incidents
inner join dora.incidents as stored using (source, account, incident_id);

analyze stored_incidents;

delete from dora.incidents as incident
using (
    select source, account, incident_id from stored_incidents
    except
    select source, account, incident_id from new_incidents
) as gone
where
    incident.source = gone.source
    and incident.account = gone.account
    and incident.incident_id = gone.incident_id;

-- Only what differs is written, and in the order of the key: a large first load then fills the index in order.
insert into dora.incidents (
    source, account, incident_id, title, status, priority, opened_at, acknowledged_at, recovered_at, closed_at,
    seconds_to_recover, web_url
)
select computed.*
from (
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
        seconds_to_recover,
        web_url
    from new_incidents
) as computed
left join stored_incidents as stored using (source, account, incident_id)
where stored.* is distinct from computed.*
order by computed.incident_id, computed.account, computed.source
on conflict (incident_id, account, source) do update set
title = excluded.title,
status = excluded.status,
priority = excluded.priority,
opened_at = excluded.opened_at,
acknowledged_at = excluded.acknowledged_at,
recovered_at = excluded.recovered_at,
closed_at = excluded.closed_at,
seconds_to_recover = excluded.seconds_to_recover,
web_url = excluded.web_url;
