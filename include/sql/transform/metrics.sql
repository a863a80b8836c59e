-- dora.metrics: one row per grain (UTC day, week from Monday, month), period and service in which anything counted;
-- service '' is all services together, for which an incident counts once, whatever services it hit. report_totals.sql
-- counts the same between any two instants: change both.

with
-- Deployments count in the periods in which they were triggered.
deployments as (
    select
        triggered.service,
        period.grain,
        period.period_start,
        count(*) as deployments,
        count(*) filter (where triggered.is_change_failure) as change_failures
    from (
        select
            service,
            dora.utc_day(triggered_at) as day,
            is_change_failure
        from dora.deployment_outcomes
        where service <> '' and dora.utc_day(triggered_at) in (select day from touched_periods)
        union all
        select
            '' as service,
            dora.utc_day(triggered_at) as day,
            is_change_failure
        from dora.deployment_outcomes
        where dora.utc_day(triggered_at) in (select day from touched_periods)
    ) as triggered
    inner join touched_periods as period using (day)
    group by period.period_start, period.grain, triggered.service
),

-- Incidents count in the periods in which they opened.
incidents as (
    select
        opened.service,
        period.grain,
        period.period_start,
        count(*) as incidents,
        count(*) filter (where opened.recovered_at is null) as open_incidents,
        count(*) filter (where opened.match_status = 'matched' and opened.offset_seconds >= 0) as matched_following,
        count(*) filter (where opened.match_status = 'matched' and opened.offset_seconds < 0) as matched_preceding,
        count(*) filter (where opened.match_status = 'no_deployment_in_window') as unmatched
    from (
        select
            service,
            dora.utc_day(opened_at) as day,
            recovered_at,
            match_status,
            offset_seconds
        from dora.incident_attribution
        where service <> '' and dora.utc_day(opened_at) in (select day from touched_periods)
        union all
        select
            '' as service,
            dora.utc_day(opened_at) as day,
            recovered_at,
            null as match_status,
            null as offset_seconds
        from dora.incidents
        where dora.utc_day(opened_at) in (select day from touched_periods)
    ) as opened
    inner join touched_periods as period using (day)
    group by period.period_start, period.grain, opened.service
),

-- Their times to recover count in the periods in which they recovered.
recoveries as (
    select
        recovered.service,
        period.grain,
        period.period_start,
        count(*) as recovered_incidents,
        -- In whole microseconds, whose sum does not depend on the order of the rows.
        (avg((recovered.seconds_to_recover * 1000000)::bigint) filter (where recovered.is_attributed) / 1000000)
        ::double precision as mttr_mean_seconds,
        percentile_cont(array[0.5, 0.9]) within group (order by recovered.seconds_to_recover)
            filter (where recovered.is_attributed) as mttr_quantiles,
        (avg((recovered.seconds_to_recover * 1000000)::bigint) / 1000000)::double precision as mttr_all_mean_seconds,
        percentile_cont(0.5) within group (order by recovered.seconds_to_recover) as mttr_all_median_seconds
    from (
        select
            service,
            dora.utc_day(recovered_at) as day,
            seconds_to_recover,
            deployment_id is not null as is_attributed
        from dora.incident_attribution
        where service <> '' and dora.utc_day(recovered_at) in (select day from touched_periods)
        union all
        select
            '' as service,
            dora.utc_day(recovered_at) as day,
            seconds_to_recover,
            count(deployment_id) > 0 as is_attributed
        from dora.incident_attribution
        where dora.utc_day(recovered_at) in (select day from touched_periods)
        group by incident_id, account, source, recovered_at, seconds_to_recover
    ) as recovered
    inner join touched_periods as period using (day)
    group by period.period_start, period.grain, recovered.service
)

select
    grain,
    period_start,
    service,
    coalesce(deployments.deployments, 0) as deployments,
    coalesce(deployments.change_failures, 0) as change_failures,
    deployments.change_failures::double precision / deployments.deployments as change_failure_rate,
    coalesce(incidents.incidents, 0) as incidents,
    coalesce(recoveries.recovered_incidents, 0) as recovered_incidents,
    coalesce(incidents.open_incidents, 0) as open_incidents,
    recoveries.mttr_mean_seconds,
    recoveries.mttr_quantiles[1] as mttr_median_seconds,
    recoveries.mttr_quantiles[2] as mttr_p90_seconds,
    recoveries.mttr_all_mean_seconds,
    recoveries.mttr_all_median_seconds,
    coalesce(incidents.matched_following, 0) as matched_following,
    coalesce(incidents.matched_preceding, 0) as matched_preceding,
    coalesce(incidents.unmatched, 0) as unmatched
from deployments
full outer join incidents using (grain, period_start, service)
full outer join recoveries using (grain, period_start, service)
