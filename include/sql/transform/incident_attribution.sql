-- dora.incident_attribution: one row per incident and service, '' where the incident has none.
-- Attributed to the eligible deployment of the service that is nearest in time within the window, both ends included;
-- of two equally far the one before the incident, of several at that instant the smallest (source, id). An override
-- wins. The columns from opened_at on are the incident's, so that searching and counting need no join.

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

-- What each service is called: as service_map says, else by its name.
services as materialized (
    select
        account,
        service_id,
        coalesce(dora.service_key(mapped.service), dora.service_key(listed.name)) as service,
        mapped.service is not null as is_mapped
    from staging.opsgenie_services as listed
    full outer join dora.service_map as mapped using (account, service_id)
),

-- Which services the incidents hit. PagerDuty's word where staging has it: importing an incident changes nothing.
links as (
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
    where
        incident.source = 'pagerduty'
        and not exists (
            select from staging.pagerduty_incidents as original
            where original.account = incident.account and original.incident_id = incident.incident_id
        )
),

-- A service that is no longer listed is called by its id. Two services of an incident may go by one name.
hit as (
    select
        links.source,
        links.account,
        links.incident_id,
        coalesce(services.service, dora.service_key(links.service_name), links.service_id) as service,
        bool_or(coalesce(services.is_mapped, false)) as is_mapped
    from links
    left join services on links.service_account = services.account and links.service_id = services.service_id
    group by
        links.source,
        links.account,
        links.incident_id,
        coalesce(services.service, dora.service_key(links.service_name), links.service_id)
),

wanted as (
    select
        incident.*,
        coalesce(hit.service, '') as service,
        coalesce(hit.is_mapped, false) as is_mapped
    from incidents as incident
    left join hit
        on
            incident.source = hit.source
            and incident.account = hit.account
            and incident.incident_id = hit.incident_id
            and hit.service <> ''
),

-- The latest decision, should there be several that spell the service differently.
overrides as (
    select distinct on (override.source, override.account, override.incident_id, dora.service_key(override.service))
        override.source,
        override.account,
        override.incident_id,
        coalesce(dora.service_key(override.service), '') as service,
        override.deployment_source,
        override.deployment_id,
        deployment.triggered_at
    from dora.attribution_overrides as override
    left join staging.deployments as deployment
        on override.deployment_source = deployment.source and override.deployment_id = deployment.deployment_id
    order by
        override.source asc,
        override.account asc,
        override.incident_id asc,
        dora.service_key(override.service) asc,
        override.decided_at desc nulls last,
        override.service collate "C" asc
),

attributed as (
    select
        wanted.*,
        candidates.candidate_count,
        override.service is not null as is_overridden,
        known.service is not null as is_deployed,
        case when override.service is null then nearest.deployment_source else override.deployment_source end
            as deployment_source,
        case when override.service is null then nearest.deployment_id else override.deployment_id end
            as deployment_id,
        case when override.service is null then nearest.triggered_at else override.triggered_at end
            as triggered_at
    from wanted
    cross join dora.current_refresh as refresh
    cross join lateral (
        select
            count(*) as candidate_count,
            max(eligible.triggered_at) filter (where eligible.triggered_at <= wanted.opened_at) as before_at,
            min(eligible.triggered_at) filter (where eligible.triggered_at > wanted.opened_at) as after_at
        from dora.eligible_deployments as eligible
        where
            eligible.service = wanted.service
            and wanted.service <> ''
            and eligible.triggered_at >= wanted.opened_at - refresh.reach_before
            and eligible.triggered_at <= wanted.opened_at + refresh.reach_after
    ) as candidates
    left join lateral (
        select
            eligible.deployment_source,
            eligible.deployment_id,
            eligible.triggered_at
        from dora.eligible_deployments as eligible
        where
            eligible.service = wanted.service
            and eligible.triggered_at = case
                when
                    candidates.after_at is null
                    or wanted.opened_at - candidates.before_at <= candidates.after_at - wanted.opened_at
                    then candidates.before_at
                else candidates.after_at
            end
        order by eligible.deployment_source collate "C", eligible.deployment_id collate "C"
        limit 1
    ) as nearest on true
    left join overrides as override
        on
            wanted.source = override.source
            and wanted.account = override.account
            and wanted.incident_id = override.incident_id
            and override.service in (wanted.service, dora.service_key(wanted.service))
    left join dora.deployed_services as known on wanted.service = known.service
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
