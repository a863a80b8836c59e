-- The deployments that the touched incidents are attributed to. It runs before dora.incident_attribution is brought up to
-- date and after it: a deployment that loses an incident changes as one that gains it.
insert into touched_deployments (deployment_source, deployment_id)
select
    attribution.deployment_source,
    attribution.deployment_id
from touched_incidents
inner join dora.incident_attribution as attribution using (source, account, incident_id)
where attribution.deployment_id is not null
on conflict do nothing;
