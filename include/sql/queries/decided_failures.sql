-- How many change failures of each period people have decided, by overriding an incident onto the deployment.
select
    date_trunc(%(grain)s, triggered_at at time zone 'utc')::date as period_start,
    count(*) as decided
from (
    select distinct
        deployment_source,
        deployment_id,
        outcome.triggered_at
    from dora.incident_attribution as attribution
    inner join dora.deployment_outcomes as outcome using (deployment_source, deployment_id)
    where
        attribution.match_status = 'overridden'
        and (%(service)s::text is null or outcome.service = %(service)s)
) as overridden
group by 1
