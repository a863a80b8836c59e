-- The metrics of all services in the latest weeks that began before an instant, the newest first.
select
    period_start,
    deployments,
    change_failures,
    change_failure_rate,
    mttr_mean_seconds,
    mttr_all_mean_seconds
from dora.metrics
where grain = 'week' and service = '' and period_start < %(until)s
order by period_start desc
limit %(weeks)s
