-- When the touched deployments were triggered. It runs before dora.eligible_deployments is brought up to date and after
-- it, so that a deployment that moved counts at both instants.
insert into touched_deployment_times (service, triggered_at)
select
    eligible.service,
    eligible.triggered_at
from touched_deployments
inner join dora.eligible_deployments as eligible using (deployment_source, deployment_id);
