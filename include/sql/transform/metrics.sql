-- dora.metrics: one row per grain (UTC day, week from Monday, month), period and service in which anything counted;
-- service '' is all services together, for which an incident counts once, whatever services it hit.

with
-- By the day on which they were triggered.
deployed as (
    select
        outcome.service,
        dora.utc_day(outcome.triggered_at) as day,
        count(*) as deployments,
        count(*) filter (where outcome.is_change_failure) as change_failures
    from dora.deployment_outcomes as outcome
    where dora.utc_day(outcome.triggered_at) in (select day from touched_period_days)
    group by outcome.service, dora.utc_day(outcome.triggered_at)
),

-- By the day on which they opened.
opened as (
    select
        attribution.service,
        dora.utc_day(attribution.opened_at) as day,
        count(*) as incidents,
        count(*) filter (where attribution.recovered_at is null) as open_incidents,
        count(*) filter (where attribution.match_status = 'matched' and attribution.offset_seconds >= 0)
            as matched_following,
        count(*) filter (where attribution.match_status = 'matched' and attribution.offset_seconds < 0)
            as matched_preceding,
        count(*) filter (where attribution.match_status = 'no_deployment_in_window') as unmatched
    from dora.incident_attribution as attribution
    where dora.utc_day(attribution.opened_at) in (select day from touched_period_days)
    group by attribution.service, dora.utc_day(attribution.opened_at)
),

opened_overall as (
    select
        dora.utc_day(incident.opened_at) as day,
        count(*) as incidents,
        count(*) filter (where incident.recovered_at is null) as open_incidents
    from dora.incidents as incident
    where dora.utc_day(incident.opened_at) in (select day from touched_period_days)
    group by dora.utc_day(incident.opened_at)
),

-- By the day on which they recovered, each by itself: a median is not the sum of others.
recovered as (
    select
        attribution.service,
        dora.utc_day(attribution.recovered_at) as day,
        attribution.seconds_to_recover,
        attribution.deployment_id is not null as is_attributed
    from dora.incident_attribution as attribution
    where
        attribution.service <> ''
        and dora.utc_day(attribution.recovered_at) in (select day from touched_period_days)
    union all
    select
        '' as service,
        dora.utc_day(attribution.recovered_at) as day,
        attribution.seconds_to_recover,
        count(attribution.deployment_id) > 0 as is_attributed
    from dora.incident_attribution as attribution
    where dora.utc_day(attribution.recovered_at) in (select day from touched_period_days)
    group by
        attribution.incident_id,
        attribution.account,
        attribution.source,
        attribution.recovered_at,
        attribution.seconds_to_recover
),

counts_by_day as (
    select
        service,
        day,
        deployments,
        change_failures,
        0 as incidents,
        0 as open_incidents,
        0 as matched_following,
        0 as matched_preceding,
        0 as unmatched
    from deployed
    where service <> ''
    union all
    select
        '' as service,
        day,
        sum(deployments) as deployments,
        sum(change_failures) as change_failures,
        0 as incidents,
        0 as open_incidents,
        0 as matched_following,
        0 as matched_preceding,
        0 as unmatched
    from deployed
    group by day
    union all
    select
        service,
        day,
        0 as deployments,
        0 as change_failures,
        incidents,
        open_incidents,
        matched_following,
        matched_preceding,
        unmatched
    from opened
    where service <> ''
    union all
    select
        '' as service,
        day,
        0 as deployments,
        0 as change_failures,
        incidents,
        open_incidents,
        0 as matched_following,
        0 as matched_preceding,
        0 as unmatched
    from opened_overall
),

counts as (
    select
        cell.cell,
        sum(counted.deployments)::bigint as deployments,
        sum(counted.change_failures)::bigint as change_failures,
        sum(counted.incidents)::bigint as incidents,
        sum(counted.open_incidents)::bigint as open_incidents,
        sum(counted.matched_following)::bigint as matched_following,
        sum(counted.matched_preceding)::bigint as matched_preceding,
        sum(counted.unmatched)::bigint as unmatched
    from (
        select
            by_day.*,
            period.grain,
            period.period_start
        from counts_by_day as by_day
        cross join lateral dora.periods_of(by_day.day) as period
        -- The periods of a day first: a plan may else join every day with every period of the service.
        offset 0
    ) as counted
    inner join touched_cells as cell using (service, grain, period_start)
    group by cell.cell
),

recoveries as (
    select
        cell.cell,
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
            by_day.*,
            period.grain,
            period.period_start
        from recovered as by_day
        cross join lateral dora.periods_of(by_day.day) as period
        offset 0
    ) as recovered
    inner join touched_cells as cell using (service, grain, period_start)
    group by cell.cell
)

select
    cells.grain,
    cells.period_start,
    cells.service,
    coalesce(counts.deployments, 0) as deployments,
    coalesce(counts.change_failures, 0) as change_failures,
    counts.change_failures::double precision / nullif(counts.deployments, 0) as change_failure_rate,
    coalesce(counts.incidents, 0) as incidents,
    coalesce(recoveries.recovered_incidents, 0) as recovered_incidents,
    coalesce(counts.open_incidents, 0) as open_incidents,
    recoveries.mttr_mean_seconds,
    recoveries.mttr_quantiles[1] as mttr_median_seconds,
    recoveries.mttr_quantiles[2] as mttr_p90_seconds,
    recoveries.mttr_all_mean_seconds,
    recoveries.mttr_all_median_seconds,
    coalesce(counts.matched_following, 0) as matched_following,
    coalesce(counts.matched_preceding, 0) as matched_preceding,
    coalesce(counts.unmatched, 0) as unmatched
from touched_cells as cells
left join counts using (cell)
left join recoveries using (cell)
where counts.deployments + counts.incidents > 0 or recoveries.recovered_incidents > 0
