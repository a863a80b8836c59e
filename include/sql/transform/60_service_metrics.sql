-- dora.service_metrics: one row per UTC day, Monday week or month and service in which a deployment was
-- triggered, or an incident opened or recovered. An incident counts for each of its services; those without
-- one are left out.

create temporary table new_service_metrics on commit drop as
with
-- By day first: what adds up needs no second look at each row for weeks and months.
deployed_by_day as (
    select
        outcome.service,
        dora.utc_day(outcome.triggered_at) as day,
        count(*) as deployments,
        count(*) filter (where outcome.is_change_failure) as change_failures
    from touched_span as span
    inner join dora.deployment_outcomes as outcome
        on outcome.triggered_at >= span.since and outcome.triggered_at < span.until
    where outcome.service <> ''
    group by outcome.service, dora.utc_day(outcome.triggered_at)
),

deployed as (
    select
        period.grain,
        period.period_start,
        by_day.service,
        sum(by_day.deployments)::bigint as deployments,
        sum(by_day.change_failures)::bigint as change_failures
    from deployed_by_day as by_day
    cross join lateral dora.periods_of(by_day.day) as period
    group by period.grain, period.period_start, by_day.service
),

opened_by_day as (
    select
        fact.service,
        dora.utc_day(fact.opened_at) as day,
        count(*) as incidents,
        count(*) filter (where fact.recovered_at is null) as open_incidents
    from touched_span as span
    inner join dora.incident_facts as fact on fact.opened_at >= span.since and fact.opened_at < span.until
    where fact.service <> ''
    group by fact.service, dora.utc_day(fact.opened_at)
),

opened as (
    select
        period.grain,
        period.period_start,
        by_day.service,
        sum(by_day.incidents)::bigint as incidents,
        sum(by_day.open_incidents)::bigint as open_incidents
    from opened_by_day as by_day
    cross join lateral dora.periods_of(by_day.day) as period
    group by period.grain, period.period_start, by_day.service
),

recovered as (
    select
        case when day is not null then 'day' when week is not null then 'week' else 'month' end as grain,
        coalesce(day, week, month) as period_start,
        service,
        count(*) as recovered_incidents,
        avg(microseconds_to_recover) filter (where is_attributed) as mean_microseconds,
        -- Both in one call, which sorts once.
        percentile_cont(array[0.5, 0.9]) within group (order by seconds_to_recover)
            filter (where is_attributed) as attributed_quantiles,
        avg(microseconds_to_recover) as all_mean_microseconds,
        percentile_cont(0.5) within group (order by seconds_to_recover) as mttr_all_median_seconds
    from (
        select
            fact.service,
            fact.seconds_to_recover,
            -- Whole: their sum does not depend on the order of the rows.
            (fact.seconds_to_recover * 1000000)::bigint as microseconds_to_recover,
            fact.deployment_id is not null as is_attributed,
            dora.utc_day(fact.recovered_at) as day,
            dora.utc_week(fact.recovered_at) as week,
            dora.utc_month(fact.recovered_at) as month
        from touched_span as span
        inner join dora.incident_facts as fact
            on fact.recovered_at >= span.since and fact.recovered_at < span.until
        where fact.service <> ''
    ) as dated
    group by grouping sets ((service, day), (service, week), (service, month))
),

counted as (
    select
        grain,
        period_start,
        service,
        coalesce(deployed.deployments, 0) as deployments,
        coalesce(deployed.change_failures, 0) as change_failures,
        deployed.change_failures::double precision / deployed.deployments as change_failure_rate,
        coalesce(opened.incidents, 0) as incidents,
        coalesce(recovered.recovered_incidents, 0) as recovered_incidents,
        coalesce(opened.open_incidents, 0) as open_incidents,
        (recovered.mean_microseconds / 1000000)::double precision as mttr_mean_seconds,
        recovered.attributed_quantiles[1] as mttr_median_seconds,
        recovered.attributed_quantiles[2] as mttr_p90_seconds,
        (recovered.all_mean_microseconds / 1000000)::double precision as mttr_all_mean_seconds,
        recovered.mttr_all_median_seconds
    from deployed
    full outer join opened using (grain, period_start, service)
    full outer join recovered using (grain, period_start, service)
)

-- The span's first and last periods may lie partly outside it: only the touched ones are whole.
select counted.*
from counted
where
    (select refresh.is_full from dora.current_refresh as refresh)
    or (counted.grain, counted.period_start, counted.service) in (
        select cell.grain, cell.period_start, cell.service from touched_cells as cell
    );

analyze new_service_metrics;

delete from dora.service_metrics as stored
where
    (
        (select refresh.is_full from dora.current_refresh as refresh)
        or (stored.grain, stored.period_start, stored.service) in (
            select cell.grain, cell.period_start, cell.service from touched_cells as cell
        )
    )
    and not exists (
        select from new_service_metrics as computed
        where
            computed.grain = stored.grain
            and computed.period_start = stored.period_start
            and computed.service = stored.service
    );

insert into dora.service_metrics (
    grain, period_start, service, deployments, change_failures, change_failure_rate, incidents,
    recovered_incidents, open_incidents, mttr_mean_seconds, mttr_median_seconds, mttr_p90_seconds,
    mttr_all_mean_seconds, mttr_all_median_seconds
)
select computed.*
from new_service_metrics as computed
left join dora.service_metrics as stored using (grain, period_start, service)
where stored.* is distinct from computed.*
order by computed.grain, computed.period_start, computed.service
on conflict (grain, period_start, service) do update set
deployments = excluded.deployments,
change_failures = excluded.change_failures,
change_failure_rate = excluded.change_failure_rate,
incidents = excluded.incidents,
recovered_incidents = excluded.recovered_incidents,
open_incidents = excluded.open_incidents,
mttr_mean_seconds = excluded.mttr_mean_seconds,
mttr_median_seconds = excluded.mttr_median_seconds,
mttr_p90_seconds = excluded.mttr_p90_seconds,
mttr_all_mean_seconds = excluded.mttr_all_mean_seconds,
mttr_all_median_seconds = excluded.mttr_all_median_seconds;
