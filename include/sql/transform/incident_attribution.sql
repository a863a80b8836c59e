-- dora.incident_attribution: one row per incident and service, '' where the incident has none.
-- Attributed to the eligible deployment of the service that is nearest in time within the window, both ends included;
-- of two equally far the one before the incident, of several at that instant the smallest (source, id). An override
-- wins. The window is that of dora.current_refresh: its side after the incident is 0 where the setting `direction` is
-- before_only. The columns from opened_at on are the incident's, so that searching and counting need no join.

with
incidents as (
    select
        source,
        account,
        incident_id,
        incident.opened_at,
        incident.recovered_at,
        incident.seconds_to_recover,
        incident.status,
        incident.priority
    from touched_incidents
    inner join dora.incidents as incident using (source, account, incident_id)
),

services as materialized (
    select * from dora.service_names
),

-- The services of the incidents, by id. PagerDuty's service if staging has the original, else that of the OpsGenie copy,
-- so that importing an incident does not change its attribution.
service_links as (
    select
        incident.source,
        incident.account,
        incident.incident_id,
        link.account as service_account,
        link.service_id,
        null as service_name
    from incidents as incident
    inner join staging.opsgenie_incident_services as link using (account, incident_id)
    where incident.source = 'opsgenie'
    union all
    select
        incident.source,
        incident.account,
        incident.incident_id,
        alert.account as service_account,
        alert.service as service_id,
        alert.service as service_name
    from incidents as incident
    inner join staging.opsgenie_alerts as alert
        on incident.account = alert.account and incident.incident_id = alert.alert_id
    where incident.source = 'alert' and alert.service is not null
    union all
    select
        incident.source,
        incident.account,
        incident.incident_id,
        original.account as service_account,
        original.service_id,
        original.service_name
    from incidents as incident
    inner join staging.pagerduty_incidents as original using (account, incident_id)
    where incident.source = 'pagerduty'
    union all
    select
        incident.source,
        incident.account,
        incident.incident_id,
        link.account as service_account,
        link.service_id,
        null as service_name
    from incidents as incident
    inner join dora.imported_incidents as imported
        on incident.account = imported.pagerduty_account and incident.incident_id = imported.pagerduty_id
    inner join staging.opsgenie_incident_services as link
        on imported.account = link.account and imported.incident_id = link.incident_id
    where incident.source = 'pagerduty' and imported.is_only_copy
),

-- A service that is no longer listed is called by its id. Two services of an incident may have the same name.
incident_services as (
    select
        link.source,
        link.account,
        link.incident_id,
        coalesce(services.service, dora.service_key(link.service_name), link.service_id) as service,
        bool_or(coalesce(services.is_mapped, false)) as is_mapped
    from service_links as link
    left join services on link.service_account = services.account and link.service_id = services.service_id
    group by
        link.source,
        link.account,
        link.incident_id,
        coalesce(services.service, dora.service_key(link.service_name), link.service_id)
),

incidents_by_service as (
    select
        incident.*,
        coalesce(link.service, '') as service,
        coalesce(link.is_mapped, false) as is_mapped
    from incidents as incident
    left join incident_services as link
        on
            incident.source = link.source
            and incident.account = link.account
            and incident.incident_id = link.incident_id
            and link.service <> ''
),

overrides as (
    select
        override.*,
        deployment.triggered_at
    from dora.effective_overrides as override
    left join staging.deployments as deployment
        on override.deployment_source = deployment.source and override.deployment_id = deployment.deployment_id
),

-- The eligible deployments in the window: how many, and when the nearest was triggered, of the last up to the opening
-- and the first after it.
candidates as (
    select
        incident.*,
        found.candidate_count,
        case
            when found.after_at is null or incident.opened_at - found.before_at <= found.after_at - incident.opened_at
                then found.before_at
            else found.after_at
        end as nearest_at
    from incidents_by_service as incident
    cross join dora.current_refresh as refresh
    cross join lateral (
        select
            count(*) as candidate_count,
            max(eligible.triggered_at) filter (where eligible.triggered_at <= incident.opened_at) as before_at,
            min(eligible.triggered_at) filter (where eligible.triggered_at > incident.opened_at) as after_at
        from dora.eligible_deployments as eligible
        where
            eligible.service = incident.service
            and incident.service <> ''
            and eligible.triggered_at >= incident.opened_at - refresh.effective_window_before
            and eligible.triggered_at <= incident.opened_at + refresh.effective_window_after
    ) as found
),

attributed as (
    select
        candidate.*,
        override.service is not null as is_overridden,
        deployed.service is not null as is_deployed,
        case when override.service is null then nearest.deployment_source else override.deployment_source end
            as deployment_source,
        case when override.service is null then nearest.deployment_id else override.deployment_id end
            as deployment_id,
        case when override.service is null then nearest.triggered_at else override.triggered_at end
            as triggered_at
    from candidates as candidate
    left join lateral (
        select
            eligible.deployment_source,
            eligible.deployment_id,
            eligible.triggered_at
        from dora.eligible_deployments as eligible
        where eligible.service = candidate.service and eligible.triggered_at = candidate.nearest_at
        order by eligible.deployment_source collate "C", eligible.deployment_id collate "C"
        limit 1
    ) as nearest on true
    left join overrides as override
        on
            candidate.source = override.source
            and candidate.account = override.account
            and candidate.incident_id = override.incident_id
            and override.service in (candidate.service, dora.service_key(candidate.service))
    left join dora.deployed_services as deployed on candidate.service = deployed.service
)

select
    source,
    account,
    incident_id,
    service,
    case
        when is_overridden then 'overridden'
        when service = '' then 'no_service'
        when candidate_count > 0 then 'matched'
        when is_mapped or is_deployed then 'no_deployment_in_window'
        else 'service_unmapped'
    end as match_status,
    deployment_source,
    deployment_id,
    extract(epoch from opened_at - triggered_at)::double precision as offset_seconds,
    candidate_count,
    opened_at,
    recovered_at,
    seconds_to_recover,
    status,
    priority
from attributed
