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
from dora.metrics
where grain = %(grain)s and service = coalesce(%(service)s, '')
order by period_start desc
limit %(periods)s
