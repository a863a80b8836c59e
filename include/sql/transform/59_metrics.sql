-- The metrics of every period in which something changed: the stored counts and what they differ by, and the
-- recovery times as they are now. The next two files store them.

-- One row per period and service, '' for all services together; without anything to count, it is to vanish.
create temporary table new_metrics on commit drop as
with
counted as (
    select
        grain,
        period_start,
        service,
        coalesce(stored.deployments, 0) + coalesce(changes.deployments, 0) as deployments,
        coalesce(stored.change_failures, 0) + coalesce(changes.change_failures, 0) as change_failures,
        coalesce(stored.incidents, 0) + coalesce(changes.incidents, 0) as incidents,
        coalesce(stored.recovered_incidents, 0) + coalesce(changes.recovered_incidents, 0) as recovered_incidents,
        coalesce(stored.open_incidents, 0) + coalesce(changes.open_incidents, 0) as open_incidents,
        case when times.grain is null then stored.mttr_mean_seconds else times.mttr_mean_seconds end
            as mttr_mean_seconds,
        case when times.grain is null then stored.mttr_median_seconds else times.mttr_median_seconds end
            as mttr_median_seconds,
        case when times.grain is null then stored.mttr_p90_seconds else times.mttr_p90_seconds end
            as mttr_p90_seconds,
        case when times.grain is null then stored.mttr_all_mean_seconds else times.mttr_all_mean_seconds end
            as mttr_all_mean_seconds,
        case when times.grain is null then stored.mttr_all_median_seconds else times.mttr_all_median_seconds end
            as mttr_all_median_seconds
    from count_changes as changes
    full outer join recovery_times as times using (grain, period_start, service)
    left join lateral (
        select
            deployments,
            change_failures,
            incidents,
            recovered_incidents,
            open_incidents,
            mttr_mean_seconds,
            mttr_median_seconds,
            mttr_p90_seconds,
            mttr_all_mean_seconds,
            mttr_all_median_seconds
        from dora.all_metrics as metrics
        where
            metrics.grain = coalesce(changes.grain, times.grain)
            and metrics.period_start = coalesce(changes.period_start, times.period_start)
            and metrics.service = coalesce(changes.service, times.service)
            and not (select refresh.is_full from dora.current_refresh as refresh)
        -- One index probe each.
        offset 0
    ) as stored on true
)

select
    grain,
    period_start,
    service,
    deployments,
    change_failures,
    change_failures::double precision / nullif(deployments, 0) as change_failure_rate,
    incidents,
    recovered_incidents,
    open_incidents,
    mttr_mean_seconds,
    mttr_median_seconds,
    mttr_p90_seconds,
    mttr_all_mean_seconds,
    mttr_all_median_seconds,
    deployments + incidents + recovered_incidents > 0 as has_any
from counted;

analyze new_metrics;
