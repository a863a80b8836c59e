-- What counted between two instants: one row per service, and '' for all services together, for which an incident counts
-- once. The same definitions as in transform/metrics.sql, whose periods are whole: change both, a test compares them.
-- decided: change failures by an override.
with
deployed as (
    select
        coalesce(service, '') as service,
        count(*) as deployments,
        count(*) filter (where is_change_failure) as change_failures
    from dora.deployment_outcomes
    where triggered_at >= %(since)s and triggered_at < %(until)s
    group by grouping sets ((service), ())
    having grouping(service) = 1 or service <> ''
),

decided as (
    select
        coalesce(service, '') as service,
        count(*) as decided
    from (
        select distinct
            outcome.service,
            deployment_source,
            deployment_id
        from dora.incident_attribution as attribution
        inner join dora.deployment_outcomes as outcome using (deployment_source, deployment_id)
        where
            attribution.match_status = 'overridden'
            and outcome.triggered_at >= %(since)s
            and outcome.triggered_at < %(until)s
    ) as overridden
    group by grouping sets ((service), ())
    having grouping(service) = 1 or service <> ''
),

opened as (
    select
        service,
        count(*) as incidents,
        count(*) filter (where recovered_at is null) as open_incidents
    from dora.incident_attribution
    where service <> '' and opened_at >= %(since)s and opened_at < %(until)s
    group by service
    union all
    select
        '' as service,
        count(*) as incidents,
        count(*) filter (where recovered_at is null) as open_incidents
    from dora.incidents
    where opened_at >= %(since)s and opened_at < %(until)s
),

recoveries as (
    select
        service,
        seconds_to_recover,
        deployment_id is not null as is_attributed
    from dora.incident_attribution
    where
        service <> ''
        and dora.utc_day(recovered_at) >= dora.utc_day(%(since)s)
        and dora.utc_day(recovered_at) <= dora.utc_day(%(until)s)
        and recovered_at >= %(since)s
        and recovered_at < %(until)s
    union all
    select
        '' as service,
        seconds_to_recover,
        count(deployment_id) > 0 as is_attributed
    from dora.incident_attribution
    where
        dora.utc_day(recovered_at) >= dora.utc_day(%(since)s)
        and dora.utc_day(recovered_at) <= dora.utc_day(%(until)s)
        and recovered_at >= %(since)s
        and recovered_at < %(until)s
    group by incident_id, account, source, seconds_to_recover
),

recovered as (
    select
        service,
        count(*) as recovered_incidents,
        (avg((seconds_to_recover * 1000000)::bigint) filter (where is_attributed) / 1000000)
        ::double precision as mttr_mean_seconds,
        percentile_cont(0.5) within group (order by seconds_to_recover) filter (where is_attributed)
            as mttr_median_seconds,
        (avg((seconds_to_recover * 1000000)::bigint) / 1000000)::double precision as mttr_all_mean_seconds
    from recoveries
    group by service
)

select
    service,
    coalesce(deployed.deployments, 0) as deployments,
    coalesce(deployed.change_failures, 0) as change_failures,
    deployed.change_failures::double precision / nullif(deployed.deployments, 0) as change_failure_rate,
    coalesce(decided.decided, 0) as decided,
    coalesce(opened.incidents, 0) as incidents,
    coalesce(opened.open_incidents, 0) as open_incidents,
    coalesce(recovered.recovered_incidents, 0) as recovered_incidents,
    recovered.mttr_mean_seconds,
    recovered.mttr_median_seconds,
    recovered.mttr_all_mean_seconds
from deployed
full outer join opened using (service)
full outer join recovered using (service)
full outer join decided using (service)
order by change_failures desc, incidents desc, deployments desc, service asc
