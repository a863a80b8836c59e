-- The metrics of the latest periods of one grain, of a service or overall, the newest first.
select
    period_start,
    deployments,
    change_failures,
    change_failure_rate,
    incidents,
    recovered_incidents,
    open_incidents,
    mttr_mean_seconds,
    mttr_median_seconds,
    mttr_p90_seconds,
    mttr_all_mean_seconds,
    mttr_all_median_seconds
from (
    select
        grain,
        null as service,
        period_start,
        deployments,
        change_failures,
        change_failure_rate,
        incidents,
        recovered_incidents,
        open_incidents,
        mttr_mean_seconds,
        mttr_median_seconds,
        mttr_p90_seconds,
        mttr_all_mean_seconds,
        mttr_all_median_seconds
    from dora.overall_metrics
    where %(service)s::text is null
    union all
    select
        grain,
        service,
        period_start,
        deployments,
        change_failures,
        change_failure_rate,
        incidents,
        recovered_incidents,
        open_incidents,
        mttr_mean_seconds,
        mttr_median_seconds,
        mttr_p90_seconds,
        mttr_all_mean_seconds,
        mttr_all_median_seconds
    from dora.service_metrics
    where service = %(service)s
) as metrics
where grain = %(grain)s
order by period_start desc
limit %(periods)s
