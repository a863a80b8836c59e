-- A matched deployment is an eligible one of the same service, and so a change failure. Returns the matched
-- deployments of which that is not true.
select
    deployment_source,
    deployment_id,
    service
from dora.incident_attribution
where match_status = 'matched'
except
select
    deployment_source,
    deployment_id,
    service
from dora.deployment_outcomes
where is_change_failure
