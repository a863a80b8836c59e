-- Eligible deployments around an instant, of the incident's service first: what an incident may be moved to.
select
    outcome.deployment_source,
    outcome.deployment_id,
    outcome.service,
    outcome.triggered_at,
    outcome.pr_number,
    outcome.pr_title,
    extract(epoch from %(opened_at)s - outcome.triggered_at)::double precision as offset_seconds
from dora.deployment_outcomes as outcome
where
    outcome.triggered_at >= %(opened_at)s - interval '24 hours'
    and outcome.triggered_at <= %(opened_at)s + interval '24 hours'
order by
    outcome.service <> %(service)s,
    abs(extract(epoch from %(opened_at)s - outcome.triggered_at)),
    outcome.deployment_id
limit 30
