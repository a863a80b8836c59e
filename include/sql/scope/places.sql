-- Where the touched deployments are: run before dora.eligible_deployments is brought up to date, and after it.
insert into touched_places (service, triggered_at)
select
    eligible.service,
    eligible.triggered_at
from touched_deployments
inner join dora.eligible_deployments as eligible using (deployment_source, deployment_id);
