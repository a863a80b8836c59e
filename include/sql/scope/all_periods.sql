-- All periods in which anything counts, each with its days.
insert into touched_periods (day, grain, period_start)
select
    counted.day,
    period.grain,
    period.period_start
from (
    select dora.utc_day(opened_at) as day from dora.incident_attribution
    union
    select dora.utc_day(recovered_at) as day from dora.incident_attribution where recovered_at is not null
    union
    select dora.utc_day(triggered_at) as day from dora.deployment_outcomes
) as counted
cross join lateral dora.periods_of(counted.day) as period;
