-- The metrics by service and of all services together, whose service is ''.
create view dora.all_metrics as
select
    grain,
    period_start,
    service,
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
union all
select
    grain,
    period_start,
    '' as service,
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
from dora.overall_metrics;
