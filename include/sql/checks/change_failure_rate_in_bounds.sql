-- A change failure rate is between 0 and 1, and unknown exactly where there were no deployments. Returns the
-- metrics of which that is not true.
select
    grain,
    period_start,
    nullif(service, '') as service,
    deployments,
    change_failures,
    change_failure_rate
from dora.metrics
where
    change_failure_rate < 0
    or change_failure_rate > 1
    or (change_failure_rate is null) is distinct from (deployments = 0)
