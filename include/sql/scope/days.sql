-- The days on which the touched incidents and deployments count. It runs before their tables are brought up to date and
-- after it: the periods of both the old and the new days are computed again.
insert into touched_days (service, day)
select
    attribution.service,
    counted.day
from touched_incidents
inner join dora.incident_attribution as attribution using (source, account, incident_id)
cross join lateral (
    values (dora.utc_day(attribution.opened_at)), (dora.utc_day(attribution.recovered_at))
) as counted (day)
where counted.day is not null
union
select
    outcome.service,
    dora.utc_day(outcome.triggered_at) as day
from touched_deployments
inner join dora.deployment_outcomes as outcome using (deployment_source, deployment_id)
on conflict do nothing;
