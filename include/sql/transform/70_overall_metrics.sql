-- dora.overall_metrics: one row per UTC day, Monday week or month in which a deployment was triggered, or an
-- incident opened or recovered. An incident counts once, whatever services it hit; it is attributed to a
-- deployment if one of its services is.

create temporary table new_overall_metrics on commit drop as
with
deployed as (
    select
        case when day is not null then 'day' when week is not null then 'week' else 'month' end as grain,
        coalesce(day, week, month) as period_start,
        count(*) as deployments,
        count(*) filter (where is_change_failure) as change_failures
    from (
        select
            outcome.is_change_failure,
            dora.utc_day(outcome.triggered_at) as day,
            dora.utc_week(outcome.triggered_at) as week,
            dora.utc_month(outcome.triggered_at) as month
        from touched_span as span
        inner join dora.deployment_outcomes as outcome
            on outcome.triggered_at >= span.since and outcome.triggered_at < span.until
    ) as dated
    group by grouping sets (day, week, month)
),

opened as (
    select
        case when day is not null then 'day' when week is not null then 'week' else 'month' end as grain,
        coalesce(day, week, month) as period_start,
        count(*) as incidents,
        count(*) filter (where recovered_at is null) as open_incidents
    from (
        select
            incident.recovered_at,
            dora.utc_day(incident.opened_at) as day,
            dora.utc_week(incident.opened_at) as week,
            dora.utc_month(incident.opened_at) as month
        from touched_span as span
        inner join dora.incidents as incident on incident.opened_at >= span.since and incident.opened_at < span.until
    ) as dated
    group by grouping sets (day, week, month)
),

attributed as (
    select distinct
        source,
        account,
        incident_id,
        true as is_attributed
    from dora.incident_attribution
    where deployment_id is not null
),

recovered as (
    select
        case when day is not null then 'day' when week is not null then 'week' else 'month' end as grain,
        coalesce(day, week, month) as period_start,
        count(*) as recovered_incidents,
        avg(microseconds_to_recover) filter (where is_attributed) as mean_microseconds,
        percentile_cont(0.5) within group (order by seconds_to_recover)
            filter (where is_attributed) as mttr_median_seconds,
        percentile_cont(0.9) within group (order by seconds_to_recover)
            filter (where is_attributed) as mttr_p90_seconds,
        avg(microseconds_to_recover) as all_mean_microseconds,
        percentile_cont(0.5) within group (order by seconds_to_recover) as mttr_all_median_seconds
    from (
        select
            incident.seconds_to_recover,
            -- Whole: their sum does not depend on the order of the rows.
            (incident.seconds_to_recover * 1000000)::bigint as microseconds_to_recover,
            coalesce(attributed.is_attributed, false) as is_attributed,
            dora.utc_day(incident.recovered_at) as day,
            dora.utc_week(incident.recovered_at) as week,
            dora.utc_month(incident.recovered_at) as month
        from touched_span as span
        inner join dora.incidents as incident
            on incident.recovered_at >= span.since and incident.recovered_at < span.until
        left join attributed using (source, account, incident_id)
    ) as dated
    group by grouping sets (day, week, month)
),

counted as (
    select
        grain,
        period_start,
        coalesce(deployed.deployments, 0) as deployments,
        coalesce(deployed.change_failures, 0) as change_failures,
        deployed.change_failures::double precision / deployed.deployments as change_failure_rate,
        coalesce(opened.incidents, 0) as incidents,
        coalesce(recovered.recovered_incidents, 0) as recovered_incidents,
        coalesce(opened.open_incidents, 0) as open_incidents,
        (recovered.mean_microseconds / 1000000)::double precision as mttr_mean_seconds,
        recovered.mttr_median_seconds,
        recovered.mttr_p90_seconds,
        (recovered.all_mean_microseconds / 1000000)::double precision as mttr_all_mean_seconds,
        recovered.mttr_all_median_seconds
    from deployed
    full outer join opened using (grain, period_start)
    full outer join recovered using (grain, period_start)
)

-- The span's first and last periods may lie partly outside it: only the touched ones are whole.
select counted.*
from counted
where
    (select refresh.is_full from dora.current_refresh as refresh)
    or (counted.grain, counted.period_start) in (select cell.grain, cell.period_start from touched_cells as cell);

analyze new_overall_metrics;

delete from dora.overall_metrics as stored
where
    (
        (select refresh.is_full from dora.current_refresh as refresh)
        or (stored.grain, stored.period_start) in (
            select cell.grain, cell.period_start from touched_cells as cell
        )
    )
    and not exists (
        select from new_overall_metrics as computed
        where computed.grain = stored.grain and computed.period_start = stored.period_start
    );

insert into dora.overall_metrics (
    grain, period_start, deployments, change_failures, change_failure_rate, incidents, recovered_incidents,
    open_incidents, mttr_mean_seconds, mttr_median_seconds, mttr_p90_seconds, mttr_all_mean_seconds,
    mttr_all_median_seconds
)
select computed.*
from new_overall_metrics as computed
left join dora.overall_metrics as stored using (grain, period_start)
where stored.* is distinct from computed.*
order by computed.grain, computed.period_start
on conflict (grain, period_start) do update set
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
