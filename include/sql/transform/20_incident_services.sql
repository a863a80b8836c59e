-- Which services the changed incidents hit: one row per incident and service, '' where the incident has none. A
-- service is the one that service_map names, else its name in lower case without outer blanks, else (no longer
-- listed) its id.

create temporary table new_incident_services on commit drop as
with
-- PagerDuty's word where staging has it, so that importing an incident changes nothing about it.
hit as (
    select
        incident.source,
        incident.account,
        incident.incident_id,
        incident.opened_at,
        link.account as service_account,
        link.service_id,
        service.name
    from new_incidents as incident
    inner join staging.opsgenie_incident_services as link
        on incident.opsgenie_account = link.account and incident.opsgenie_incident_id = link.incident_id
    left join staging.opsgenie_services as service
        on link.account = service.account and link.service_id = service.service_id
    union all
    select
        incident.source,
        incident.account,
        incident.incident_id,
        incident.opened_at,
        told.account as service_account,
        told.service_id,
        told.service_name as name
    from new_incidents as incident
    inner join staging.pagerduty_incidents as told using (account, incident_id)
    where incident.source = 'pagerduty'
),

named as (
    select
        hit.source,
        hit.account,
        hit.incident_id,
        hit.opened_at,
        coalesce(dora.service_key(mapped.service), dora.service_key(hit.name), hit.service_id) as service,
        mapped.service is not null as is_mapped
    from hit
    left join dora.service_map as mapped
        on hit.service_account = mapped.account and hit.service_id = mapped.service_id
)

-- Two services of an incident may go by one name.
select
    incident.source,
    incident.account,
    incident.incident_id,
    coalesce(named.service, '') as service,
    incident.opened_at,
    coalesce(bool_or(named.is_mapped), false) as is_mapped
from new_incidents as incident
left join named
    on
        incident.source = named.source
        and incident.account = named.account
        and incident.incident_id = named.incident_id
        and named.service <> ''
group by
    incident.source,
    incident.account,
    incident.incident_id,
    coalesce(named.service, ''),
    incident.opened_at;

analyze new_incident_services;
